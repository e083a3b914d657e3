"""These tests read the executed graph and its caches from the runtime."""

from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow as tf

from bench.measure.graph import cache_facts, elements_bytes, executed_graph
from bench.measure.tf_data import build
from bench.pipeline import Pipeline


def pull(
    p: Pipeline,
    batches: int,
    path: str = "",
    layers: Callable[[tf.Tensor], tf.Tensor] = lambda x: x + 1,
) -> tuple[list[dict], tf.data.Dataset]:
    """Pull batches of two from eight examples; return the graph and the dataset."""
    source = tf.data.Dataset.range(8).map(lambda x: (x, x))

    def mapped(record: tuple) -> tuple:
        return layers(record[0]), record[1]

    dataset = build(p, source, None, mapped, decodes=False, cache_path=path)
    iterator = iter(dataset)
    for _ in range(batches):
        next(iterator)
    return executed_graph(iterator), dataset


def test_nodes_come_source_first_and_lead_to_the_root() -> None:
    """The input of each node is the node before, and elements are counted."""
    p = Pipeline(batch_size=2, map_parallel_calls=2, prefetch=3)
    graph, _ = pull(p, 3)
    assert [node["name"] for node in graph] == [
        *("Range", "Map", "ForeverRepeat", "ParallelMapV2", "BatchV2", "Prefetch"),
        "Root",
    ]
    assert [node["inputs"] for node in graph] == [[], *([n] for n in range(6))]
    assert graph[3]["parallelism"] == 2
    assert graph[5]["buffer_size"] == 3
    assert graph[5]["elements"] >= 3
    assert graph[3]["processing_seconds"] > 0


@pytest.mark.parametrize("storage", ["memory", "disk"])
@pytest.mark.parametrize("cache", ["raw", "mapped"])
@pytest.mark.parametrize(("batches", "filled"), [(3, "no"), (4, "no"), (6, "yes")])
def test_a_cache_serves_after_a_pull_past_its_end(
    storage: str, cache: str, batches: int, filled: str, tmp_path: Path
) -> None:
    """A cache that was read in part, or just to its end, does not serve yet."""
    path = ""
    if storage == "disk":
        (tmp_path / "cache").mkdir()
        path = str(tmp_path / "cache" / "cache")
    p = Pipeline(batch_size=2, cache=cache, cache_storage=storage)
    graph, dataset = pull(p, batches, path)
    facts = cache_facts(p, graph, tmp_path, dataset)
    assert facts["cache_filled"] == filled
    if filled == "yes":
        assert facts["cache_bytes"] >= 8 * 16


@pytest.mark.parametrize("storage", ["memory", "disk"])
@pytest.mark.parametrize("room", [3, 8, 100])
def test_a_cache_serves_behind_a_shuffle_that_holds_all_examples(
    storage: str, room: int, tmp_path: Path
) -> None:
    """Such a shuffle releases the cache after reading it to its end."""
    path = ""
    if storage == "disk":
        (tmp_path / "cache").mkdir()
        path = str(tmp_path / "cache" / "cache")
    settings = {"cache": "raw", "cache_storage": storage}
    p = Pipeline(batch_size=2, shuffle_buffer=room, **settings)
    graph, dataset = pull(p, 9, path)
    facts = cache_facts(p, graph, tmp_path, dataset)
    assert facts["cache_filled"] == "yes"
    released = not any("Cache" in node["name"] for node in graph)
    assert released == (room >= 8)
    assert ("cache_bytes" in facts) == (storage == "disk" or not released)


def sparse(number: tf.Tensor) -> tf.SparseTensor:
    """Return a vector of 100 with as many values as the number."""
    indices = tf.range(number)[:, None]
    return tf.SparseTensor(indices, tf.ones_like(indices[:, 0], tf.float32), [100])


def ragged(number: tf.Tensor) -> tf.RaggedTensor:
    """Return one row with as many words of five letters as the number."""
    words = tf.repeat("words", number)
    return tf.RaggedTensor.from_row_lengths(words, number[None])


# Numbers n of 0 to 7: n indices and values, and a shape of one number; n words with
# handles, and two row splits; three and four letters with a handle.
@pytest.mark.parametrize(
    ("make", "size"),
    [
        (sparse, 28 * (8 + 4) + 8 * 8),
        (ragged, 28 * (24 + 5) + 8 * 2 * 8),
        (lambda number: {"a": tf.as_string(number), "b": (number, number)}, 8 * 41),
    ],
)
def test_the_size_of_elements_covers_all_parts(make: Callable, size: int) -> None:
    """A nest, a sparse tensor and a ragged tensor have several parts."""
    assert elements_bytes(tf.data.Dataset.range(8).map(make)) == size


@pytest.mark.parametrize(("batches", "facts"), [(3, {}), (6, {"cache_bytes": 464})])
def test_the_cache_of_sparse_tensors_counts_more_than_their_handles(
    batches: int, facts: dict, tmp_path: Path
) -> None:
    """The runtime would count 64 bytes for each of three parts; a label has 8 bytes."""
    p = Pipeline(batch_size=2, cache="mapped")
    graph, dataset = pull(p, batches, layers=sparse)
    filled = {"cache_filled": "yes" if facts else "no"}
    assert cache_facts(p, graph, tmp_path, dataset) == filled | facts


def test_a_cache_of_datasets_has_no_size(tmp_path: Path) -> None:
    """The size is unknown without reading each dataset."""
    p = Pipeline(batch_size=2, cache="raw")
    dataset = tf.data.Dataset.range(4).window(2).cache()
    graph = [{"name": "MemoryCache", "inputs": [], "buffered_bytes": 128}]
    facts = cache_facts(p, graph, tmp_path, dataset)
    assert facts == {"cache_filled": "yes"}


def test_without_a_cache_there_are_no_facts(tmp_path: Path) -> None:
    """The result is empty, not a fact without a value."""
    p = Pipeline(batch_size=2)
    graph, dataset = pull(p, 3)
    assert cache_facts(p, graph, tmp_path, dataset) == {}


def test_a_part_of_the_graph_is_not_taken_for_the_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The runtime returns a part while a repeat creates the nodes upstream again."""
    iterator = iter(tf.data.Dataset.range(8).map(lambda x: x).repeat().prefetch(2))
    next(iterator)
    whole = tf.data.experimental.get_model_proto(iterator)
    parts = []
    for left_out in (1, 2):
        part = type(whole)()
        part.CopyFrom(whole)
        for number in sorted(part.nodes)[-left_out:]:
            del part.nodes[number]
        parts.append(part)
    readings = iter([*parts, whole, *parts])
    monkeypatch.setattr(
        tf.data.experimental, "get_model_proto", lambda _: next(readings, parts[0])
    )
    assert len(executed_graph(iterator)) == len(whole.nodes)
