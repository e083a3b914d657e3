"""The tf.data graph that really ran, as the runtime tells it."""

import time
from pathlib import Path

import tensorflow as tf

from bench.measure.sources import folder_bytes
from bench.pipeline import Pipeline
from bench.stages import let_go

SETTLED_SECONDS = 0.05
STRING_BYTES = 24  # of a string's handle, which tf.data counts beside its characters


def executed_graph(iterator: object) -> list[dict[str, object]]:
    """The nodes of an iterator's graph, source first.

    Each has a name, its `inputs` by index, `parallelism` and `buffer_size` as they
    were set or as AUTOTUNE chose them, `elements`, `processing_seconds` spent in the
    node itself, and `buffered_bytes`.
    """
    model = _model(iterator)
    numbers = sorted(model.nodes, reverse=True)  # the runtime numbers the root first
    index = {number: place for place, number in enumerate(numbers)}
    nodes = []
    for number in numbers:
        node = model.nodes[number]
        record: dict[str, object] = {
            "name": node.name,
            "inputs": [index[i] for i in node.inputs if i in index],
            "elements": node.num_elements,
            "processing_seconds": node.processing_time / 1e9,
            "buffered_bytes": node.buffered_bytes,
        }
        for parameter in node.parameters:
            if parameter.name in ("parallelism", "buffer_size"):
                record[parameter.name] = parameter.state_value or parameter.value
        nodes.append(record)
    return nodes


def _model(iterator: object) -> object:
    """The runtime's model of an iterator, whole: the fullest of several.

    At an epoch's end a repeat drops what is upstream, node by node, and makes it anew
    while other threads go on: whoever asks then is told of a part. No name tells that a
    part is one, so it is asked again until for a while there was nothing more. Without
    other threads nothing moves while it is asked.
    """
    found = tf.data.experimental.get_model_proto(iterator)
    parameters = [p for node in found.nodes.values() for p in node.parameters]
    since = time.monotonic()
    while parameters and time.monotonic() - since < SETTLED_SECONDS:
        time.sleep(0.002)
        again = tf.data.experimental.get_model_proto(iterator)
        if len(again.nodes) > len(found.nodes):
            found, since = again, time.monotonic()
    return found


def cache_facts(
    p: Pipeline,
    graph: list[dict[str, object]],
    scratch: Path,
    dataset: tf.data.Dataset,
) -> dict[str, float | str]:
    """Whether the cache was filled and served, and the bytes that it holds.

    A cache that serves has nothing upstream of it in the executed graph. The runtime
    counts only the handles of sparse and ragged tensors: for such elements one more
    pass counts the bytes. The fact is left out where no figure is known: where a
    shuffle behind a cache in memory let go of it, or where elements are datasets.

    Args:
        p: The pipeline.
        graph: The nodes that ran, from `executed_graph`.
        scratch: The folder that has the files of a cache on disk.
        dataset: The pipeline's dataset.
    """
    if p.cache == "none":
        return {}
    caches = [node for node in graph if "Cache" in str(node["name"])]
    above = [str(graph[i]["name"]) for node in caches for i in node["inputs"]]
    serving = all("Cache" in name for name in above) if caches else let_go(graph)
    cached = _cached(dataset)
    if p.cache_storage == "disk":
        folder = scratch / "cache"
        serving = serving and not list(folder.glob("*.lockfile"))
        held = [folder_bytes(folder)]
    elif _dense(cached.element_spec):
        held = [int(node["buffered_bytes"]) for node in caches]
    else:
        held = [elements_bytes(cached)] if serving and _countable(cached) else []
    known = {"cache_bytes": max(held)} if held else {}
    return {"cache_filled": "yes" if serving else "no", **known}


def elements_bytes(dataset: tf.data.Dataset) -> int:
    """The bytes of all elements of a finite dataset, from one pass over them.

    A sparse tensor counts by its indices, values and shape, a ragged one by its values
    and row splits, a string by its characters and its handle.
    """

    def add(total: tf.Tensor, *element: object) -> tf.Tensor:
        return total + sum(map(_bytes, _components(element)))

    return int(dataset.reduce(tf.constant(0, tf.int64), add))


def _cached(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """The dataset of the `cache` axis: of several caches the one nearest the source."""
    found, waiting = dataset, [dataset]
    while waiting:
        here = waiting.pop(0)
        found = here if type(here).__name__ == "CacheDataset" else found
        waiting += here._inputs()
    return found


def _components(element: object) -> list:
    return tf.nest.flatten(element, expand_composites=True)


def _dense(spec: object) -> bool:
    return all(isinstance(part, tf.TensorSpec) for part in tf.nest.flatten(spec))


def _countable(dataset: tf.data.Dataset) -> bool:
    return all(part.dtype != tf.variant for part in _components(dataset.element_spec))


def _bytes(tensor: tf.Tensor) -> tf.Tensor:
    count = tf.size(tensor, tf.int64)
    if tensor.dtype != tf.string:
        return count * tensor.dtype.size
    lengths = tf.cast(tf.strings.length(tensor), tf.int64)
    return count * STRING_BYTES + tf.reduce_sum(lengths)
