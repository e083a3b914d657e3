"""Intervals of means and of ratios, by Student's and Welch's methods.

A ratio and its interval are on the log scale: times are skewed, and a factor of 2 and a
factor of 1/2 lie equally far from 1. The distributions are SciPy's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import stats as distributions

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """An interval is an estimate with its bounds, which are NaN if there is one run.

    Attributes:
        estimate: The estimate.
        low: The lower bound.
        high: The upper bound.
        count: How many runs or rounds the estimate rests on.
    """

    estimate: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        """Spell the figures, or that there is no interval."""
        if self.count < 2:
            return f"{self.estimate:.3g} (one run: no interval)"
        return f"{self.estimate:.3g} ({self.low:.3g} to {self.high:.3g})"


def moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean of each column, its standard error and its count, without NaN.

    Args:
        values: The values, `[values, columns]`.
    """
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    filled = np.where(known, values, 0.0)
    mean = np.where(count > 0, filled.sum(axis=0) / np.maximum(count, 1), np.nan)
    squares = np.where(known, (values - mean) ** 2, 0.0).sum(axis=0)
    variance = squares / np.maximum(count - 1, 1) / np.maximum(count, 1)
    return mean, np.where(count > 1, np.sqrt(variance), np.nan), count


def bounds(
    mean: np.ndarray, error: np.ndarray, freedom: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the bounds of t intervals, each of which holds `CONFIDENCE` by itself.

    Args:
        mean: The estimates.
        error: Their standard errors.
        freedom: The degrees of freedom of the errors; less than 1 counts as 1.
    """
    quantile = distributions.t.ppf((1 + CONFIDENCE) / 2, np.maximum(freedom, 1))
    return mean - quantile * error, mean + quantile * error


def of_mean(values: np.ndarray) -> Interval:
    """Return the mean of runs' figures with its t interval. Source: Student (1908)."""
    mean, error, count = moments(np.asarray(values, float).reshape(-1, 1))
    low, high = bounds(mean, error, count - 1)
    return Interval(float(mean[0]), float(low[0]), float(high[0]), int(count[0]))


def geometric(values: np.ndarray) -> Interval:
    """Return the geometric mean of positive figures, one a run, with its t interval."""
    logs = of_mean(np.log(np.asarray(values, float)))
    ends = (float(np.exp(value)) for value in (logs.estimate, logs.low, logs.high))
    return Interval(*ends, logs.count)


def ratio(values: np.ndarray, baseline: np.ndarray) -> Interval:
    """Return the paired ratio of two trials' runs; arrays have an element a round."""
    return geometric(np.asarray(values, float) / np.asarray(baseline, float))


class Difference(NamedTuple):
    """A difference is the log of a ratio of two sides whose runs are not paired.

    Attributes:
        estimate: The log of the ratio.
        error: The standard error of the estimate; NaN where a side has one run.
        freedom: The degrees of freedom of the error.
    """

    estimate: float
    error: float
    freedom: float


def welch(a: np.ndarray, b: np.ndarray) -> Difference:
    """Return the difference of means a - b, with Welch's degrees of freedom.

    The two sides may differ in spread. Source: Welch (1947).
    """
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
    """Return the log of the ratio head over base, from positive figures, one a run."""
    return welch(np.log(head), np.log(base))


def as_ratio(difference: Difference, count: int) -> Interval:
    """Return a difference as a ratio with its interval.

    Args:
        difference: The log of the ratio.
        count: The runs of the side that has fewer.
    """
    ends = (difference.estimate, *bounds(*difference))
    return Interval(*(float(np.exp(value)) for value in ends), count)
