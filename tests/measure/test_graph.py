"""What the runtime tells of the graph that ran, and of its caches."""

from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow as tf

from bench.measure.graph import cache_facts, elements_bytes, executed_graph
from bench.measure.tf_data import build
from bench.pipeline import Pipeline


def pulled(
    p: Pipeline,
    batches: int,
    path: str = "",
    layers: Callable[[tf.Tensor], tf.Tensor] = lambda x: x + 1,
) -> tuple[list[dict], tf.data.Dataset]:
    """The graph after so many batches of two, of eight examples, and its dataset."""
    source = tf.data.Dataset.range(8).map(lambda x: (x, x))
    dataset = build(p, source, None, layers, decodes=False, cache_path=path)
    iterator = iter(dataset)
    for _ in range(batches):
        next(iterator)
    return executed_graph(iterator), dataset


def test_nodes_come_source_first_and_lead_to_the_root() -> None:
    """Each takes in the one before it, and elements were counted."""
    p = Pipeline(batch_size=2, map_parallel_calls=2, prefetch=3)
    graph, _ = pulled(p, 3)
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
def test_a_cache_is_filled_one_past_its_end(
    storage: str, cache: str, batches: int, filled: str, tmp_path: Path
) -> None:
    """Read in part, or just to its end, it does not serve yet."""
    path = ""
    if storage == "disk":
        (tmp_path / "cache").mkdir()
        path = str(tmp_path / "cache" / "cache")
    p = Pipeline(batch_size=2, cache=cache, cache_storage=storage)
    graph, dataset = pulled(p, batches, path)
    facts = cache_facts(p, graph, tmp_path, dataset)
    assert facts["cache_filled"] == filled
    if filled == "yes":
        assert facts["cache_bytes"] >= 8 * 16


@pytest.mark.parametrize("storage", ["memory", "disk"])
@pytest.mark.parametrize("room", [3, 8, 100])
def test_a_cache_serves_behind_a_shuffle_that_holds_all_examples(
    storage: str, room: int, tmp_path: Path
) -> None:
    """Such a one lets go of the cache when it has read it to its end."""
    path = ""
    if storage == "disk":
        (tmp_path / "cache").mkdir()
        path = str(tmp_path / "cache" / "cache")
    settings = {"cache": "raw", "cache_storage": storage}
    p = Pipeline(batch_size=2, shuffle_buffer=room, **settings)
    graph, dataset = pulled(p, 9, path)
    facts = cache_facts(p, graph, tmp_path, dataset)
    assert facts["cache_filled"] == "yes"
    gone = not any("Cache" in node["name"] for node in graph)
    assert gone == (room >= 8)
    assert ("cache_bytes" in facts) == (storage == "disk" or not gone)


def sparse(number: tf.Tensor) -> tf.SparseTensor:
    """A vector of 100 with one value for each unit of a number."""
    indices = tf.range(number)[:, None]
    return tf.SparseTensor(indices, tf.ones_like(indices[:, 0], tf.float32), [100])


def ragged(number: tf.Tensor) -> tf.RaggedTensor:
    """One row of as many words of five letters as a number says."""
    words = tf.repeat("words", number)
    return tf.RaggedTensor.from_row_lengths(words, number[None])


# Numbers n of 0 to 7: n indices and values, and a shape of one number; n words with
# handles, and two row splits; three and four letters with a handle.
@pytest.mark.parametrize(
    ("make", "held"),
    [
        (sparse, 28 * (8 + 4) + 8 * 8),
        (ragged, 28 * (24 + 5) + 8 * 2 * 8),
        (lambda number: {"a": tf.as_string(number), "b": (number, number)}, 8 * 41),
    ],
)
def test_elements_count_by_what_they_hold(make: Callable, held: int) -> None:
    """The figure covers all parts of a nest."""
    assert elements_bytes(tf.data.Dataset.range(8).map(make)) == held


@pytest.mark.parametrize(("batches", "known"), [(3, {}), (6, {"cache_bytes": 464})])
def test_the_cache_of_sparse_tensors_counts_more_than_their_handles(
    batches: int, known: dict, tmp_path: Path
) -> None:
    """The runtime counts 64 bytes for each of three parts; a label has 8 bytes."""
    p = Pipeline(batch_size=2, cache="mapped")
    graph, dataset = pulled(p, batches, layers=sparse)
    filled = {"cache_filled": "yes" if known else "no"}
    assert cache_facts(p, graph, tmp_path, dataset) == filled | known


def test_a_cache_of_datasets_has_no_figure(tmp_path: Path) -> None:
    """Nobody can know their bytes without reading each of them."""
    p = Pipeline(batch_size=2, cache="raw")
    dataset = tf.data.Dataset.range(4).window(2).cache()
    served = [{"name": "MemoryCache", "inputs": [], "buffered_bytes": 128}]
    facts = cache_facts(p, served, tmp_path, dataset)
    assert facts == {"cache_filled": "yes"}


def test_without_a_cache_there_are_no_facts(tmp_path: Path) -> None:
    """Nor an empty one."""
    p = Pipeline(batch_size=2)
    graph, dataset = pulled(p, 3)
    assert cache_facts(p, graph, tmp_path, dataset) == {}


def test_a_part_of_the_graph_is_not_taken_for_the_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As is told while a repeat makes anew, node by node, what is upstream of it."""
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
    told = iter([*parts, whole, *parts])
    monkeypatch.setattr(
        tf.data.experimental, "get_model_proto", lambda _: next(told, parts[0])
    )
    assert len(executed_graph(iterator)) == len(whole.nodes)
