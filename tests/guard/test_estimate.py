"""Tests of estimates and intervals over trios: intervals cover, even of few trios."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats as distributions
from trios import trio

from bench.analysis.intervals import Interval
from bench.guard import estimate
from bench.guard.trio import Trio
from bench.run.turns import Turn

SEEDS = np.random.SeedSequence(7).spawn(300)


def trio_of(logs: np.ndarray) -> Trio:
    """Return a trio of these turns, `[rounds, 3]`."""
    return replace(trio(), turns=[tuple(Turn(s, s) for s in r) for r in np.exp(logs)])


def width(interval: Interval) -> float:
    """Return the width on the log scale."""
    return np.log(interval.high) - np.log(interval.low)


def test_head_is_compared_with_the_mean_of_both_bases() -> None:
    ratio, error = estimate.head_log_ratio(
        trio(head=0.1, control=0.02), "seconds_per_example"
    )
    assert ratio == pytest.approx(0.09)
    assert error == pytest.approx(0.0, abs=1e-12)
    assert estimate.control_log_ratio(
        trio(head=0.1, control=0.02), "cpu_seconds_per_example"
    ) == pytest.approx((0.02, 0.0), abs=1e-12)


def test_different_batch_sizes_are_compared_by_the_example() -> None:
    one = trio()
    one.batch_sizes["head"] = 20
    assert estimate.head_log_ratio(one, "seconds_per_example")[0] == pytest.approx(
        -np.log(2)
    )
    assert estimate.head_log_ratio(one, "latency_p95")[0] == pytest.approx(0.0)


def test_memory_has_one_figure_a_process() -> None:
    one = trio(peak_resident_bytes=100)
    one.measured[2].__dict__["peak_resident_bytes"] = 110
    assert estimate.head_log_ratio(one, "peak_resident_bytes") == (
        pytest.approx(np.log(1.1)),
        0,
    )


def test_a_burst_in_some_turns_does_not_move_the_ratio() -> None:
    """Two fifths of the rounds at each end are left out of the centre."""
    one = trio(head=0.05, noise=0.01)
    for i in range(0, 40):
        row = one.turns[i]
        one.turns[i] = (row[0], row[1], Turn(row[2].seconds * 5, 1.0))
    assert estimate.head_log_ratio(one, "seconds_per_example")[0] == pytest.approx(
        0.05, abs=4e-3
    )


def test_skewed_turns_favour_neither_side() -> None:
    """Bursts make some turns much longer; equal processes stay equal on average."""
    ratios = []
    for seed in SEEDS:
        logs = np.random.default_rng(seed).exponential(0.1, (60, 3))
        one = trio_of(logs)
        ratios.append(
            [
                estimate.head_log_ratio(one, "seconds_per_example")[0],
                estimate.control_log_ratio(one, "seconds_per_example")[0],
            ]
        )
    for values in np.transpose(ratios):
        assert abs(values.mean()) < 3 * values.std() / np.sqrt(len(values))


def test_the_middle_fifth_is_steadier_than_the_middle_half_on_a_shared_core() -> None:
    """A shared core stays fast or slow for about three turns.

    So a difference of two turns is near the centre, or as large as the states differ.
    """
    fifths, halves = [], []
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        slow = np.cumsum(rng.random(54) < 1 / 3) % 2
        logs = (0.35 * slow + rng.normal(0, 0.02, 54)).reshape(18, 3)
        one = trio_of(logs)
        fifths.append(estimate.head_log_ratio(one, "seconds_per_example")[0])
        pairs = logs[:, [2]] - logs[:, :2]
        halves.append(distributions.trim_mean(pairs, 0.25, axis=0).mean())
    assert np.std(fifths) < 0.85 * np.std(halves)


def test_the_error_is_the_same_whichever_process_met_a_burst() -> None:
    """Else a weight would depend on which side is slower, and favour one side."""
    errors = []
    for place in range(3):
        rng = np.random.default_rng(3)
        logs = rng.normal(0, 0.02, (80, 3))
        logs[:30, place] += 0.5
        errors.append(estimate.head_log_ratio(trio_of(logs), "seconds_per_example")[1])
    assert max(errors) < 1.3 * min(errors)


def test_a_weight_comes_from_a_trios_own_error_and_a_little_from_all() -> None:
    """So no trio outweighs all others; an unknown error counts as the median."""
    errors = [0.004, 0.005, 0.006, np.nan, 0.05]
    _, weights = estimate._weighted([(0.0, error) for error in errors], 1e-9)
    typical = np.median(np.square([0.004, 0.005, 0.006, 0.05]))
    variances = [0.75 * e**2 + 0.25 * typical for e in (0.004, 0.005, 0.006)]
    variances += [typical, 0.75 * 0.05**2 + 0.25 * typical]
    assert weights == pytest.approx(1 / np.array(variances), rel=1e-3)
    _, weights = estimate._weighted([(0.0, 0.0), *[(0.0, 0.01)] * 4], 0.0)
    assert weights[0] == pytest.approx(4 * weights[1])


def test_the_error_within_a_trio_is_about_what_trios_scatter_by() -> None:
    """Neighbouring turns are alike: a turn holds 0.6 of the noise before it."""
    estimates = []
    for seed in SEEDS:
        noise = np.random.default_rng(seed).normal(0, 0.1, 150)
        for turn in range(1, 150):
            noise[turn] += 0.6 * noise[turn - 1]
        one = trio_of(noise.reshape(50, 3))
        estimates.append(estimate.control_log_ratio(one, "seconds_per_example"))
    ratios, errors = np.transpose(estimates)
    assert 0.8 < np.mean(errors**2) / np.var(ratios) < 1.25


def test_the_expected_width_of_an_interval_ignores_where_the_ratios_lie() -> None:
    expected = estimate.expected_half_width
    wild = [(0.3, 0.01), (-0.2, 0.01), (0.1, 0.01)]
    equal = [(0.0, 0.01)] * 3
    assert expected(wild, 0.05) == expected(equal, 0.05)
    assert expected(equal * 4, 0.05) < expected(equal, 0.05) / 2
    assert expected(equal[:2], 0.05) == float("inf")


@pytest.mark.parametrize("count", [3, 5, 10])
@pytest.mark.parametrize("layout", [0.0, 0.003, 0.02])
def test_intervals_cover_the_truth(count: int, layout: float) -> None:
    """The nominal coverage is 95 %; each process may have a bias; 300 seeds."""
    inside = 0
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        within = 0.005
        base, same, head = rng.normal(0, np.hypot(layout, within), (3, count))
        ratios = 0.03 + head - (base + same) / 2
        interval = estimate.interval(
            [(ratio, within) for ratio in ratios],
            0.05,
            [(control, within) for control in same - base],
        )
        inside += np.log(interval.low) <= 0.03 <= np.log(interval.high)
    assert inside / len(SEEDS) >= 0.92


@pytest.mark.parametrize("count", [3, 5, 10])
def test_intervals_cover_beside_bursts_and_are_narrower_for_the_weights(count) -> None:
    """A quarter of the trios is ten times as noisy; errors come from eight blocks."""
    inside, relative_widths = 0, []
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        within = rng.choice([0.004, 0.04], count, p=[0.75, 0.25])
        base, same, head = rng.normal(0, np.hypot(0.005, within), (3, count))
        errors = within * np.sqrt(rng.chisquare(7, (2, count)) / 7)
        ratios = list(
            zip(0.03 + head - (base + same) / 2, 1.2 * errors[0], strict=True)
        )
        controls = list(zip(same - base, 1.4 * errors[1], strict=True))
        interval = estimate.interval(ratios, 0.05, controls)
        inside += np.log(interval.low) <= 0.03 <= np.log(interval.high)
        unweighed, same_unweighed = (
            [(value, np.nan) for value, _ in pairs] for pairs in (ratios, controls)
        )
        equal = estimate.interval(unweighed, 0.05, same_unweighed)
        relative_widths.append(width(interval) / width(equal))
    assert inside / len(SEEDS) >= 0.92
    assert np.mean(relative_widths) < 0.85


def test_two_trios_give_no_interval() -> None:
    interval = estimate.interval([(0.1, 0.01), (0.1, 0.01)], 0.05)
    assert interval.count == 2
    assert np.isnan(interval.low)
    assert np.isnan(interval.high)


def test_no_number_of_trios_averages_out_what_sets_servers_apart() -> None:
    many = [(0.001 * (-1) ** n, 0.001) for n in range(400)]
    spread = estimate.BETWEEN_SERVERS
    alone, apart = (estimate.interval(many, 0.05, many, by) for by in (0.0, spread))
    half = width(apart) / 2
    assert half == pytest.approx(1.96 * spread, rel=0.02)
    assert width(alone) / 2 < half / 10
    assert estimate.expected_half_width(many, 0.05, spread) > 1.9 * spread
