"""The report counts two names for one computation as one trial."""

import factory
import pytest

from bench.analysis import table
from bench.report import same_graph, summary

PLAIN = factory.trial(map_parallel_calls=2)
TUNED = factory.trial(map_parallel_calls="autotune")
LARGE = factory.trial(map_parallel_calls=2, batch_size=64)


def graph(parallelism, seconds=0.1):
    spent = {"elements": 64, "processing_seconds": seconds}
    return [
        {"name": "Range", "inputs": [], **spent},
        {"name": "ParallelMapV2", "inputs": [0], "parallelism": parallelism, **spent},
    ]


def cautions_on(runs):
    (scene,) = summary.summarize(runs, table.from_runs(runs), [])["scenes"]
    return [c for c in scene["cautions"] if c.what.endswith("ran the same graph.")]


def test_the_same_graph_under_two_names_is_one_trial():
    runs = factory.runs({PLAIN: 0.01}, graph=graph(2))
    runs += factory.runs({TUNED: 0.01}, graph=graph(2, seconds=0.2))
    (caution,) = cautions_on(runs)
    assert caution.what == "parallel, map_parallel_calls=autotune: ran the same graph."
    assert caution.remedy == same_graph.REMEDY


def test_other_parallelism_or_another_batch_is_another_trial():
    runs = factory.runs({PLAIN: 0.01, LARGE: 0.01}, graph=graph(2))
    runs += factory.runs({TUNED: 0.01}, graph=graph(4))
    assert cautions_on(runs) == []
    assert cautions_on(factory.runs({PLAIN: 0.01, TUNED: 0.01})) == []  # no graphs


def test_what_a_shuffle_has_let_go_of_may_differ():
    seen = [
        {**node, "name": node["name"].replace("Range", "Shuffle")} for node in graph(2)
    ]
    runs = factory.runs({PLAIN: 0.01, TUNED: 0.01}, graph=seen)
    assert cautions_on(runs) == []


def trained(**settings):
    return factory.trial("in_model", consumer="train", **settings)


def scene_of(trials, **fields):
    runs = factory.runs(trials, **fields)
    (scene,) = summary.summarize(runs, table.from_runs(runs), [])["scenes"]
    return scene


def test_settings_that_come_to_the_same_are_ranked_once():
    """The repeating trial is not ranked, though it seems faster."""
    scene = scene_of(
        {trained(): 0.02, trained(jit="auto"): 0.01, trained(jit="on"): 0.05}
    )
    assert scene["sentence"].startswith("in_model won")
    assert "auto" not in scene["sentence"]
    rows = {row["label"]: row for row in scene["rows"]}
    assert rows["in_model,jit=auto"]["verdict"] == "same as in_model"
    assert not rows["in_model,jit=auto"]["best"]
    assert rows["in_model"]["best"]
    (caution,) = [c for c in scene["cautions"] if same_graph.SAME in c.what]
    assert caution.what == f"in_model; in_model,jit=auto: {same_graph.SAME}"
    assert caution.remedy == same_graph.SAME_REMEDY


def test_two_that_are_one_have_nothing_to_compare_with():
    scene = scene_of({trained(): 0.02, trained(jit="auto"): 0.01})
    assert scene["sentence"].startswith("Only in_model was measured: ")


GPU = {**factory.MACHINE, "gpus": ["Example GPU, 16384 MiB"]}


@pytest.mark.parametrize(
    ("one", "other", "fields", "alike"),
    [
        ({}, {"device": "cpu"}, {}, True),
        ({}, {"device": "gpu"}, {"machine": GPU, "device": "/GPU:0"}, True),
        ({}, {"device": "cpu"}, {"machine": GPU, "device": "/GPU:0"}, False),
        ({}, {"jit": "auto"}, {"machine": GPU, "device": "/GPU:0"}, False),
        ({}, {"jit": "auto"}, {"machine": GPU}, False),
        ({"jit": "on"}, {"jit": "auto"}, {}, False),
        ({}, {"cpus": 4}, {}, True),
        ({}, {"cpus": 2}, {}, False),
        ({"jit": "auto"}, {"jit": "auto", "device": "cpu"}, {}, True),
    ],
)
def test_what_settings_come_to_depends_on_the_machine(one, other, fields, alike):
    first, second = trained(**one), trained(**other)
    on_cpu = {**fields, "device": ""} if second.pipeline.device == "cpu" else fields
    runs = factory.runs({first: 0.01}, **fields)
    runs += factory.runs({second: 0.01}, **on_cpu)
    repeated = same_graph.same(runs)
    assert [key for _, key in repeated] == ([second.key] if alike else [])
    assert set(repeated.values()) == ({first.label} if alike else set())


def test_the_sentence_says_that_the_best_ran_the_graph_of_another():
    runs = factory.runs({PLAIN: 0.01}, graph=graph(2))
    runs += factory.runs({TUNED: 0.011}, graph=graph(2))
    (scene,) = summary.summarize(runs, table.from_runs(runs), [])["scenes"]
    assert scene["sentence"].endswith(
        " parallel ran the same graph as map_parallel_calls=autotune: "
        "count them as one."
    )
    assert [row["marks"] for row in scene["rows"]] == [["same graph"]] * 2
