"""This module computes the busy seconds a batch of each tf.data stage, such as `map`.

The seconds come from the nodes of the `tf.data` graph that ran.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

STAGES = ("source", "map", "batch", "cache", "other")
_OF_HARNESS = ("Root", "Shard", "Skip")  # nodes that the suite appends
_OPENS = ("Interleave", "FlatMap", "Load", "Snapshot")
_SOURCES = ("TensorSlice", "FromTensor", "TFRecord", "TextLine", "Repeat", "Sleep")


def shuffle_released_inputs(graph: Sequence[Mapping[str, object]]) -> bool:
    """Return whether the graph lacks the nodes before a shuffle, which released them.

    A shuffle releases its inputs when it has read them to their end. If its buffer has
    room for all examples, that is so in every pass over the data.

    Args:
        graph: The nodes from `measure.graph.executed_graph`.
    """
    return any("Shuffle" in str(n["name"]) and not n["inputs"] for n in graph)


def seconds_per_batch(graph: Sequence[Mapping[str, object]]) -> dict[str, float]:
    """Return busy seconds a batch of each stage in `STAGES`, from the graph that ran.

    The result is empty if the graph is incomplete. The value of a stage is the sum of
    its nodes' processing seconds, divided by the number of batches that left the
    pipeline. Times of parallel threads add up, so the sum may exceed the time on the
    clock. All nodes before the last node that opens files belong to the source, `Sleep`
    (storage latency) included.

    TensorFlow creates the nodes before a `repeat` again in every pass, so their figures
    cover only the last pass; they are scaled to all elements. The same holds for the
    nodes of one file before an interleave, whose first input lists the files. The nodes
    that the suite appends are left out: the root, the shard of a window, and the skip
    before the first window.

    Args:
        graph: The nodes from `measure.graph.executed_graph`, source first.
    """
    by_node = node_seconds_per_batch(graph)
    if not by_node:
        return {}
    seconds = dict.fromkeys(STAGES, 0.0)
    opens = [
        place for place, node in enumerate(graph) if _any(str(node["name"]), _OPENS)
    ]
    in_source = {p for place in opens for p in _upstream(graph, place)}
    for place, node in enumerate(graph):
        if is_harness(str(node["name"])):
            continue
        stage = "source" if place in in_source else _stage(str(node["name"]))
        seconds[stage] += by_node[place]
    return seconds


def node_seconds_per_batch(graph: Sequence[Mapping[str, object]]) -> list[float]:
    """Return busy seconds a batch of each node of the graph that ran.

    The list is empty if the graph is incomplete.

    Args:
        graph: The nodes from `measure.graph.executed_graph`, source first.
    """
    own = [node for node in graph if not is_harness(str(node["name"]))]
    batches = float(own[-1]["elements"]) if own else 0.0
    if not batches or shuffle_released_inputs(graph):
        return []
    return [
        float(node["processing_seconds"]) * scale / batches
        for node, scale in zip(graph, _scales(graph), strict=True)
    ]


def batches_in_work(graph: Sequence[Mapping[str, object]]) -> float:
    """Return on how many batches a pipeline's own threads work at a time, at the most.

    An example in work counts as its share of a batch. A prefetch has one in work.

    Args:
        graph: The nodes from `measure.graph.executed_graph`, source first.
    """
    scales = _scales(graph)
    own = [n for n, node in enumerate(graph) if not is_harness(str(node["name"]))]
    batches = float(graph[own[-1]]["elements"]) if own else 0.0
    in_work = 0.0
    for place in own:
        node, elements = graph[place], float(graph[place]["elements"]) * scales[place]
        calls = float(node.get("parallelism", "Prefetch" in str(node["name"])))
        if calls and elements:
            in_work += calls * min(1.0, batches / elements)
    return in_work


def is_harness(name: str) -> bool:
    """Return whether this suite, and not the user, appended a node with this name.

    Such nodes are the root, the shard of a timed window, and the skip before it.
    """
    return _any(name, _OF_HARNESS)


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
    """Return the factor that scales each node's last pass to all passes.

    The factor is the number of elements that left the node's `repeat` or interleave,
    over the number that entered it in the last pass.
    """
    scales = [1.0] * len(graph)
    for place in range(len(graph) - 1, -1, -1):  # from the root up, so scales multiply
        node, name = graph[place], str(graph[place]["name"])
        repeated = list(node["inputs"]) if "Repeat" in name else []
        if _any(str(node["name"]), _OPENS) and len(node["inputs"]) > 1:
            repeated = [i for i in node["inputs"] if i != max(node["inputs"])]
        count = sum(float(graph[before]["elements"]) for before in repeated)
        if count:
            passes = max(1.0, float(node["elements"]) / count)
            for above in {p for before in repeated for p in _upstream(graph, before)}:
                scales[above] *= passes
    return scales


def _upstream(graph: Sequence[Mapping[str, object]], place: int) -> set[int]:
    """Return the indices of a node and of all nodes that feed it."""
    places, waiting = set(), [place]
    while waiting:
        here = waiting.pop()
        if here not in places:
            places.add(here)
            waiting += graph[here]["inputs"]
    return places


@functools.cache  # few names, many nodes
def _any(name: str, words: tuple[str, ...]) -> bool:
    return any(word in name for word in words)
