"""The test of two pipelines by turns: what it estimates, and what it doubts."""

import math
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from trios import trio

from bench.analysis.settlements import Trios
from bench.guard import estimate
from bench.guard.pair_test import PairTest
from bench.guard.trio import run_trio
from bench.pipeline import pipeline
from bench.run import turns
from bench.run.executors import executor
from bench.trial import Failure, Trial

SERVER = SimpleNamespace(protocol=turns.PROTOCOL)
FAST, SLOW = Trial(workload="prices"), Trial(workload="prices", unit="epoch")
SLEEPER = '''"""Waits {seconds} s for each batch."""

import time

import numpy as np
import tensorflow as tf

EXAMPLES = 96


def examples(rng, count):
    return np.arange(count, dtype="float32").reshape(-1, 1)


def wait(values):
    time.sleep({seconds} * len(values) / 32)
    return values


def layer(features):
    waited = tf.numpy_function(wait, [features], tf.float32)
    return tf.ensure_shape(waited, features.shape)


def build(examples):
    return layer


def check(batch, output):
    np.testing.assert_array_equal(output, batch)
'''


def compared(heads, *, than=FAST, earlier=None, **fields) -> PairTest:
    """Return a test after trios with these log-ratios; `fields` are those of trios."""
    test, seeds = PairTest(FAST, than, SERVER, earlier), iter(range(100))
    for head in heads:
        made = partial(trio, head, noise=0.01, rounds=30, seed=next(seeds), **fields)
        test.run(run_trio=lambda *sides, made=made, **how: made())
    return test


def test_the_ratio_is_the_time_of_than_over_that_of_the_trial() -> None:
    test = compared([math.log(2)] * 3)
    interval = test.interval(0.05)
    assert interval.estimate == pytest.approx(2, rel=0.01)
    assert 1.95 < interval.low < interval.high < 2.05
    assert (test.count, test.fresh, test.reason) == (3, 3, "")


def test_a_control_that_differs_from_its_twin_widens_the_interval() -> None:
    steady = compared([0.1] * 4).interval(0.05)
    noisy = compared([0.1] * 4, control=0.05).interval(0.05)
    assert noisy.low < steady.low * math.exp(-4 * 0.04)
    assert noisy.high > steady.high * math.exp(4 * 0.04)


def test_trios_of_an_earlier_sitting_count_with_the_new_ones() -> None:
    stored = compared([0.0, 0.2]).trios()
    assert (stored.trial, stored.than) == ("prices", "prices")
    test = compared([0.1], earlier=stored)
    assert (test.count, test.fresh) == (3, 1)
    assert test.interval(0.05).estimate == pytest.approx(math.exp(0.1), rel=0.01)
    assert test.trios().ratios[:2] == stored.ratios


def test_an_unknown_error_is_stored_as_none() -> None:
    """JSON has no NaN; six long turns are too few for an error."""
    short = PairTest(FAST, SLOW, SERVER)
    short.run(run_trio=lambda *sides, **how: trio(0.1, rounds=6))
    assert [error for _, error in short.trios().ratios] == [None]
    again = PairTest(FAST, SLOW, SERVER, short.trios())
    assert again.trios() == short.trios()


def test_a_failed_process_ends_the_test() -> None:
    failure = Failure(type="ValueError", message="no layers today", phase="adapt")
    test = PairTest(FAST, SLOW, SERVER)
    failed = SimpleNamespace(
        failures={"head": failure}, turns=[], measured=[], preparation={}
    )
    test.run(run_trio=lambda *sides, **how: failed)
    assert test.ended
    assert "no layers today" in test.reason
    assert test.trios() == Trios(trial="prices", than="prices[unit=epoch]")


def test_flagged_processes_and_longer_turns_for_what_was_timed_in_part() -> None:
    asked = []
    test = PairTest(FAST, SLOW, SERVER)

    def timed(*sides: object, seconds: float, **how: object) -> object:
        asked.append(seconds)
        return trio(0.1, noise=0.01, rounds=30, flags=["partly_timed"])

    for _ in range(5):
        test.run(run_trio=timed)
    assert test.reason == "prices is flagged partly_timed"
    assert asked == [1.5, 3, 6, 12, 12]
    test.run(run_trio=lambda *sides, **how: trio(0.1, noise=0.01, rounds=30))
    assert test.reason == ""


@pytest.mark.parametrize(("than", "seconds"), [(FAST, 0.03), (SLOW, 0.2)])
def test_windows_beside_epochs_are_longer(than: Trial, seconds: float) -> None:
    efforts = []

    def timed(base: object, head: object, effort: object, **how: object) -> object:
        efforts.append(effort)
        return trio(rounds=30)

    test = PairTest(FAST, than, SERVER)
    for _ in range(2):
        test.run(run_trio=timed)
    assert {one.window_seconds for one in efforts} == {seconds}
    assert [one.check for one in efforts] == [True, False]


RAW = {"order": "batch_map", "cache": "raw"}
CASES = {
    "plain": ({"order": "batch_map"}, RAW, "window"),
    "prefetching": ({"order": "batch_map", "prefetch": 2}, RAW, "window"),
    "cached epochs": (RAW, {**RAW, "prefetch": 1}, "epoch"),
}


@pytest.mark.alone
def test_turns_of_different_pipelines_are_unbiased(tmp_path: Path) -> None:
    """A known slow-down of 10 % comes out at its size, and the control at 1.

    Batches take 30 and 33 ms, all of it waiting, which a busy machine hardly prolongs.
    """
    paths = {}
    for seconds in (0.030, 0.033):
        paths[seconds] = tmp_path / f"wait_{1000 * seconds:.0f}.py"
        paths[seconds].write_text(SLEEPER.format(seconds=seconds))
    server = executor()
    server.start()
    try:
        for name, (fast, slow, unit) in CASES.items():
            sides = (
                Trial(workload=str(paths[s]), pipeline=pipeline(axes), unit=unit)
                for s, axes in ((0.030, fast), (0.033, slow))
            )
            test = PairTest(*sides, server)
            for _ in range(3):
                test.run(run_trio=_run_short_trio)
            assert test.reason == "", name
            ratio, wider = test.interval(0.05), test.interval(0.001)
            assert wider.low < 1.1 < wider.high, (name, ratio)
            assert ratio.estimate == pytest.approx(1.1, abs=0.04), (name, ratio)
            control = estimate.interval(test._controls, 0.001)
            assert control.low < 1 < control.high, (name, control)
    finally:
        server.stop()


def _run_short_trio(*sides: object, **how: object) -> object:
    return run_trio(*sides, **{**how, "seconds": 0.7})
