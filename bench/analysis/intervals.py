"""This module computes intervals of means and ratios, by Student's and Welch's methods.

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
        """Return the estimate and its bounds, such as `1.05 (1.02 to 1.08)`.

        For a single run the text states that there is no interval.
        """
        if self.count < 2:
            return f"{self.estimate:.3g} (one run: no interval)"
        return f"{self.estimate:.3g} ({self.low:.3g} to {self.high:.3g})"


def moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean, standard error and count of each column's values; NaN is ignored.

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
    """Return the lower and the upper bounds of 95 % t intervals.

    Each interval is computed by itself, without correction for other intervals.

    Args:
        mean: The estimates to enclose.
        error: Their standard errors.
        freedom: The degrees of freedom of the errors; less than 1 counts as 1.
    """
    quantile = distributions.t.ppf((1 + CONFIDENCE) / 2, np.maximum(freedom, 1))
    return mean - quantile * error, mean + quantile * error


def of_mean(values: np.ndarray) -> Interval:
    """Return the mean of values, one a run, with its t interval (Student 1908)."""
    mean, error, count = moments(np.asarray(values, float).reshape(-1, 1))
    low, high = bounds(mean, error, count - 1)
    return Interval(float(mean[0]), float(low[0]), float(high[0]), int(count[0]))


def geometric(values: np.ndarray) -> Interval:
    """Return the geometric mean of positive values, one for each run, and its interval.

    The interval is a t interval of the mean log.
    """
    logs = of_mean(np.log(np.asarray(values, float)))
    ends = (float(np.exp(value)) for value in (logs.estimate, logs.low, logs.high))
    return Interval(*ends, logs.count)


def ratio(values: np.ndarray, baseline: np.ndarray) -> Interval:
    """Return the geometric mean of values / baseline over rounds, with its interval.

    Both arrays are `[rounds]`, and two elements of one round form a pair.
    """
    return geometric(np.asarray(values, float) / np.asarray(baseline, float))


class Difference(NamedTuple):
    """A difference is the log of the ratio of two means, of runs that form no pairs.

    Attributes:
        estimate: The log of the ratio.
        error: The standard error of the estimate; NaN if one of the means has a single
            run.
        freedom: The degrees of freedom of the error.
    """

    estimate: float
    error: float
    freedom: float


def welch(a: np.ndarray, b: np.ndarray) -> Difference:
    """Return the difference of the means of a and b, with Welch's degrees of freedom.

    a and b may differ in spread. Source: Welch (1947).
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
    """Return the log of the ratio of head's mean to base's mean.

    Both have a positive value for each run. The runs form no pairs, unlike those of one
    round.
    """
    return welch(np.log(head), np.log(base))


def as_ratio(difference: Difference, count: int) -> Interval:
    """Return the ratio of two means, with its interval, from the log of that ratio.

    Args:
        difference: The log of the ratio, with its standard error.
        count: The number of runs of the mean that has fewer.
    """
    ends = (difference.estimate, *bounds(*difference))
    return Interval(*(float(np.exp(value)) for value in ends), count)
