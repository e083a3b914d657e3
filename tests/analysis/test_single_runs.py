"""Trials with two runs show the precision of one run."""

import factory
import numpy as np
import pytest

from bench.analysis import single_runs, stats, table

TRIALS = [factory.trial(prefetch=n) for n in range(1, 201)]


def runs_of(records):
    return stats.runs(table.from_runs(records))


def test_the_precision_covers_nineteen_of_twenty_factors_of_single_runs():
    noise = 0.05
    once = factory.runs(dict.fromkeys(TRIALS, 0.01), rounds=1, run_noise=noise, seed=1)
    twice = once + [
        factory.run(run.trial, run.measured.samples, round=1)
        for run in factory.runs(
            dict.fromkeys(TRIALS, 0.01), rounds=1, run_noise=noise, seed=2
        )
    ]
    precision = single_runs.precision(runs_of(twice))
    assert precision.trials == len(TRIALS)
    expected = np.expm1(1.96 * 2**0.5 * noise)
    assert precision.factor == pytest.approx(expected, rel=0.2)
    assert precision.rate == pytest.approx(np.expm1(1.96 * noise), rel=0.2)
    # All trials take the same time, so their factors should be 1.
    speeds = np.exp(runs_of(once)["log_seconds"].to_numpy())
    factors = np.abs(np.log(speeds[::2] / speeds[1::2]))
    assert (factors <= np.log1p(precision.factor)).mean() == pytest.approx(
        0.95, abs=0.05
    )


@pytest.mark.parametrize(("second", "known"), [(0, False), (19, False), (20, True)])
def test_too_few_second_runs_give_no_precision(second, known):
    records = factory.runs(dict.fromkeys(TRIALS[:40], 0.01), rounds=1)
    records += [factory.run(trial, round=1) for trial in TRIALS[:second]]
    assert (single_runs.precision(runs_of(records)) is not None) == known


def test_a_factor_is_of_the_rounds_that_both_trials_share():
    fast, slow = TRIALS[:2]
    records = [
        factory.run(fast, [0.01], round=0),
        factory.run(slow, [0.03], round=0),
        factory.run(slow, [0.3], round=1),
    ]
    runs = runs_of(records)
    assert single_runs.factor(runs, fast.key, slow.key) == pytest.approx(3)
    assert np.isnan(single_runs.factor(runs, fast.key, TRIALS[2].key))
