"""Trials that were asked for under two names and ran one graph.

tf.data's graph shows parallelism, buffers and what rewrites made of it, so trials that
differ in nothing but these are told apart by it, or not at all. Where rewrites make the
plain pipeline parallel, or AUTOTUNE ends where a pinned setting is, two rows are one.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench.answers import Caution, listed
from bench.naming import names
from bench.pipeline import AXES
from bench.stages import let_go
from bench.table import machine_labels
from bench.trial import Run

IN_GRAPH = (
    *("map_parallel_calls", "interleave_parallel_calls", "prefetch", "rewrites"),
)
FIELDS = ("name", "inputs", "parallelism", "buffer_size")
REMEDY = "Count them as one: what sets them apart is noise, or AUTOTUNE's way there."


def of(runs: Sequence[Run]) -> dict[tuple[str, str], list[str]]:
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
    pairs: Sequence[tuple[str, str]],
    labels: Sequence[str],
    found: dict[tuple[str, str], list[str]],
) -> list[Caution]:
    """A caution for each set of twins in a scene.

    Args:
        pairs: Machine and key of the scene's trials.
        labels: Their labels, as long.
        found: From `of`.
    """
    called = names(labels)
    sets = dict.fromkeys(tuple(found[pair]) for pair in pairs if pair in found)
    made = []
    for some in sets:
        who = listed([called[label] for label in some])
        made.append(Caution(f"{who}: ran the same graph.", REMEDY))
    return made


def _signature(machine: str, run: Run) -> tuple:
    trial = run.trial
    settings = (getattr(trial.pipeline, n) for n in AXES if n not in IN_GRAPH)
    nodes = (tuple(str(node.get(f)) for f in FIELDS) for node in run.measured.graph)
    asked = (trial.workload, trial.consumer, trial.unit, trial.data)
    return machine, *asked, *settings, *nodes
