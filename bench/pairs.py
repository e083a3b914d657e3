"""Trials side by side within rounds: what belongs together in a ratio."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bench import stats

ROUND = ["folder", "sweep", "round"]


def seconds(
    runs: pd.DataFrame, keys: Sequence[str], column: str = "seconds_per_batch"
) -> np.ndarray:
    """Geometric means of some trials within each round, `[rounds, keys]`; NaN if none.

    Args:
        runs: From `stats.runs`, of one machine.
        keys: The trials' keys.
        column: What to give in place of seconds a batch.
    """
    own = runs[runs["key"].isin(keys)]
    logs = own.assign(_log=np.log(own[column].to_numpy(float)))
    wide = logs.pivot_table(index=ROUND, columns="key", values="_log", dropna=False)
    return np.exp(wide.reindex(columns=list(keys)).to_numpy(float))


def ratio(values: np.ndarray, baseline: np.ndarray) -> stats.Interval:
    """The paired ratio over the rounds that have both; NaN where none has."""
    pairs = ~np.isnan(values + baseline)
    if not pairs.any():
        return stats.Interval(np.nan, np.nan, np.nan, 0)
    return stats.ratio(values[pairs], baseline[pairs])
