"""Whether a run's samples still rise or fall, so that they are no steady phase."""

from __future__ import annotations

import numpy as np
from scipy import stats

CHANGE = 0.05
P = 0.01
SAMPLES = 8


def trends(samples: np.ndarray) -> np.ndarray:
    """Whether each row of samples still trends, `[runs, samples]` to `[runs]`.

    Both must hold: Spearman's rank correlation with the order (Pearson's of the ranks)
    differs from 0 at p < 0.01, and the medians of the first and the last third differ
    by more than 5 %. Either alone calls noise or a harmless drift a trend.
    """
    samples = np.atleast_2d(np.asarray(samples, float))
    count = samples.shape[1]
    trending = np.zeros(len(samples), bool)
    if count < SAMPLES:
        return trending
    third = count // 3
    first = np.median(samples[:, :third], axis=1)
    change = np.median(samples[:, -third:], axis=1) / first - 1
    large = np.flatnonzero(np.abs(change) > CHANGE)
    if len(large):
        ranks = stats.rankdata(samples[large], axis=1)
        order = np.broadcast_to(np.arange(count, dtype=float), ranks.shape)
        trending[large] = stats.pearsonr(ranks, order, axis=1).pvalue < P
    return trending
