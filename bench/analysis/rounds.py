"""This module compares trials within rounds, even if they have different rounds.

In a round every trial of a sweep runs once. Trials have different rounds if a race
excludes trials, if a sweep is cut short, or if a report covers several folders.
Matrices have a row for each round and a column for each trial, and NaN where a round
lacks a trial. A scene is a set of trials that may be compared with one another.

A race of a large scene begins with short screening runs, which select the trials that
race; see `bench.plan.screening`. Screening runs overstate the trials that remained,
because they selected these trials. So screening runs count only where there are no
others: for an excluded trial, and between an excluded and a remaining trial. The ratio
of such a pair favours the remaining trial and rests on few rounds.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

ROUND = ["folder", "sweep", "round"]
SWEEP = ROUND[:2]
LEAST_SHARE = 0.5  # of the rounds; a race excluded the trials that have fewer
# Twice the standard deviation of the log-ratio of two runs that vary by 10 %, from
# which `stats` calls a trial unstable.
LUCK = 2 * 2**0.5 * 0.10


def short(runs: pd.DataFrame, scene: np.ndarray) -> np.ndarray:
    """Return whether each run is a screening run, the short first run of a race.

    Such a run was planned to be shorter than a successful run of the same folder, sweep
    and scene. The result is `[runs]`.

    Args:
        runs: The table from `stats.runs`.
        scene: The number of each run's scene, `[runs]`.
    """
    effort = runs["effort_seconds"]
    by = [*(runs[name] for name in SWEEP), scene]
    longest = effort.where(runs["log_seconds"].notna()).groupby(by).transform("max")
    return (effort < longest).to_numpy()


def within_rounds(
    frame: pd.DataFrame, trial: np.ndarray, trials: int, column: str = "log_seconds"
) -> np.ndarray:
    """Return the mean of a column for each round and trial, `[rounds, trials]`.

    A value is NaN if the round lacks the trial.

    Args:
        frame: The table from `stats.runs`.
        trial: The number of each row's trial, `[runs]`.
        trials: The number of trials.
        column: The column to average; a round may have a trial more than once.
    """
    rounds = frame.groupby(ROUND).ngroup().to_numpy()
    values = frame[column].to_numpy(float)
    known = ~np.isnan(values)
    shape = (rounds.max(initial=-1) + 1, trials)
    total, count = np.zeros(shape), np.zeros(shape)
    np.add.at(total, (rounds[known], trial[known]), values[known])
    np.add.at(count, (rounds[known], trial[known]), 1)
    return np.divide(total, count, out=np.full(shape, np.nan), where=count > 0)


def shares(runs: pd.DataFrame, logs: np.ndarray, scene: np.ndarray) -> np.ndarray:
    """Return the share of its possible rounds in which each trial ran, `[trials]`.

    A round is possible for a trial if the round has any trial of the scene and belongs
    to a folder and sweep that have the trial. So a trial that is missing from a whole
    folder does not count as excluded by a race.

    Args:
        runs: The table from `stats.runs`.
        logs: Log seconds an example, `[rounds, trials]`, from `within_rounds`.
        scene: The number of each trial's scene, `[trials]`.
    """
    known = ~np.isnan(logs)
    sweep = np.zeros(len(known), int)
    sweep[runs.groupby(ROUND).ngroup().to_numpy()] = runs.groupby(SWEEP).ngroup()
    there = np.zeros((scene.max() + 1, len(known)), int)
    np.add.at(there, scene, known.T.astype(int))
    actual = np.zeros((sweep.max() + 1, len(scene)), int)
    np.add.at(actual, sweep, known.astype(int))
    of_scene = np.zeros((len(actual), len(there)), int)
    np.add.at(of_scene, sweep, (there > 0).T.astype(int))
    possible = np.where(actual > 0, of_scene[:, scene], 0).sum(axis=0)
    return actual.sum(axis=0) / np.maximum(possible, 1)


def levels(logs: np.ndarray, scene: np.ndarray) -> np.ndarray:
    """Return each trial's log time without the effects of rounds, `[trials]`.

    The values are a least-squares fit of trial + round within a scene: the intra-block
    analysis of incomplete blocks (Yates 1936). Trials in the same rounds differ by
    their paired ratio. Other trials are compared through trials that share rounds with
    both. Trials that no chain of shared rounds connects differ by their means, which
    include changes of the machine.

    Args:
        logs: Log seconds an example, `[rounds, trials]`.
        scene: The number of each trial's scene, `[trials]`.
    """
    known = ~np.isnan(logs)
    count = known.sum(axis=0)
    level = np.where(count > 0, np.nansum(logs, axis=0) / np.maximum(count, 1), np.nan)
    for number in range(scene.max() + 1):
        own = np.flatnonzero((scene == number) & (count > 0))
        rows = known[:, own].any(axis=1)
        has = known[np.ix_(rows, own)].astype(float)
        left = np.nansum(logs[np.ix_(rows, own)] - level[own], axis=1)
        # The normal equations of the rounds, after subtracting each trial's mean.
        joint = np.diag(has.sum(axis=1)) - (has / count[own]) @ has.T
        effects = np.linalg.lstsq(joint, left, rcond=1e-9)[0]
        level[own] -= effects @ has / count[own]
    return level


def ratios(logs: np.ndarray, full: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return log-ratios of two trials' times in each round, `[rounds, trials]`.

    The ratio is that of each trial to the trial that `others` states. Screening runs,
    the short first runs of a race, count only for two trials that share no other round.

    Args:
        logs: Log seconds an example, `[rounds, trials]`.
        full: The values of `logs` without those of screening runs, `[rounds, trials]`.
        others: The number of the trial that each trial is compared with, `[trials]`.
    """
    paired = full - full[:, others]
    return np.where(np.isnan(paired).all(axis=0), logs - logs[:, others], paired)


def standing(
    logs: np.ndarray, full: np.ndarray, share: np.ndarray, scene: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the two sort keys that rank trials, best first, `[trials]` each.

    A trial that a race excluded must not be the best by the luck of few rounds. So
    trials with screening runs only come last, and a trial with few of its possible
    rounds is first only if it is faster by more than luck explains.

    Args:
        logs: Log seconds an example, `[rounds, trials]`.
        full: The values of `logs` without those of screening runs, `[rounds, trials]`.
        share: The share of possible rounds that each trial has, from `shares`.
        scene: The number of each trial's scene, `[trials]`.

    Returns:
        The level, where less is better, plus `LUCK` for a trial with few rounds; and
        whether a trial has screening runs only, which is the primary key.
    """
    level = levels(full, scene)
    screened = np.isnan(level)
    level = np.where(screened, levels(logs, scene), level)
    return level + LUCK * (share < LEAST_SHARE), screened
