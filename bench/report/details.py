"""Details are the facts behind a report's row, such as samples, steps and errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from bench import catalog, failures, text
from bench.analysis.table import machine_labels
from bench.data import source
from bench.errors import UsageError
from bench.pipeline import AXES, differences, steps
from bench.trial import REQUESTING, Run, Trial

MOST_VALUES = 400  # samples of a trial that are shown
ENERGY = {  # facts of `bench.measure.energy`
    "package_joules_per_example": "processor packages",
    "gpu_joules_per_example": "GPUs",
}


def details(
    runs: Sequence[Run], wanted: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], dict[str, object]]:
    """Return the facts behind each trial, by (machine's label, trial's key).

    Args:
        runs: The stored runs.
        wanted: The label of the machine and the key of each trial, as in the table.
    """
    by_trial: dict[tuple[str, str], list[Run]] = {pair: [] for pair in wanted}
    for run, label in zip(runs, machine_labels(runs), strict=True):
        pair = label, run.key
        if pair in by_trial:
            by_trial[pair].append(run)
    return {pair: _details(own) for pair, own in by_trial.items() if own}


def defaults() -> str:
    """Return the default of every axis as text; details show only other values."""
    return _settings({name: axis.default for name, axis in AXES.items()})


def _details(runs: Sequence[Run]) -> dict[str, object]:
    """Return the facts behind a trial, from all its runs."""
    trial = runs[0].trial
    graphs = [run.measured.graph for run in runs if run.measured.graph]
    errors = [run.measured.error for run in runs if run.measured.error]
    facts = {n: v for run in runs for n, v in run.measured.facts.items()}
    others = {name: value for name, value in facts.items() if name not in ENERGY}
    return {
        "key": text.visible(runs[0].key, 300),
        "samples": _samples(runs),
        "values": _values(runs),
        "pipeline": _settings(differences(trial.pipeline)) or "the defaults",
        "steps": _steps(trial),
        "graph": _graph(graphs[-1]) if graphs else [],
        "energy": _energy(facts),
        "facts": text.visible(_settings(others), 600),
        "errors": [
            text.visible(failures.sentence(error, whole=True), 500)
            for error in dict.fromkeys(errors)
        ],
    }


def _steps(trial: Trial) -> str:
    """Return the steps of a trial's pipeline in order, as a line of text.

    The line is empty if the workload's file is not here, so that nothing is known of
    its decoding, and if the consumer serves requests, because no pipeline runs then.
    """
    if trial.consumer in REQUESTING:
        return ""
    try:
        entry = source.entry_for(catalog.find(trial.workload), trial.data)
    except (UsageError, OSError):  # OSError: the name is too long for a path
        return ""
    # `offline` stores decoded examples.
    decodes = entry.decodes and not trial.pipeline.place.stores_outputs
    names = steps(
        trial.pipeline,
        decodes=decodes,
        decodes_batches=entry.decodes_batches,
        repeat=trial.unit == "window",
    )
    return " \u2192 ".join(map(str, names))


def _energy(facts: Mapping[str, float | str]) -> str:
    """Return the joules an example of processors and GPUs, as text."""
    return ", ".join(
        f"{text.figure(float(facts[name]))} joules an example in the {where}"
        for name, where in ENERGY.items()
        if name in facts
    )


def _samples(runs: Sequence[Run]) -> str:
    medians = [np.median(r.measured.samples) for r in runs if r.measured.samples]
    if not medians:
        return "none"
    count = sum(len(run.measured.samples) for run in runs)
    median = text.figure(1000 * float(np.median(medians)))
    return f"{count:,} in {len(medians)} runs, median {median} ms a batch"


def _values(runs: Sequence[Run]) -> list[str]:
    """Return a trial's samples in milliseconds a batch, a line of text for each run.

    There are at most `MOST_VALUES` samples in all.
    """
    lines, left = [], MOST_VALUES
    for run in runs:
        shown = run.measured.samples[:left]
        if shown:
            values = " ".join(f"{1000 * seconds:.4g}" for seconds in shown)
            lines.append(f"round {run.round}: {values}")
        left -= len(shown)
    rest = sum(len(run.measured.samples) for run in runs) - MOST_VALUES
    return [*lines, f"... and {rest} more in runs.jsonl"] if rest > 0 else lines


def _settings(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={_plain(value)}" for name, value in values.items())


def _graph(nodes: Sequence[Mapping[str, object]]) -> list[dict[str, str]]:
    """Return the nodes of a tf.data graph from source to root, all values as text."""
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
