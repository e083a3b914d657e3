"""What stands behind a row of the report: samples, pipeline, executed graph, error."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from bench import failures, text
from bench.analysis.table import machine_labels
from bench.pipeline import AXES, differences
from bench.trial import Run

MOST_VALUES = 400  # samples of a trial that are spelled out


def details(
    runs: Sequence[Run], wanted: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], dict[str, object]]:
    """The details of trials, each by its machine's label and its key.

    Args:
        runs: The records.
        wanted: Labels of machines and keys of trials, as in the table.
    """
    found: dict[tuple[str, str], list[Run]] = {pair: [] for pair in wanted}
    for run, label in zip(runs, machine_labels(runs), strict=True):
        pair = label, run.key
        if pair in found:
            found[pair].append(run)
    return {pair: _details(own) for pair, own in found.items() if own}


def defaults() -> str:
    """Every axis at its default, which the details do not repeat."""
    return _settings({name: axis.default for name, axis in AXES.items()})


def _details(runs: Sequence[Run]) -> dict[str, object]:
    graphs = [run.measured.graph for run in runs if run.measured.graph]
    errors = [run.measured.error for run in runs if run.measured.error]
    facts = {n: v for run in runs for n, v in run.measured.facts.items()}
    return {
        "key": text.visible(runs[0].key, 300),
        "samples": _samples(runs),
        "values": _values(runs),
        "pipeline": _settings(differences(runs[0].trial.pipeline)) or "the defaults",
        "graph": _graph(graphs[-1]) if graphs else [],
        "facts": text.visible(_settings(facts), 600),
        "errors": [
            text.visible(failures.sentence(error, whole=True), 500)
            for error in dict.fromkeys(errors)
        ],
    }


def _samples(runs: Sequence[Run]) -> str:
    medians = [np.median(r.measured.samples) for r in runs if r.measured.samples]
    if not medians:
        return "none"
    count = sum(len(run.measured.samples) for run in runs)
    median = text.figure(1000 * float(np.median(medians)))
    return f"{count:,} in {len(medians)} runs, median {median} ms a batch"


def _values(runs: Sequence[Run]) -> list[str]:
    """Milliseconds a batch, a line a run, as many as fit."""
    lines, left = [], MOST_VALUES
    for run in runs:
        shown = run.measured.samples[:left]
        if shown:
            values = " ".join(f"{1000 * seconds:.4g}" for seconds in shown)
            cut = " ..." if len(shown) < len(run.measured.samples) else ""
            lines.append(f"round {run.round}: {values}{cut}")
        left -= len(shown)
    return lines


def _settings(values: dict[str, object]) -> str:
    return ", ".join(f"{name}={_plain(value)}" for name, value in values.items())


def _graph(nodes: Sequence[dict[str, object]]) -> list[dict[str, str]]:
    """Its nodes from source to root, each cell as text."""
    return [
        {
            "node": text.visible(node.get("name", "?"), 60),
            "inputs": ", ".join(str(i) for i in node.get("inputs", ())),
            "parallelism": _plain(node.get("parallelism", "")),
            "buffer": _plain(node.get("buffer_size", "")),
            "elements": _plain(node.get("elements", "")),
            "seconds": text.figure(float(node.get("processing_seconds", 0))),
        }
        for node in nodes
    ]


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else text.visible(value, 200)
