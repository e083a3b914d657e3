"""This module sums up runs as plain text for every form of the report."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bench import catalog, failures, text
from bench.analysis import bottleneck, stats, table
from bench.analysis.verdicts import UNKNOWN
from bench.machine import MEMBER
from bench.report import glossary, lumps, same_graph, sentences
from bench.trial import Run, Trial

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ENDS = ("", "_low", "_high")
QUANTITIES = ("seconds_per_batch", "examples_per_second", "factor", "lead")
COLUMNS = [
    *("key", "strategy", "label", "runs", "failed", "pairs", "lead_pairs", "baseline"),
    *(f"{name}{end}" for name in QUANTITIES for end in ENDS),
    *("verdict", "lead_verdict", "best", "ranked", "spread", "unstable", "not_steady"),
    *("usual_examples_per_second", "mean_over_usual", "stall_factor", "stall_batch"),
    *("stall_windows", "flags", "cpu_seconds_per_example", "peak_resident_bytes"),
]
NEEDED = list(
    dict.fromkeys(
        ["scene", "key", "same_as", *table.SCENE, *sentences.NEEDED, *lumps.NEEDED]
    )
)


@dataclass(frozen=True)
class Report:
    """A report is the content of result folders, summed up once for every format.

    Attributes:
        runs: The stored runs.
        samples: The table of the runs, with a row for each sample.
        content: The result of `summarize`, and `source`, the names of the folders.
    """

    runs: Sequence[Run]
    samples: pd.DataFrame
    content: dict[str, object]
    _figures: dict[str, Figure | None] = field(default_factory=dict, repr=False)

    @property
    def trials(self) -> pd.DataFrame:
        """Return the table of trials from `ranked`, in the order to show them."""
        return self.content["ranked"]

    def figures(self) -> Iterator[tuple[str, Figure]]:
        """Yield name and figure of each plot that has data; draw each figure once."""
        for name, entry in catalog.entries("plots").items():
            if name not in self._figures:
                self._figures[name] = catalog.load(entry).draw(self.samples)
            if self._figures[name] is not None:
                yield name, self._figures[name]

    def located(self, title: str, machine: str) -> str:
        """Return a title, with the machine's name if the report has several of them."""
        several = self.content["several_machines"]
        return f"{title} on {machine}" if several else title


def summarize(
    runs: Sequence[Run], samples: pd.DataFrame, notes: Sequence[str]
) -> dict[str, object]:
    """Sum up runs for every form of the report, as plain text and rows.

    Args:
        runs: The stored runs.
        samples: The table of the runs, with a row for each sample.
        notes: Remarks on damaged or excluded runs, for the report.
    """
    repeated = same_graph.same(runs)
    trials = _with_repeated(samples, repeated)
    by_key = {run.key: run.trial for run in runs}
    bottlenecks = _bottlenecks(samples)
    graphs = same_graph.same_graphs(runs)
    needed = [name for name in NEEDED if name in trials]
    scenes = []
    grouped = itertools.groupby(trials[needed].to_dict("records"), itemgetter("scene"))
    for number, rows in ((number, list(rows)) for number, rows in grouped):
        judged = [row for row in rows if not row["same_as"]]
        scenes.append(
            {
                "number": number,
                "title": text.scene_title(rows[0]),
                "machine": text.visible(rows[0]["machine"]),
                "sentence": sentences.sentence(judged)
                + same_graph.one_graph(judged, graphs),
                "jointly": sentences.jointly(judged),
                "binding": [
                    bottlenecks[pair]
                    for row in rows
                    if (row["best"] or row["is_baseline"])
                    and (pair := (row["machine"], row["key"])) in bottlenecks
                ],
                "cautions": sentences.cautions(judged)
                + lumps.cautions(judged)
                + same_graph.same_cautions(rows, repeated)
                + same_graph.cautions(judged, graphs),
                "rows": _rows(rows, by_key, graphs),
                "names": {name: rows[0][name] for name in table.SCENE},
            }
        )
    scenes.sort(key=lambda scene: len(scene["rows"]) < 2)  # comparisons first
    machines = _machines(runs)
    joules = any(name.endswith("_joules_per_example") for name in samples)
    return {
        "scenes": scenes,
        "errors": _errors(runs),
        "machines": machines,
        "several_machines": len(machines) > 1,
        "about": text.visible(glossary.about(samples), 120),
        "glossary": glossary.entries(trials, joules=joules),
        "notes": [text.visible(note) for note in notes],
        "ranked": trials,
        "runs": len(runs),
        "samples": int(samples["seconds_per_batch"].notna().sum()),
        "trials": len(trials),
    }


def _with_repeated(
    samples: pd.DataFrame, repeated: Mapping[tuple[str, str], str]
) -> pd.DataFrame:
    """Return the ranked trials, followed by the trials that repeat their computation.

    This order holds within each scene (set of comparable trials). The column `same_as`
    has the label of the trial whose computation a row repeats. The column is empty for
    ranked trials.
    """
    pairs = list(zip(samples["machine"], samples["key"], strict=True))
    again = np.array([pair in repeated for pair in pairs], bool)
    trials = ranked(samples[~again]).assign(same_as="")
    if not again.any():
        return trials
    others = ranked(samples[again])
    by = list(table.SCENE)
    scenes = trials.drop_duplicates(by)[[*by, "scene", "baseline"]]
    others = others.drop(columns=["scene", "baseline"]).merge(scenes, on=by)
    numbers = [f"{name}{end}" for name in ("factor", "lead") for end in ENDS]
    others = others.assign(
        **dict.fromkeys(numbers, np.nan),
        **dict.fromkeys(("is_baseline", "best", "ranked"), False),
        pairs=0,
        lead_pairs=0,
        same_as=[
            repeated[pair]
            for pair in zip(others["machine"], others["key"], strict=True)
        ],
    )
    joined = pd.concat([trials, others[trials.columns]])
    return joined.sort_values("scene", kind="stable", ignore_index=True)


def _bottlenecks(samples: pd.DataFrame) -> dict[tuple[str, str], str]:
    """Return a sentence on what limits each trained pipeline, by machine and key."""
    return {
        (row["machine"], row["key"]): sentence
        for row in bottleneck.attribute(samples).to_dict("records")
        if (sentence := bottleneck.sentence(row))
    }


def ranked(samples: pd.DataFrame) -> pd.DataFrame:
    """Return the trials sorted by scene, and within a scene by speed, fastest first.

    A scene is a set of trials that may be compared. Trials with a flag that excludes
    them from ranking come after the others, and failed trials come last.

    Args:
        samples: The table from `table.from_runs`.
    """
    trials = stats.trials(samples)
    if trials.empty:
        return trials
    barred = [
        sentences.barred(row) for row in trials[["runs", "flags"]].to_dict("records")
    ]
    trials = trials.assign(last=np.where(trials["runs"] > 0, barred, 2))
    order = ["scene", "last", "factor", "examples_per_second"]
    ordered = trials.sort_values(order, ascending=[True, True, False, False])
    return ordered.drop(columns="last")


def _rows(
    rows: Sequence[dict[str, object]],
    by_key: Mapping[str, Trial],
    graphs: Mapping[tuple[str, str], list[str]],
) -> list[dict[str, object]]:
    """Return the rows of a scene as text; a mark names rows that ran the same graph."""
    baseline = next((by_key[row["key"]] for row in rows if row["is_baseline"]), None)
    labels = {row["label"] for row in rows if not row["same_as"]}
    shown = []
    for row in rows:
        shown.append(_row(row, text.repeat_command(by_key[row["key"]], baseline)))
        twins = graphs.get((row["machine"], row["key"]), ())
        if not row["same_as"] and len(labels.intersection(twins)) > 1:
            shown[-1]["marks"].append("same graph")
    return shown


def _row(row: dict[str, object], command: str) -> dict[str, object]:
    rate, rate_bounds = text.rounded_with_bounds(row, "examples_per_second")
    factor, factor_bounds = text.rounded_with_bounds(row, "factor")
    marks = [glossary.MARKS.get(mark, mark) for mark in glossary.marks(row)]
    return {
        "pair": (row["machine"], row["key"]),
        "label": text.visible(row["label"], 120),
        "best": bool(row["best"]),
        "factor": "1" if row["is_baseline"] else factor,
        "factor_bounds": "" if row["is_baseline"] else factor_bounds,
        "verdict": verdict(row),
        "rate": rate,
        "rate_bounds": rate_bounds,
        "runs": int(row["runs"]),
        "failed": int(row["failed"]),
        "marks": [text.visible(mark, 40) for mark in marks],
        "command": text.visible(command, 2000),
    }


def verdict(row: dict[str, object]) -> str:
    """Return a trial's verdict against its baseline as text, or why it has none."""
    if not row["runs"]:
        return "failed"
    if row.get("same_as"):
        return f"same as {text.visible(row['same_as'], 80)}"
    if row["is_baseline"]:
        return "baseline, not ranked" if sentences.barred(row) else "baseline"
    if sentences.barred(row):
        return "not ranked"
    few = {1: "one", 2: "two"}.get(row["pairs"])
    if few:
        noun = "run" if row["runs"] == row["pairs"] else "round"
        return f"{UNKNOWN} ({few} {noun}{'s' * (few == 'two')})"
    return row["verdict"]


def _errors(runs: Sequence[Run]) -> list[dict[str, object]]:
    """Return each distinct error of a trial once, with the number of its runs."""
    counts: dict[tuple, int] = {}
    by_key = {run.key: run.trial for run in runs}
    for run in runs:
        if run.measured.error:
            key = run.key, run.measured.error
            counts[key] = counts.get(key, 0) + 1
    return [
        {
            "key": text.visible(key, 120),
            "type": text.visible(failure.type, 80),
            "message": text.visible(failure.message, 500),
            "first_line": text.visible(failures.sentence(failure), 600),
            "phase": text.visible(failure.phase, 40),
            "count": count,
            "command": text.visible(text.repeat_command(by_key[key]), 2000),
        }
        for (key, failure), count in counts.items()
    ]


def _machines(runs: Sequence[Run]) -> list[dict[str, object]]:
    """Return each machine with its label, number and days of runs, and facts."""
    machines: dict[str, dict[str, object]] = {}
    for run, label in zip(runs, table.machine_labels(runs), strict=True):
        machine = machines.setdefault(label, {"runs": 0, "facts": {}})
        machine["runs"] += 1
        machine["first"] = min(machine.get("first", run.started), run.started)
        machine["last"] = max(machine.get("last", run.started), run.started)
        for name, value in run.machine.items():
            if name == MEMBER:  # the host, which is a fact already
                continue
            machine["facts"].setdefault(name, {})[str(value)] = value
    return [
        {
            "label": text.visible(label),
            "runs": machine["runs"],
            "first": text.visible(machine["first"], 40),
            "last": text.visible(machine["last"], 40),
            "facts": {
                text.visible(name, 40).replace("_", " "): "; ".join(
                    _fact(name, value) for value in values.values()
                )
                for name, values in machine["facts"].items()
            },
        }
        for label, machine in machines.items()
    ]


def _fact(name: str, value: object) -> str:
    if name.endswith("_bytes") and isinstance(value, int | float):
        return f"{value / 2**30:.1f} GiB"
    if isinstance(value, list):
        value = ", ".join(str(item) for item in value) or "none"
    if value is None:
        return "none"
    return text.visible(value if value != "" else "not known")
