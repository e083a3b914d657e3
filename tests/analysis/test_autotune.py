"""AUTOTUNE is compared with fixed settings that differ in nothing else."""

from dataclasses import replace

import factory

from bench.analysis import autotune, table
from bench.plan import screening
from bench.trial import Failure

TUNED = factory.trial(map_parallel_calls="autotune")
PINNED = {calls: factory.trial(map_parallel_calls=calls) for calls in (2, 4)}
OTHER = factory.trial("vectorized")
SPENT = {"elements": 64, "processing_seconds": 0.1}
GRAPH = [
    {"name": "Range", "inputs": [], **SPENT},
    {"name": "ParallelMapV2", "inputs": [0], "parallelism": 3, **SPENT},
    {"name": "PrefetchV2", "inputs": [1], "buffer_size": 8, **SPENT},
]


def rows(runs):
    return autotune.comparisons(table.from_runs(runs), runs)[0]


def test_autotune_is_compared_with_the_fastest_fixed_counterpart():
    seconds = {PINNED[2]: 0.02, PINNED[4]: 0.01, OTHER: 0.001}
    runs = factory.runs({TUNED: 0.005, **seconds}, rounds=8, graph=GRAPH)
    (row,) = rows(runs)
    assert row["label"] == "map_parallel_calls=autotune"
    assert row["pinned"] == "map_parallel_calls=4"
    assert row["verdict"] == "faster" and row["factor"].startswith(("1.9", "2.0"))
    assert row["picked"] == "ParallelMapV2: parallel 3; PrefetchV2: buffer 8"


def test_autotune_can_be_slower():
    runs = factory.runs({TUNED: 0.02, PINNED[2]: 0.01}, rounds=8)
    (row,) = rows(runs)
    assert row["verdict"] == "slower" and row["picked"] == "-"


def test_a_pinned_trial_that_a_race_left_behind_is_not_the_best():
    """Its screening runs were lucky."""
    tried = factory.runs({TUNED: 0.02, PINNED[2]: 0.001, PINNED[4]: 0.01}, rounds=2)
    runs = [replace(run, effort=screening.short(run.effort)) for run in tried]
    later = factory.runs({TUNED: 0.02, PINNED[4]: 0.01}, rounds=4)
    runs += [replace(run, round=run.round + 2) for run in later]
    (row,) = rows(runs)
    assert row["pinned"] == "map_parallel_calls=4"
    assert row["verdict"] == "slower"


def test_without_a_fixed_counterpart_there_is_no_row():
    assert rows([]) == []
    assert rows(factory.runs({TUNED: 0.01, OTHER: 0.01})) == []
    failure = Failure(type="Timeout", message="120 s")
    failed = [factory.run(PINNED[2], error=failure)]
    assert rows([*factory.runs({TUNED: 0.01}), *failed]) == []


def test_two_rounds_have_no_verdict():
    (row,) = rows(factory.runs({TUNED: 0.02, PINNED[2]: 0.01}, rounds=2))
    assert row["verdict"] == "unknown"


def test_a_counterpart_equals_the_trial_in_every_fixed_axis():
    seconds = {
        factory.trial(map_parallel_calls=calls, prefetch=ahead): 0.02 / (1 + calls)
        for calls in (0, 4)
        for ahead in (0, "autotune")
    }
    compared = rows(factory.runs(seconds, rounds=8, run_noise=0.004))
    assert [(row["label"], row["pinned"], row["verdict"]) for row in compared] == [
        ("prefetch=autotune", "naive", "unchanged"),
        ("map_parallel_calls=4,prefetch=autotune", "map_parallel_calls=4", "unchanged"),
    ]


def test_trials_without_a_counterpart_are_neither_shown_nor_counted():
    ahead = factory.trial(map_parallel_calls=4, prefetch="autotune")
    runs = factory.runs({ahead: 0.01, factory.trial(): 0.02})
    assert autotune.comparisons(table.from_runs(runs), runs) == ([], 0)
    runs += factory.runs({PINNED[4]: 0.02})
    assert autotune.comparisons(table.from_runs(runs), runs, 0) == ([], 1)


def test_a_trial_that_may_not_be_ranked_is_no_rival():
    runs = factory.runs({TUNED: 0.01, PINNED[2]: 0.02}, rounds=8)
    runs += factory.runs({PINNED[4]: 0.001}, rounds=7)
    runs += [factory.run(PINNED[4], [0.001], round=7, flags=["cache_not_filled"])]
    (row,) = rows(runs)
    assert row["pinned"] == "parallel"
