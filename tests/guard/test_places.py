"""Tests of turns place by place: what is long in nearly all trios, in any role."""

import numpy as np
import pytest

from bench.guard import estimate, places

METRIC = "seconds_per_example"


def turns(rounds=300, *, trios=5, seed=0, bursts=0.0, noise=0.03):
    """Return the logs of trios of equal sides, with bursts at random places."""
    rng = np.random.default_rng(seed)
    logs = rng.normal(0, noise, (trios, rounds, 3))
    logs += np.log(2.5) * (rng.random(logs.shape) < bursts)
    return [*logs]


def ratio(logs):
    heads, _, _ = estimate.trio_log_ratios(logs, [0.01] * len(logs), METRIC)
    return np.mean([value for value, _ in heads])


@pytest.mark.parametrize("trios", [4, 5, 6])
def test_bursts_count_for_all_sides_alike(trios):
    """With bursts in 30 % of turns some places are long in most trios by chance."""
    ratios = [ratio(turns(trios=trios, seed=n, bursts=0.3)) for n in range(60)]
    assert abs(np.mean(ratios)) < 3 * np.std(ratios) / 60**0.5
    assert abs(np.mean(ratios)) < 0.01


def test_a_stall_counts_in_every_role():
    for role, expected in ((0, -0.5), (1, -0.5), (2, 1.0)):
        logs = turns()
        for one in logs:
            one[100, role] += np.log(31)  # 30 usual turns more in 300
        assert ratio(logs) == pytest.approx(expected * np.log(1.1), abs=0.01)


def test_a_trio_that_ended_before_a_long_place_is_not_whole():
    long, short = turns(trios=4), turns(rounds=60, trios=2, seed=1)
    for one in long:
        one[200, 2] += np.log(31)
    common = places.compare([*long, *short])
    assert common.whole == [True] * 4 + [False] * 2
    assert common.met == 300


def test_a_place_that_only_two_trios_met_does_not_count():
    long, short = turns(trios=2), turns(rounds=60, trios=3, seed=1)
    for one in long:
        one[200, 2] += np.log(31)
    common = places.compare([*long, *short])
    assert not common.long.any()
    assert common.met == 60


def test_the_longest_turn_favours_no_side():
    """Each role has its own longest turn: the largest mean of two is smaller."""
    ratios = []
    for seed in range(40):
        for (row,) in places.longest(turns(rounds=1000, seed=seed, noise=0.1)):
            ratios.append(row[2] - row[:2].mean())
    assert abs(np.mean(ratios)) < 0.02


def test_blocks_sum_rounds_and_leave_out_the_rest():
    logs = np.log(np.arange(1.0, 28.0).reshape(9, 3))
    summed = np.exp(places.blocks(logs, 4))
    assert summed.shape == (2, 3)
    assert summed[0] == pytest.approx([1 + 4 + 7 + 10, 2 + 5 + 8 + 11, 3 + 6 + 9 + 12])
