"""What the runtime tells of the graph that ran, and of its caches."""

from pathlib import Path

import pytest
import tensorflow as tf

from bench.graph import cache_facts, executed_graph
from bench.pipeline import Pipeline, build


def pulled(p: Pipeline, batches: int, path: str = "") -> list[dict]:
    """The graph after so many batches of two, of eight examples."""
    source = tf.data.Dataset.range(8).map(lambda x: (x, x))
    dataset = build(p, source, None, lambda x: x + 1, decodes=False, cache_path=path)
    iterator = iter(dataset)
    for _ in range(batches):
        next(iterator)
    return executed_graph(iterator)


def test_nodes_come_source_first_and_lead_to_the_root() -> None:
    """Each takes in the one before it, and elements were counted."""
    p = Pipeline(batch_size=2, map_parallel_calls=2, prefetch=3)
    graph = pulled(p, 3)
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
    facts = cache_facts(p, pulled(p, batches, path), tmp_path)
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
    graph = pulled(p, 9, path)
    facts = cache_facts(p, graph, tmp_path)
    assert facts["cache_filled"] == "yes"
    gone = not any("Cache" in node["name"] for node in graph)
    assert gone == (room >= 8)
    assert ("cache_bytes" in facts) == (storage == "disk" or not gone)


def test_without_a_cache_there_are_no_facts(tmp_path: Path) -> None:
    """Nor an empty one."""
    p = Pipeline(batch_size=2)
    assert cache_facts(p, pulled(p, 3), tmp_path) == {}


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
