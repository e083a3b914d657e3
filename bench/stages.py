"""Where a pipeline's time goes, by stage, from the graph that ran."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

STAGES = ("source", "map", "batch", "cache", "other")
_COUNTED_APART = ("Root", "Shard", "Skip")  # what the harness puts behind
_OPENS = ("Interleave", "FlatMap", "Load", "Snapshot")
_SOURCES = ("TensorSlice", "FromTensor", "TFRecord", "TextLine", "Repeat", "Sleep")


def let_go(graph: Sequence[Mapping[str, object]]) -> bool:
    """Whether a shuffle has let go of all that is before it, which nobody then sees.

    It does so when it has read that to its end: at once and in every pass, where its
    buffer has room for all examples.

    Args:
        graph: From `graph.executed_graph`.
    """
    return any("Shuffle" in str(n["name"]) and not n["inputs"] for n in graph)


def seconds_per_batch(graph: Sequence[Mapping[str, object]]) -> dict[str, float]:
    """Busy seconds a batch in each of `STAGES`; empty without a graph, or a whole one.

    The sum over the nodes of a stage of processing seconds, over the batches that left
    the pipeline. What several threads do at once adds up, so the sum may be more than
    the time on the clock. Nodes in front of a `repeat` are made anew in every pass and
    tell of the last one only; they are scaled to all its elements, and so are those of
    one file behind an interleave, whose first input lists the files. All that stands
    before the last node that opens files is the source, `Sleep` (storage latency) too.
    The root, the shard that stands for a window and the skip before the first one are
    the harness's and left out.

    Args:
        graph: From `graph.executed_graph`, source first.
    """
    seconds = node_seconds_per_batch(graph)
    if not seconds:
        return {}
    found = dict.fromkeys(STAGES, 0.0)
    opens = [
        place for place, node in enumerate(graph) if _any(str(node["name"]), _OPENS)
    ]
    in_source = {p for place in opens for p in _upstream(graph, place)}
    for place, node in enumerate(graph):
        if is_harness(str(node["name"])):
            continue
        stage = "source" if place in in_source else _stage(str(node["name"]))
        found[stage] += seconds[place]
    return found


def node_seconds_per_batch(graph: Sequence[Mapping[str, object]]) -> list[float]:
    """Busy seconds a batch in each node, source first; empty where nothing tells."""
    own = [n for n in graph if not is_harness(str(n["name"]))]
    batches = float(own[-1]["elements"]) if own else 0.0
    if not batches or let_go(graph):
        return []
    return [
        float(node["processing_seconds"]) * scale / batches
        for node, scale in zip(graph, _scales(graph), strict=True)
    ]


def is_harness(name: str) -> bool:
    """Whether a node is the harness's own: the root, a window's shard or its skip."""
    return _any(name, _COUNTED_APART)


@functools.cache
def _stage(name: str) -> str:
    if "Cache" in name:
        return "cache"
    if _any(name, _SOURCES):
        return "source"
    for word, stage in {"Map": "map", "Filter": "map", "Batch": "batch"}.items():
        if word in name:
            return stage
    return "other"


def _scales(graph: Sequence[Mapping[str, object]]) -> list[float]:
    """How often each node's like has worked in all, by the elements handed on."""
    scales = [1.0] * len(graph)
    for place in range(len(graph) - 1, -1, -1):  # from the root up, so they multiply
        node, name = graph[place], str(graph[place]["name"])
        again = list(node["inputs"]) if "Repeat" in name else []
        if _any(str(node["name"]), _OPENS) and len(node["inputs"]) > 1:
            again = [i for i in node["inputs"] if i != max(node["inputs"])]
        seen = sum(float(graph[before]["elements"]) for before in again)
        if seen:
            passes = max(1.0, float(node["elements"]) / seen)
            for above in {p for before in again for p in _upstream(graph, before)}:
                scales[above] *= passes
    return scales


def _upstream(graph: Sequence[Mapping[str, object]], place: int) -> set[int]:
    """A node and all that feed it."""
    found, waiting = set(), [place]
    while waiting:
        here = waiting.pop()
        if here not in found:
            found.add(here)
            waiting += graph[here]["inputs"]
    return found


@functools.cache  # there are few names, and many nodes
def _any(name: str, words: tuple[str, ...]) -> bool:
    return any(word in name for word in words)
