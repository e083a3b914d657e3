"""Trials that were asked for under two names and are one.

Some settings mean the same on a machine: without a GPU `jit=auto` is `jit=off`, since
Keras compiles nowhere else unless it must. Of such trials one is ranked. Others differ
in nothing but what the tf.data graph shows: parallelism, buffers, and what rewrites
made of it. Where rewrites make the plain pipeline parallel, or AUTOTUNE ends where a
pinned setting is, two rows are one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.analysis.table import machine_labels
from bench.pipeline import AXES, differences
from bench.report.labels import names
from bench.report.sentences import Caution, Row, listed
from bench.stages import let_go
from bench.trial import Run

IN_GRAPH = (
    *("map_parallel_calls", "interleave_parallel_calls", "prefetch", "rewrites"),
)
FIELDS = ("name", "inputs", "parallelism", "buffer_size")
REMEDY = "Count them as one: what sets them apart is noise, or AUTOTUNE's way there."

SAME = "are one computation on this machine, and only the first is ranked."
SAME_REMEDY = "Take what sets them apart as the noise of measuring; leave one out."


def same(runs: Sequence[Run]) -> dict[tuple[str, str], str]:
    """The trials that repeat another one's computation, with the label of that one.

    The one with the fewest settings is measured for all of them; no figure decides.

    Returns:
        By machine and key.
    """
    groups: dict[tuple, dict[tuple[str, str], Run]] = {}
    for run, label in zip(runs, machine_labels(runs), strict=True):
        if not run.measured.error:
            groups.setdefault((label, *_resolved(run)), {})[label, run.key] = run
    found = {}
    for group in groups.values():
        first, *others = sorted(group, key=lambda pair: _plainness(group[pair]))
        found |= dict.fromkeys(others, group[first].trial.label)
    return found


def same_cautions(
    rows: Sequence[Row], found: Mapping[tuple[str, str], str]
) -> list[Caution]:
    """A caution for each trial of a scene that others repeat.

    Args:
        rows: The scene's trials.
        found: From `same`.
    """
    labels = [row["label"] for row in rows]
    called = names(labels)
    groups: dict[str, list[str]] = {}
    for row in rows:
        first = found.get((row["machine"], row["key"]))
        if first in called:
            groups.setdefault(first, [first]).append(row["label"])
    return [
        Caution(f"{listed([called[label] for label in group])}: {SAME}", SAME_REMEDY)
        for group in groups.values()
    ]


def same_graphs(runs: Sequence[Run]) -> dict[tuple[str, str], list[str]]:
    """For each machine and key with twins, the labels of all of them, itself included.

    Args:
        runs: The records; a trial's graph is that of its last run, and not that of
            which a shuffle has let go in part.
    """
    last = {
        (label, run.key): run
        for run, label in zip(runs, machine_labels(runs), strict=True)
        if run.measured.graph and not let_go(run.measured.graph)
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
    rows: Sequence[Row], found: Mapping[tuple[str, str], list[str]]
) -> list[Caution]:
    """A caution for each set of trials of a scene that ran one graph.

    Args:
        rows: The scene's trials.
        found: From `of`.
    """
    called = names([row["label"] for row in rows])
    pairs = [(row["machine"], row["key"]) for row in rows]
    sets = dict.fromkeys(tuple(found[pair]) for pair in pairs if pair in found)
    made = []
    for some in sets:
        own = [called[label] for label in some if label in called]
        if len(own) > 1:
            made.append(Caution(f"{listed(own)}: ran the same graph.", REMEDY))
    return made


def one_graph(rows: Sequence[Row], found: Mapping[tuple[str, str], list[str]]) -> str:
    """The end of a scene's sentence where its best ran the same graph as others.

    Args:
        rows: The scene's trials.
        found: From `of`.
    """
    best = next((row for row in rows if row["best"]), None)
    called = names([row["label"] for row in rows])
    some = found.get((best["machine"], best["key"]), []) if best else []
    others = [n for n in some if n in called and n != best["label"]]
    if not others:
        return ""
    who = listed([called[label] for label in others])
    return f" {called[best['label']]} ran the same graph as {who}: count them as one."


def _plainness(run: Run) -> tuple[int, str]:
    return len(differences(run.trial.pipeline)), run.key


def _resolved(run: Run) -> tuple:
    """What a trial's settings come to on its machine."""
    trial, p = run.trial, run.trial.pipeline
    settings = {name: getattr(p, name) for name in AXES}
    settings["device"] = "gpu" if "GPU" in run.measured.device else "cpu"
    without_gpu = not run.machine.get("gpus") and "xla_off" not in run.measured.flags
    if p.jit == "auto" and without_gpu:
        settings["jit"] = "off"
    if p.cpus == run.machine.get("cpu_count"):
        settings["cpus"] = 0
    asked = (trial.workload, trial.consumer, trial.unit, trial.data)
    return *asked, *settings.values()


def _signature(machine: str, run: Run) -> tuple:
    trial = run.trial
    settings = (getattr(trial.pipeline, n) for n in AXES if n not in IN_GRAPH)
    nodes = (tuple(str(node.get(f)) for f in FIELDS) for node in run.measured.graph)
    asked = (trial.workload, trial.consumer, trial.unit, trial.data)
    return machine, *asked, *settings, *nodes
