"""This module reads the tf.data graph that ran, from the runtime."""

import time
from pathlib import Path

import tensorflow as tf

from bench.measure.sources import folder_bytes
from bench.pipeline import Pipeline
from bench.stages import shuffle_released_inputs

SETTLED_SECONDS = 0.05  # without a new node, after which a graph counts as complete
STRING_BYTES = 24  # of a string's handle, which tf.data counts beside its characters


def executed_graph(
    iterator: object, *, settled: bool = True
) -> list[dict[str, object]]:
    """Return the nodes of an iterator's graph, source first.

    A node has `name`, `inputs` (indices of nodes), `elements`, `buffered_bytes`, and
    `processing_seconds` spent in the node itself. `parallelism` and `buffer_size` are
    present where they were set or where AUTOTUNE chose them.

    Args:
        iterator: The iterator.
        settled: Whether to wait until no node appears any more, which takes 50 ms. A
            reading without that may lack nodes while an epoch begins.
    """
    if settled:
        model = _model(iterator)
    else:
        model = tf.data.experimental.get_model_proto(iterator)
    numbers = sorted(model.nodes, reverse=True)  # the runtime numbers the root first
    index = {number: position for position, number in enumerate(numbers)}
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
    """Return the runtime's model of an iterator: the largest of several readings.

    At the end of an epoch a repeat drops the nodes upstream and creates them again, one
    by one, while other threads run. A reading in that time has only a part of the
    nodes, and nothing marks it as a part. Therefore the function reads until no new
    node has appeared for a while. Without other threads the first reading is complete.
    """
    model = tf.data.experimental.get_model_proto(iterator)
    parameters = [p for node in model.nodes.values() for p in node.parameters]
    since = time.monotonic()
    while parameters and time.monotonic() - since < SETTLED_SECONDS:
        time.sleep(0.002)
        reading = tf.data.experimental.get_model_proto(iterator)
        if len(reading.nodes) > len(model.nodes):
            model, since = reading, time.monotonic()
    return model


def cache_facts(
    p: Pipeline,
    graph: list[dict[str, object]],
    scratch: Path,
    dataset: tf.data.Dataset,
) -> dict[str, float | str]:
    """Return whether the cache was filled and served, and its size in bytes.

    A cache that serves has no node upstream in the executed graph. The runtime counts
    only the handles of sparse and ragged tensors; for these one more pass counts the
    bytes. `cache_bytes` is absent where the size is unknown: where a shuffle has
    released a cache in memory, or where elements are datasets.

    Args:
        p: The pipeline.
        graph: The nodes that ran, from `executed_graph`.
        scratch: The folder with the files of a cache on disk.
        dataset: The pipeline's dataset.
    """
    if p.cache == "none":
        return {}
    caches = [node for node in graph if "Cache" in str(node["name"])]
    upstream = [str(graph[i]["name"]) for node in caches for i in node["inputs"]]
    serving = (
        all("Cache" in name for name in upstream)
        if caches
        else shuffle_released_inputs(graph)
    )
    cached = cached_dataset(dataset)
    if p.cache_storage == "disk":
        folder = scratch / "cache"
        serving = serving and not list(folder.glob("*.lockfile"))
        sizes = [folder_bytes(folder)]
    elif _dense(cached.element_spec):
        sizes = [int(node["buffered_bytes"]) for node in caches]
    else:
        sizes = [elements_bytes(cached)] if serving and _countable(cached) else []
    size = {"cache_bytes": max(sizes)} if sizes else {}
    return {"cache_filled": "yes" if serving else "no", **size}


def elements_bytes(dataset: tf.data.Dataset) -> int:
    """Return the bytes of all elements of a finite dataset, from one pass over them.

    A sparse tensor counts by its indices, values and shape, a ragged tensor by its
    values and row splits, a string by its characters and its handle.
    """

    def add(total: tf.Tensor, *element: object) -> tf.Tensor:
        return total + sum(map(_bytes, _components(element)))

    return int(dataset.reduce(tf.constant(0, tf.int64), add))


def cached_dataset(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Return the dataset of the `cache` axis: the cache that is nearest the source."""
    nearest, waiting = dataset, [dataset]
    while waiting:
        node = waiting.pop(0)
        nearest = node if type(node).__name__ == "CacheDataset" else nearest
        waiting += node._inputs()
    return nearest


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
