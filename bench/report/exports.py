"""The results for other programs: Parquet, JSON, and pytest-benchmark's own JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from bench import store
from bench.analysis.table import machine_labels
from bench.trial import Run

# The version whose form this is.
PYTEST_BENCHMARK = "5.3.1"


def parquet(samples: pd.DataFrame, path: Path) -> None:
    """Write the table with its types; a column of mixed values becomes text."""
    columns = {
        name: column.map(str, na_action="ignore") if _mixed(column) else column
        for name, column in samples.items()
    }
    pd.DataFrame(columns).to_parquet(path, engine="pyarrow", index=False)


def pytest_benchmark(runs: Sequence[Run]) -> str:
    """JSON in the form of `pytest --benchmark-json`, a benchmark a trial.

    A benchmark's data are its samples, seconds a batch; several machines are told apart
    by the benchmark's group. Failed runs have no place in this form, nor has a run that
    was repeated on a quieter machine.
    """
    runs = store.one_a_round(runs)
    labels = machine_labels(runs)
    trials: dict[tuple[str, str], list[Run]] = {}
    for run, label in zip(runs, labels, strict=True):
        if run.measured.samples:
            pair = label, run.key
            trials.setdefault(pair, []).append(run)
    machine = runs[0].machine if runs else {}
    document = {
        "machine_info": {
            "node": machine.get("host", ""),
            "processor": machine.get("cpu", ""),
            "machine": machine.get("system", ""),
            "system": str(machine.get("system", "")).partition("-")[0],
            "release": machine.get("system", ""),
            "python_implementation": "CPython",
            "python_version": machine.get("python", ""),
            "cpu": {
                "brand_raw": machine.get("cpu", ""),
                "count": machine.get("cpu_count", 0),
            },
        },
        "commit_info": {
            "id": machine.get("git_commit") or "unknown",
            "time": None,
            "author_time": None,
            "dirty": bool(machine.get("git_dirty")),
            "project": "feedrate",
            "branch": "unknown",
        },
        "benchmarks": [
            _benchmark(label, own, several=len(set(labels)) > 1)
            for (label, _), own in trials.items()
        ],
        "datetime": max((run.started for run in runs), default=""),
        "version": PYTEST_BENCHMARK,
    }
    return json.dumps(document, indent=1)


def _benchmark(label: str, runs: Sequence[Run], *, several: bool) -> dict[str, object]:
    trial = runs[0].trial
    data = np.concatenate([run.measured.samples for run in runs])
    group = f"{trial.workload} {trial.consumer}"
    return {
        "group": f"{group} on {label}" if several else group,
        "name": runs[0].key,
        "fullname": f"{trial.workload}::{runs[0].key}",
        "params": None,
        "param": None,
        "extra_info": {
            "unit": "seconds a batch",
            "batch_size": trial.pipeline.batch_size,
            "machine": label,
            "runs": len(runs),
        },
        "options": {
            "disable_gc": False,
            "timer": "perf_counter",
            "min_rounds": runs[0].effort.rounds,
            "max_time": runs[0].effort.steady_seconds,
            "min_time": runs[0].effort.window_seconds,
            "precision": None,
            "confidence": None,
            "warmup": True,
        },
        "stats": _statistics(data, runs[0].measured.batches_per_sample),
    }


def _statistics(data: np.ndarray, iterations: int) -> dict[str, object]:
    """The figures that pytest-benchmark gives of the samples; seconds.

    Outliers are beyond one standard deviation of the mean, and beyond 1.5 interquartile
    ranges of the quartiles (Tukey 1977). Source: pytest_benchmark/stats.py.
    """
    first, median, third = np.percentile(data, [25, 50, 75])
    mean, deviation = data.mean(), data.std(ddof=1) if len(data) > 1 else 0.0
    fence = 1.5 * (third - first)
    inside = (data >= first - fence) & (data <= third + fence)
    far = int(np.sum(np.abs(data - mean) > deviation))
    outside = int(np.sum(~inside))
    figures = {
        "min": data.min(),
        "max": data.max(),
        "mean": mean,
        "stddev": deviation,
        "median": median,
        "iqr": third - first,
        "q1": first,
        "q3": third,
        "ld15iqr": data[inside].min(),
        "hd15iqr": data[inside].max(),
        "ops": 1 / mean,
        "total": data.sum(),
    }
    return {
        **{name: float(value) for name, value in figures.items()},
        "rounds": len(data),
        "iterations": max(iterations, 1),
        "iqr_outliers": outside,
        "stddev_outliers": far,
        "outliers": f"{far};{outside}",
        "data": data.tolist(),
    }


def _mixed(column: pd.Series) -> bool:
    if column.dtype != object:
        return False
    return column.dropna().map(type).nunique() > 1
