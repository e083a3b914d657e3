"""This module finds trials with different settings that run the same computation.

Some settings mean the same on a machine: without a GPU `jit=auto` is `jit=off`, because
Keras then compiles only where it must. One of such trials is ranked. Other trials have
settings that show in the tf.data graph alone: parallelism, buffers and rewrites. Such
trials run the same graph where rewrites make the plain pipeline parallel, or where
AUTOTUNE ends at a pinned setting.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.analysis.table import machine_labels
from bench.pipeline import AXES, differences
from bench.report.labels import names
from bench.report.sentences import Caution, Row, listed
from bench.stages import shuffle_released_inputs
from bench.trial import Run

IN_GRAPH = (
    *("map_parallel_calls", "interleave_parallel_calls", "prefetch", "rewrites"),
)
FIELDS = ("name", "inputs", "parallelism", "buffer_size")
REMEDY = "Count them as one: their difference is noise, or AUTOTUNE's search."

SAME = "are one computation on this machine, and only the first is ranked."
SAME_REMEDY = "Their difference is the noise of measuring; leave one out."


def same(runs: Sequence[Run]) -> dict[tuple[str, str], str]:
    """Return the trials that only repeat the computation of another trial.

    Of trials with one computation the trial with the fewest settings is ranked, so that
    measured times play no part in the choice.

    Returns:
        The label of the ranked trial, by (machine's label, key) of a repeating trial.
    """
    groups: dict[tuple, dict[tuple[str, str], Run]] = {}
    for run, label in zip(runs, machine_labels(runs), strict=True):
        if not run.measured.error:
            groups.setdefault((label, *_resolved(run)), {})[label, run.key] = run
    repeated = {}
    for group in groups.values():
        first, *others = sorted(group, key=lambda pair: _plainness(group[pair]))
        repeated |= dict.fromkeys(others, group[first].trial.label)
    return repeated


def same_cautions(
    rows: Sequence[Row], repeated: Mapping[tuple[str, str], str]
) -> list[Caution]:
    """Return a caution for each trial whose computation other trials repeat.

    A caution is a sentence on something that weakens a result, with a remedy.

    Args:
        rows: The rows of one scene, a set of comparable trials.
        repeated: The result of `same`.
    """
    labels = [row["label"] for row in rows]
    name_of = names(labels)
    groups: dict[str, list[str]] = {}
    for row in rows:
        first = repeated.get((row["machine"], row["key"]))
        if first in name_of:
            groups.setdefault(first, [first]).append(row["label"])
    return [
        Caution(f"{listed([name_of[label] for label in group])}: {SAME}", SAME_REMEDY)
        for group in groups.values()
    ]


def same_graphs(runs: Sequence[Run]) -> dict[tuple[str, str], list[str]]:
    """Return, for each trial, the labels of all trials that ran the same tf.data graph.

    The keys are (machine's label, trial's key). A trial whose graph is unique is left
    out.

    Args:
        runs: The stored runs. A trial's graph is the graph of its last run. A graph
            that a shuffle has released in part does not count.
    """
    last = {
        (label, run.key): run
        for run, label in zip(runs, machine_labels(runs), strict=True)
        if run.measured.graph and not shuffle_released_inputs(run.measured.graph)
    }
    alike: dict[tuple, list[tuple[tuple[str, str], str]]] = {}
    for pair, run in last.items():
        signature = _signature(pair[0], run)
        alike.setdefault(signature, []).append((pair, run.trial.label))
    return {
        pair: [label for _, label in some]
        for some in alike.values()
        if len(some) > 1
        for pair, _ in some
    }


def cautions(
    rows: Sequence[Row], graphs: Mapping[tuple[str, str], list[str]]
) -> list[Caution]:
    """Return a caution for each set of trials that ran the same tf.data graph.

    A caution is a sentence on something that weakens a result, with a remedy.

    Args:
        rows: The rows of one scene, a set of comparable trials.
        graphs: The result of `same_graphs`.
    """
    name_of = names([row["label"] for row in rows])
    pairs = [(row["machine"], row["key"]) for row in rows]
    sets = dict.fromkeys(tuple(graphs[pair]) for pair in pairs if pair in graphs)
    own = ([name_of[label] for label in some if label in name_of] for some in sets)
    return [
        Caution(f"{listed(some)}: ran the same graph.", REMEDY)
        for some in own
        if len(some) > 1
    ]


def one_graph(rows: Sequence[Row], graphs: Mapping[tuple[str, str], list[str]]) -> str:
    """Return a sentence if the best trial ran the same graph as others; else empty.

    Args:
        rows: The rows of one scene, a set of comparable trials.
        graphs: The result of `same_graphs`.
    """
    best = next((row for row in rows if row["best"]), None)
    name_of = names([row["label"] for row in rows])
    some = graphs.get((best["machine"], best["key"]), []) if best else []
    others = [n for n in some if n in name_of and n != best["label"]]
    if not others:
        return ""
    who = listed([name_of[label] for label in others])
    return f" {name_of[best['label']]} ran the same graph as {who}: count them as one."


def _plainness(run: Run) -> tuple[int, str]:
    return len(differences(run.trial.pipeline)), run.key


def _resolved(run: Run) -> tuple:
    """Return a key that is equal for trials with the same computation on a machine.

    Settings that have no effect on the machine get their plain value.
    """
    trial, p = run.trial, run.trial.pipeline
    settings = {name: getattr(p, name) for name in AXES}
    settings["device"] = "gpu" if "GPU" in run.measured.device else "cpu"
    without_gpu = not run.machine.get("gpus") and "xla_off" not in run.measured.flags
    if p.jit == "auto" and without_gpu:
        settings["jit"] = "off"
    if p.cpus == run.machine.get("cpu_count"):
        settings["cpus"] = 0
    scene = (trial.workload, trial.consumer, trial.unit, trial.data)
    return *scene, *settings.values()


def _signature(machine: str, run: Run) -> tuple:
    """Return a key that is equal for runs of the same tf.data graph on a machine."""
    trial = run.trial
    settings = (getattr(trial.pipeline, n) for n in AXES if n not in IN_GRAPH)
    nodes = (tuple(str(node.get(f)) for f in FIELDS) for node in run.measured.graph)
    scene = (trial.workload, trial.consumer, trial.unit, trial.data)
    return machine, *scene, *settings, *nodes
