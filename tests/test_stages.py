"""Stages of an executed graph: the stage of each node, and its number of passes."""

import pytest

from bench.stages import STAGES, seconds_per_batch


def node(name, inputs, elements, seconds):
    """Return a node as `graph.executed_graph` does."""
    return {
        "name": name,
        "inputs": inputs,
        "elements": elements,
        "processing_seconds": seconds,
    }


def test_stages_have_seconds_a_batch():
    graph = [
        node("TensorSlice", [], 64, 0.002),
        node("Shuffle", [0], 64, 0.004),
        node("ParallelMapV2", [1], 64, 0.02),
        node("BatchV2", [2], 2, 0.006),
        node("Prefetch", [3], 2, 0.001),
        node("Shard", [4], 1, 5.0),
        node("Root", [5], 1, 5.0),
    ]
    found = seconds_per_batch(graph)
    assert tuple(found) == STAGES
    assert found == pytest.approx(
        {"source": 0.001, "map": 0.01, "batch": 0.003, "cache": 0, "other": 0.0025}
    )


def test_a_graph_whose_shuffle_released_its_inputs_has_no_stages():
    """The graph lacks reading and decoding, which would seem to take no time."""
    graph = [node("Shuffle", [], 64, 0.004), node("BatchV2", [0], 2, 0.006)]
    assert seconds_per_batch(graph) == {}


def test_nodes_before_the_opening_of_files_are_the_source():
    graph = [
        node("TFRecord", [], 32, 0.001),
        node("FlatMap", [0], 32, 0.002),
        node("Map", [1], 32, 0.003),
        node("Interleave", [2], 32, 0.004),
        node("Map", [3], 32, 0.1),
        node("BatchV2", [4], 1, 0.02),
        node("Root", [5], 1, 0),
    ]
    found = seconds_per_batch(graph)
    assert found["source"] == pytest.approx(0.01)
    assert found["map"] == pytest.approx(0.1)


def test_nodes_in_front_of_a_repeat_count_for_all_its_passes():
    graph = [
        node("FromTensor", [], 10, 0.001),
        node("TensorSlice", [], 10, 0.001),
        node("Map", [0, 1], 10, 0.01),
        node("ForeverRepeat", [2], 40, 0.002),
        node("BatchV2", [3], 4, 0.004),
    ]
    found = seconds_per_batch(graph)
    assert found["map"] == pytest.approx(4 * 0.01 / 4)
    assert found["source"] == pytest.approx((4 * 0.002 + 0.002) / 4)
    assert found["batch"] == pytest.approx(0.001)


def test_nodes_of_one_file_count_for_all_files():
    graph = [
        node("TFRecord", [], 10, 0.001),
        node("TensorSlice", [], 4, 0.002),
        node("Interleave", [1, 0], 40, 0.003),
        node("BatchV2", [2], 4, 0.004),
    ]
    found = seconds_per_batch(graph)
    assert found["source"] == pytest.approx((4 * 0.001 + 0.002 + 0.003) / 4)


def test_a_cache_that_serves_has_its_own_stage():
    graph = [
        node("MemoryCacheImpl", [], 32, 0.001),
        node("MemoryCache", [0], 32, 0.001),
        node("BatchV2", [1], 1, 0.003),
    ]
    assert seconds_per_batch(graph)["cache"] == pytest.approx(0.002)


@pytest.mark.parametrize("graph", [[], [node("Root", [], 0, 0.0)]])
def test_without_a_graph_there_are_no_stages(graph):
    assert seconds_per_batch(graph) == {}
