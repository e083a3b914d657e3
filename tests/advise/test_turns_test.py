"""The test of one proposal by made-up trios: when it is settled, when it stops."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from trios import trio

from bench.advise import turns_test
from bench.guard.record import Row
from bench.run import turns
from bench.trial import Trial

SERVER = SimpleNamespace(protocol=turns.PROTOCOL)


def compare(ratio: float, noise: float = 0.02, seconds: float = 1e6) -> Row:
    """The row of a head with this true ratio of times."""
    rng, now = np.random.default_rng(1), [0.0]

    def run_trio(*sides: object, number: int, **how: object) -> object:
        now[0] += 5.0
        head = np.log(ratio) + rng.normal(0, 0.005)
        return trio(head, noise=noise, rounds=60, seed=number)

    return turns_test.compare(
        Trial(workload="base"),
        Trial(workload="head"),
        SERVER,
        alpha=turns_test.share(1),
        seconds=seconds,
        clock=partial(now.__getitem__, 0),
        run_trio=run_trio,
    )


def test_a_real_gain_is_faster_after_five_trios() -> None:
    row = compare(0.5)
    assert (row.verdict, row.count) == ("faster", 5)
    assert row.high < 0.55


@pytest.mark.parametrize("ratio", [1.0, 1.4])
def test_no_gain_stops_as_soon_as_none_is_left_to_hope_for(ratio: float) -> None:
    row = compare(ratio)
    assert row.verdict != "faster"
    assert row.count < 8
    assert turns_test.hopeless(row)


def test_a_gain_within_the_margin_is_not_kept() -> None:
    assert compare(0.985).verdict != "faster"


def test_without_time_it_is_unknown() -> None:
    row = compare(0.5, seconds=6.0)
    assert row.verdict == "unknown"
