"""Exports are results for other programs, such as CSV and pytest-benchmark's JSON."""

from __future__ import annotations

import csv as csv_text
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from bench import store
from bench.analysis.table import machine_labels
from bench.report import sections, summary
from bench.report.summary import Report
from bench.trial import Run

PYTEST_BENCHMARK = "5.3.1"  # the version whose JSON `pytest_benchmark` writes


def csv(samples: pd.DataFrame, path: Path) -> None:
    """Write the table of samples as CSV.

    A run's samples share most columns, which are converted to text once for each run.

    Args:
        samples: The table from `table.from_runs`.
        path: The file to write.
    """
    own = ["sample", "seconds_per_batch", "examples_per_second"]
    shared = samples.drop(columns=own)
    first = ~samples["run"].duplicated().to_numpy()
    runs = shared[first].astype(object)
    buffer = io.StringIO()
    writer = csv_text.writer(buffer)  # its line end, \r\n, makes it quote both
    starts = []
    for row in runs.where(runs.notna(), "").itertuples(index=False, name=None):
        buffer.seek(0)
        buffer.truncate()
        writer.writerow(row)
        starts.append(buffer.getvalue()[: -len("\r\n")])
    numbers = (first.cumsum() - 1).tolist()
    values = zip(numbers, *(samples[name].tolist() for name in own), strict=True)
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as f:
        csv_text.writer(f, lineterminator="\n").writerow([*shared.columns, *own])
        for run, sample, seconds, rate in values:
            end = "," if math.isnan(seconds) else f"{seconds!r},{rate!r}"
            f.write(f"{starts[run]},{sample},{end}\n")


def parquet(samples: pd.DataFrame, path: Path) -> None:
    """Write the table of samples as Parquet; a column of mixed types becomes text."""
    columns = {
        name: column.map(str, na_action="ignore") if _mixed(column) else column
        for name, column in samples.items()
    }
    pd.DataFrame(columns).to_parquet(path, engine="pyarrow", index=False)


def report_json(report: Report) -> str:
    """Return the report as JSON: each scene with all its trials, in full digits.

    A scene is a set of trials that may be compared. Each section that has no key of its
    own in the report's content adds its rows under its name.
    """
    content = dict(report.content)
    trials = content.pop("ranked")
    content["scenes"] = [dict(scene) for scene in content["scenes"]]
    for scene in content["scenes"]:
        for name in ("names", "rows"):
            scene.pop(name)
        scene["cautions"] = [vars(caution) for caution in scene["cautions"]]
        own = trials[trials["scene"] == scene.pop("number")]
        scene["trials"] = json.loads(own[summary.COLUMNS].to_json(orient="records"))
    rows = {section.name: section.rows for section in sections.sections(report)}
    return json.dumps(rows | content, indent=2)


def pytest_benchmark(runs: Sequence[Run]) -> str:
    """Return JSON as `pytest --benchmark-json` writes it, a benchmark for each trial.

    A benchmark's data are the trial's samples, in seconds a batch. The benchmark's
    group names the machine if there are several. The JSON leaves out failed runs and
    runs that were repeated on a quieter machine.
    """
    runs = store.without_repeats(runs)
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
    """Return the statistics of samples (seconds) under pytest-benchmark's names.

    Outliers are more than one standard deviation from the mean, or more than 1.5
    interquartile ranges beyond the quartiles (Tukey 1977). Source:
    pytest_benchmark/stats.py.
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
