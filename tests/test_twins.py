"""Two names for one graph are said to be one."""

import factory

from bench import summary, table, twins

PLAIN = factory.trial(map_parallel_calls=2)
TUNED = factory.trial(map_parallel_calls="autotune")
LARGE = factory.trial(map_parallel_calls=2, batch_size=64)


def graph(parallelism, seconds=0.1):
    spent = {"elements": 64, "processing_seconds": seconds}
    return [
        {"name": "Range", "inputs": [], **spent},
        {"name": "ParallelMapV2", "inputs": [0], "parallelism": parallelism, **spent},
    ]


def said(runs):
    (scene,) = summary.of(runs, table.from_runs(runs), [])["scenes"]
    return [c for c in scene["cautions"] if c.what.endswith("ran the same graph.")]


def test_the_same_graph_under_two_names_is_one_trial():
    runs = factory.runs({PLAIN: 0.01}, graph=graph(2))
    runs += factory.runs({TUNED: 0.01}, graph=graph(2, seconds=0.2))
    (caution,) = said(runs)
    assert caution.what == "parallel, map_parallel_calls=autotune: ran the same graph."
    assert caution.remedy == twins.REMEDY


def test_other_parallelism_or_another_batch_is_another_trial():
    runs = factory.runs({PLAIN: 0.01, LARGE: 0.01}, graph=graph(2))
    runs += factory.runs({TUNED: 0.01}, graph=graph(4))
    assert said(runs) == []
    assert said(factory.runs({PLAIN: 0.01, TUNED: 0.01})) == []  # no graphs


def test_what_a_shuffle_has_let_go_of_may_differ():
    seen = [
        {**node, "name": node["name"].replace("Range", "Shuffle")} for node in graph(2)
    ]
    runs = factory.runs({PLAIN: 0.01, TUNED: 0.01}, graph=seen)
    assert said(runs) == []
