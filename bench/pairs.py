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
    codes = pd.Index(keys).get_indexer(runs["key"])
    known = codes >= 0
    own, codes = runs.loc[known, [*ROUND, column]], codes[known]
    if own.empty:
        return np.empty((0, len(keys)))
    rounds = own.groupby(ROUND, sort=True).ngroup().to_numpy()
    logs = np.log(own[column].to_numpy(float))
    measured = ~np.isnan(logs)
    shape = (rounds.max() + 1, len(keys))
    total, count = np.zeros(shape), np.zeros(shape)
    np.add.at(total, (rounds[measured], codes[measured]), logs[measured])
    np.add.at(count, (rounds[measured], codes[measured]), 1)
    means = np.divide(total, count, out=np.full(shape, np.nan), where=count > 0)
    return np.exp(means)


def ratio(values: np.ndarray, baseline: np.ndarray) -> stats.Interval:
    """The paired ratio over the rounds that have both; NaN where none has."""
    pairs = ~np.isnan(values + baseline)
    if not pairs.any():
        return stats.Interval(np.nan, np.nan, np.nan, 0)
    return stats.ratio(values[pairs], baseline[pairs])
