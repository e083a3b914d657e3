"""Trials are compared by levels, by shares of rounds, and by ratios within rounds."""

import factory
import numpy as np
import pytest

from bench.analysis import rounds, stats, table


def test_levels_do_not_depend_on_slow_rounds():
    """This holds for trials in different rounds, and for each scene by itself."""
    true = np.array([0.0, -1.0, -2.0])
    logs = true + np.array([[0.0], [0.5], [-0.3], [0.2]])
    logs[:2, 2] = np.nan
    logs[2:, 1] = np.nan
    levels = rounds.levels(logs, np.zeros(3, int))
    assert levels - levels[0] == pytest.approx(true)
    both = rounds.levels(np.hstack([logs, -logs]), np.repeat([0, 1], 3))
    assert both == pytest.approx(np.hstack([levels, -levels]))


def test_levels_of_trials_in_all_rounds_are_their_means():
    logs = np.random.default_rng(0).normal(size=(5, 4))
    assert rounds.levels(logs, np.zeros(4, int)) == pytest.approx(logs.mean(axis=0))


def test_trials_that_no_rounds_connect_are_compared_by_means():
    """A trial that was never measured has no level."""
    logs = np.full((4, 3), np.nan)
    logs[:2, 0] = 1, 3
    logs[2:, 1] = 5, 5.5
    levels = rounds.levels(logs, np.zeros(3, int))
    assert levels == pytest.approx(np.array([2, 5.25, np.nan]), nan_ok=True)


def test_shares_are_of_the_rounds_of_the_folders_that_have_a_trial():
    """Only the rounds of their own scene count."""
    trials = [factory.trial(name) for name in ("naive", "parallel", "vectorized")]
    trials.append(factory.trial(workload="prices"))
    present = [("a", 0, 4), ("a", 1, 1), ("b", 0, 2), ("b", 2, 2), ("a", 3, 9)]
    places = [(name, one, n) for name, one, count in present for n in range(count)]
    runs = [factory.run(trials[one], round=number) for _, one, number in places]
    frame = stats.runs(table.from_runs(runs, [name for name, _, _ in places]))
    trial = np.array([one for _, one, _ in places])
    logs = rounds.within_rounds(frame, trial, 4)
    shares = rounds.shares(frame, logs, np.array([0, 0, 0, 1]))
    assert shares == pytest.approx(np.array([1, 0.25, 1, 1]))


def test_screening_runs_count_only_between_trials_without_other_shared_rounds():
    logs = np.array([[0.0, 1.0, 5.0], [0.0, 2.0, np.nan]])
    full = np.array([[np.nan] * 3, [0.0, 2.0, np.nan]])
    ratios = rounds.ratios(logs, full, np.zeros(3, int))
    expected = np.array([[np.nan, np.nan, 5.0], [0.0, 2.0, np.nan]])
    assert ratios == pytest.approx(expected, nan_ok=True)
