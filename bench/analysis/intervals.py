"""The difference of two sides that took no turns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats as distributions

from bench.analysis import stats


class Difference(NamedTuple):
    """The log of a ratio, with what is known of it.

    Attributes:
        estimate: Itself.
        error: Its standard error; NaN where one run gives none.
        freedom: Degrees of freedom of the error.
    """

    estimate: float
    error: float
    freedom: float


def welch(a: np.ndarray, b: np.ndarray) -> Difference:
    """The difference of means a - b, with Welch's degrees of freedom (Welch 1947)."""
    if not len(a) or not len(b):
        return Difference(np.nan, np.nan, 1.0)
    estimate = float(a.mean() - b.mean())
    if len(a) < 2 or len(b) < 2:
        return Difference(estimate, np.nan, 1.0)
    parts = np.array([side.var(ddof=1) / len(side) for side in (a, b)])
    total = parts.sum()
    if total == 0:
        return Difference(estimate, 0.0, float(len(a) + len(b) - 2))
    freedom = total**2 / (parts**2 / [len(a) - 1, len(b) - 1]).sum()
    return Difference(estimate, float(np.sqrt(total)), float(freedom))


def between(head: Sequence[float], base: Sequence[float]) -> Difference:
    """The log of the ratio of two sides, by a figure a run of each."""
    return welch(np.log(head), np.log(base))


def interval(found: Difference, alpha: float, count: int) -> stats.Interval:
    """A difference as a ratio with its bounds, which miss alpha; of so many runs."""
    width = distributions.t.ppf(1 - alpha / 2, found.freedom) * found.error
    middle = found.estimate
    bounds = np.exp([middle, middle - width, middle + width])
    return stats.Interval(*(float(value) for value in bounds), count)
