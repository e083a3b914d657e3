"""Rounds: the runs that are compared, who was in how many, and what two trials share.

A round belongs to a sweep in a folder. Trials need not have the same ones: a race puts
trials out, a sweep was cut short, several folders are reported together. Matrices have
a row a round and a column a trial, NaN where a round lacks a trial.

A race of a large scene begins with short runs, which choose who goes on; see
`screening`. Of what went on they say too much good, just because they chose it. So they
count only where there is nothing else: of what was left behind, and between that and
what went on. That last ratio flatters what went on, and rests on few rounds.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

ROUND = ["folder", "sweep", "round"]
SWEEP = ROUND[:2]
LEAST_SHARE = 0.5  # of its rounds: what was in fewer was left behind
# Twice the standard deviation of the log-ratio of two runs that vary by 10 %, which is
# where `stats` begins to call them unstable.
LUCK = 2 * 2**0.5 * 0.10


def short(runs: pd.DataFrame, scene: np.ndarray) -> np.ndarray:
    """Whether each run was given less time than others that went well, `[runs]`.

    Args:
        runs: From `stats.runs`; compared are those of one folder, sweep and scene.
        scene: The number of each run's scene.
    """
    effort = runs["effort_seconds"]
    by = [*(runs[name] for name in SWEEP), scene]
    longest = effort.where(runs["log_seconds"].notna()).groupby(by).transform("max")
    return (effort < longest).to_numpy()


def within_rounds(
    frame: pd.DataFrame, trial: np.ndarray, trials: int, column: str = "log_seconds"
) -> np.ndarray:
    """Means of a column, `[rounds, trials]`; NaN where a round lacks a trial.

    Args:
        frame: From `stats.runs`.
        trial: The trial's number of each row.
        trials: How many there are.
        column: What to average where a round has a trial more than once.
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
    """In which share of the rounds that it could be in each trial was, `[trials]`.

    It could be in those that have any trial of its scene, in the folders and sweeps
    that have it: to be in fewer folders than another is not to be left behind.

    Args:
        runs: From `stats.runs`.
        logs: Log seconds an example, from `within_rounds`.
        scene: The number of each trial's scene.
    """
    known = ~np.isnan(logs)
    sweep = np.zeros(len(known), int)
    sweep[runs.groupby(ROUND).ngroup().to_numpy()] = runs.groupby(SWEEP).ngroup()
    there = np.zeros((scene.max() + 1, len(known)), int)
    np.add.at(there, scene, known.T.astype(int))
    made = np.zeros((sweep.max() + 1, len(scene)), int)
    np.add.at(made, sweep, known.astype(int))
    held = np.zeros((len(made), len(there)), int)
    np.add.at(held, sweep, (there > 0).T.astype(int))
    could = np.where(made > 0, held[:, scene], 0).sum(axis=0)
    return made.sum(axis=0) / np.maximum(could, 1)


def levels(logs: np.ndarray, scene: np.ndarray) -> np.ndarray:
    """Each trial's log time with what its rounds have in common taken out, `[trials]`.

    Least squares of trial + round within a scene: the intra-block analysis of
    incomplete blocks (Yates 1936). Trials in the same rounds differ by their paired
    ratio, others by way of those that they share rounds with. What no chain of shared
    rounds joins differs by its means, and by whatever changed in between.

    Args:
        logs: Log seconds an example, `[rounds, trials]`.
        scene: The number of each trial's scene.
    """
    known = ~np.isnan(logs)
    count = known.sum(axis=0)
    found = np.where(count > 0, np.nansum(logs, axis=0) / np.maximum(count, 1), np.nan)
    for number in range(scene.max() + 1):
        own = np.flatnonzero((scene == number) & (count > 0))
        rows = known[:, own].any(axis=1)
        has = known[np.ix_(rows, own)].astype(float)
        left = np.nansum(logs[np.ix_(rows, own)] - found[own], axis=1)
        # The normal equations of the rounds, with each trial's own mean taken out.
        joint = np.diag(has.sum(axis=1)) - (has / count[own]) @ has.T
        effects = np.linalg.lstsq(joint, left, rcond=1e-9)[0]
        found[own] -= effects @ has / count[own]
    return found


def ratios(logs: np.ndarray, full: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Log of each trial's time over another's, `[rounds, trials]`.

    Args:
        logs: Log seconds an example, `[rounds, trials]`.
        full: The same without short runs; they count where two share nothing else.
        others: The number of each trial's other.
    """
    found = full - full[:, others]
    return np.where(np.isnan(found).all(axis=0), logs - logs[:, others], found)


def standing(
    logs: np.ndarray, full: np.ndarray, share: np.ndarray, scene: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What orders trials from the best on, `[trials]` each, the second one first.

    What a race left behind is not the best by the luck of few rounds: what has nothing
    but short runs comes last, and what was in few of its rounds leads only by more than
    luck explains.

    Args:
        logs: Log seconds an example, `[rounds, trials]`.
        full: The same without short runs.
        share: From `shares`.
        scene: The number of each trial's scene.

    Returns:
        The level, of which less is better, with luck added where few rounds tell it;
        and whether short runs alone do.
    """
    level = levels(full, scene)
    screened = np.isnan(level)
    level = np.where(screened, levels(logs, scene), level)
    return level + LUCK * (share < LEAST_SHARE), screened
