"""Trials side by side within rounds: what belongs together in a ratio."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bench import flags
from bench.analysis import intervals, rounds, stats, verdicts
from bench.analysis.table import SCENE
from bench.pipeline import AXES

COLUMNS = (*rounds.ROUND, "key", "label", "log_seconds", "seconds_per_batch", "short")


def measured(samples: pd.DataFrame, *more: str) -> pd.DataFrame:
    """The timed runs of trials that may be ranked, with what tells these apart.

    Args:
        samples: From `table.from_runs`.
        more: Further columns that are wanted.
    """
    frame = ranked(stats.runs(samples))
    wanted = dict.fromkeys((*COLUMNS, *more, *SCENE, *AXES))
    return frame.loc[frame["log_seconds"].notna(), list(wanted)]


def ranked(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs of trials of which no run has one of `flags.NOT_RANKED`.

    Args:
        runs: From `stats.runs`.
    """
    flagged = stats.barred(runs["flags"])
    return runs[~flagged.groupby([runs["machine"], runs["key"]]).transform("any")]


def barring(runs: pd.DataFrame) -> list[str]:
    """Those of `flags.NOT_RANKED` that any run of a trial has; see `stats.runs`."""
    told = ";".join(runs["flags"]).split(";")
    return [flag for flag in flags.NOT_RANKED if flag in told]


def all_but(*axes: str) -> list[str]:
    """What trials have in common that differ in these axes and in nothing else."""
    return [name for name in dict.fromkeys((*SCENE, *AXES)) if name not in axes]


def seconds(
    runs: pd.DataFrame, keys: Sequence[str], column: str = "seconds_per_batch"
) -> np.ndarray:
    """Geometric means of some trials within each round, `[rounds, keys]`; NaN if none.

    Short runs, which only chose who raced, count for what shares no other round with
    the first of the keys; see `rounds`.

    Args:
        runs: From `stats.runs`, of one machine.
        keys: The trials' keys, first that which the others are compared with.
        column: What to give in place of seconds a batch.
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
    apart[:1] = True  # where it stands beside full runs alone, only these are shared
    return np.exp(np.where(apart, every, full))


def ratio(values: np.ndarray, baseline: np.ndarray) -> intervals.Interval:
    """The paired ratio over the rounds that have both; NaN where none has."""
    both = ~np.isnan(values + baseline)
    if not both.any():
        return intervals.Interval(np.nan, np.nan, np.nan, 0)
    return intervals.ratio(values[both], baseline[both])


def verdict(took: intervals.Interval, consumer: str) -> str:
    """The verdict on a ratio of seconds, which fewer than three rounds do not have."""
    many = took.count >= verdicts.FEWEST_ROUNDS
    return verdicts.verdict(took, verdicts.MARGINS[consumer]) if many else "unknown"
