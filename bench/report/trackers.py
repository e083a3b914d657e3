"""Trackers follow benchmarks over commits; this module writes the files they read.

Bencher reads its Metric Format (https://bencher.dev/docs/reference/bencher-metric-format),
github-action-benchmark a list for each direction (its README, `customBiggerIsBetter`).
A benchmark is a trial and has the trial's key for a name, so names stay the same from
run to run.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import text
from bench.analysis import stats
from bench.report import sentences
from bench.report.summary import Report
from bench.trial import PHASES


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A measure is a quantity of a trial that a tracker follows.

    Attributes:
        unit: Its unit, as charts show it.
        column: Its column in the tables of trials or runs.
        bigger_is_better: Whether more of it is better.
        estimated: Whether it has an estimate with a 95 % interval; a measure without
            one has the median of the runs, and their lowest and highest value.
    """

    unit: str
    column: str
    bigger_is_better: bool
    estimated: bool


def _cost(unit: str, column: str) -> Measure:
    return Measure(unit=unit, column=column, bigger_is_better=False, estimated=False)


MEASURES = {
    "examples_per_second": Measure(
        unit="examples/s",
        column="examples_per_second",
        bigger_is_better=True,
        estimated=True,
    ),
    "seconds_per_batch": Measure(
        unit="s/batch",
        column="seconds_per_batch",
        bigger_is_better=False,
        estimated=True,
    ),
    **{
        f"latency_{name}_seconds": _cost("s/call", f"fact_latency_{name}_seconds")
        for name in ("p50", "p95", "p99")
    },
    "cpu_seconds_per_example": _cost("s/example", "cpu_seconds_per_example"),
    "peak_resident_bytes": _cost("bytes", "peak_resident_bytes"),
    **{
        f"{name}_seconds": _cost("s", f"{name}_seconds")
        for name, phase in PHASES.items()
        if phase.guarded
    },
}


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure is the value of one measure of one trial.

    Attributes:
        benchmark: The trial's key, with the machine where a report has several.
        measure: A name of `MEASURES`.
        value: The value in the measure's unit.
        bounds: The lower and the upper value; None if there was only one run.
        about: The strategy, the number of runs, and the meaning of the bounds.
    """

    benchmark: str
    measure: str
    value: float
    bounds: tuple[float, float] | None
    about: str


def figures(report: Report) -> Iterator[Figure]:
    """Yield the figures of every trial that ran and may be ranked.

    The figure of a barred trial does not describe the work that the trial should do.
    A measure that a trial does not have, such as the latency of a drained pipeline, has
    no figure.
    """
    runs = stats.runs(report.samples)
    runs = dict(list(runs[runs["error"].eq("")].groupby(["machine", "key"])))
    for row in report.trials.to_dict("records"):
        if not row["runs"] or sentences.barred(row):
            continue
        own = runs[row["machine"], row["key"]]
        benchmark = report.located(row["key"], row["machine"])
        benchmark, label = text.visible(benchmark, len(benchmark)), row["label"]
        for name, measure in MEASURES.items():
            column = measure.column
            if measure.estimated:
                values = [float(row[f"{column}{end}"]) for end in ("", "_low", "_high")]
                count, kind = int(row["runs"]), "95 % interval"
            else:
                costs = own[column].dropna().tolist() if column in own else []
                if not costs:
                    continue
                values = [statistics.median(costs), min(costs), max(costs)]
                count, kind = len(costs), "median, lowest, highest"
            yield Figure(
                benchmark=benchmark,
                measure=name,
                value=values[0],
                bounds=(values[1], values[2]) if count > 1 else None,
                about=f"{text.visible(label)}; {text.plural(count, 'run')}; {kind}",
            )


def bencher(report: Report) -> str:
    """Return Bencher Metric Format: benchmark, measure, value with its bounds.

    A measure's name is a slug of Bencher, such as `examples-per-second`. The names are
    not Bencher's own `latency` and `throughput`, whose units are nanoseconds and
    operations a second.
    """
    document: dict[str, dict[str, dict[str, float]]] = {}
    for one in figures(report):
        metric = {"value": one.value}
        if one.bounds:
            metric |= dict(zip(("lower_value", "upper_value"), one.bounds, strict=True))
        slug = one.measure.replace("_", "-")
        document.setdefault(one.benchmark, {})[slug] = metric
    return json.dumps(document, indent=1, allow_nan=False)


def github_action_benchmark(report: Report, folder: Path) -> list[Path]:
    """Write the list of github-action-benchmark for each direction.

    Args:
        report: The report.
        folder: The folder of the files, which is created if necessary.

    Returns:
        The files. A file has the name of the `tool` that reads it.
    """
    folder.mkdir(exist_ok=True)
    entries: dict[bool, list[dict[str, object]]] = {True: [], False: []}
    for one in figures(report):
        measure = MEASURES[one.measure]
        entry = {
            "name": f"{one.benchmark} {one.measure}",
            "unit": measure.unit,
            "value": one.value,
            "extra": one.about,
        }
        if one.bounds:
            entry["range"] = " to ".join(f"{bound:.6g}" for bound in one.bounds)
        entries[measure.bigger_is_better].append(entry)
    paths = []
    for bigger, own in entries.items():
        tool = "customBiggerIsBetter" if bigger else "customSmallerIsBetter"
        paths.append(folder / f"{tool}.json")
        document = json.dumps(own, indent=1, allow_nan=False)
        paths[-1].write_text(document, encoding="utf-8")
    return paths
