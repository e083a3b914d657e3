"""This module compares trials by the runs that they have in the same rounds.

In a round of a sweep every trial runs once, so two runs of a round form a pair.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bench import flags
from bench.analysis import decisions, intervals, rounds, stats
from bench.analysis.table import SCENE
from bench.pipeline import AXES

COLUMNS = (*rounds.ROUND, "key", "label", "log_seconds", "seconds_per_batch", "short")


def measured(samples: pd.DataFrame, *more: str) -> pd.DataFrame:
    """Return the successful runs of trials that may be ranked, a row for each run.

    The columns are the times, those that identify the scene (the set of trials that may
    be compared with one another), and every axis of the pipeline.

    Args:
        samples: The table from `table.from_runs`.
        more: The names of further columns of the result.
    """
    frame = ranked(stats.runs(samples))
    columns = dict.fromkeys((*COLUMNS, *more, *SCENE, *AXES))
    return frame.loc[frame["log_seconds"].notna(), list(columns)]


def ranked(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs of trials that may be ranked.

    A trial is not ranked if any of its runs has a flag of `flags.NOT_RANKED`.

    Args:
        runs: The table from `stats.runs`.
    """
    flagged = stats.barred(runs["flags"])
    return runs[~flagged.groupby([runs["machine"], runs["key"]]).transform("any")]


def barring_flags(runs: pd.DataFrame) -> list[str]:
    """Return the flags of a trial's runs that exclude the trial from ranking.

    Args:
        runs: The rows of one trial in the table from `stats.runs`.
    """
    raised = ";".join(runs["flags"]).split(";")
    return [flag for flag in flags.NOT_RANKED if flag in raised]


def all_but(*axes: str) -> list[str]:
    """Return the columns that identify a trial, without the columns of some axes.

    Two trials with equal values in these columns differ in those axes only.
    """
    return [name for name in dict.fromkeys((*SCENE, *AXES)) if name not in axes]


def seconds(
    runs: pd.DataFrame, keys: Sequence[str], column: str = "seconds_per_batch"
) -> np.ndarray:
    """Return geometric means of a column within each round, `[rounds, keys]`.

    A value is NaN if the round lacks the trial. Screening runs (the short runs that
    open a large race) count only for trials that share no other round with the first
    trial.

    Args:
        runs: The rows of one machine in the table from `stats.runs`.
        keys: The keys of the trials. The others are compared with the first one.
        column: The column to average.
    """
    codes = pd.Index(keys).get_indexer(runs["key"])
    known = codes >= 0
    own = runs.loc[known, [*rounds.ROUND, "short", column]]
    logs = np.log(own[column].astype(float))
    own = own.assign(every=logs, full=logs.mask(own["short"]))
    every, full = (
        rounds.within_rounds(own, codes[known], len(keys), name)
        for name in ("every", "full")
    )
    apart = np.isnan(full - full[:, :1]).all(axis=0)
    # The first trial's screening runs pair only with trials that have no other runs.
    apart[:1] = True
    return np.exp(np.where(apart, every, full))


def ratio(values: np.ndarray, baseline: np.ndarray) -> intervals.Interval:
    """Return the mean of values / baseline over the rounds that have both.

    The mean is geometric and has a 95 % interval. All numbers are NaN if no round has
    both. The arrays are `[rounds]`.
    """
    both = ~np.isnan(values + baseline)
    if not both.any():
        return intervals.Interval(np.nan, np.nan, np.nan, 0)
    return intervals.ratio(values[both], baseline[both])


def verdict(seconds_ratio: intervals.Interval, consumer: str) -> str:
    """Return the verdict on a ratio of seconds; `unknown` below three rounds."""
    enough = seconds_ratio.count >= decisions.FEWEST_ROUNDS
    margin = decisions.MARGINS[consumer]
    return decisions.verdict(seconds_ratio, margin) if enough else "unknown"
