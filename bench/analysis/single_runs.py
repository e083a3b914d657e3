"""This module estimates from trials that have one run, or two.

A sweep with many trials and little time measures most trials once. One run has no
interval of its own. The trials that were measured twice show how far two runs of one
trial lie apart, and so how far one run can be trusted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bench.analysis.rounds import ROUND

SHARE = 0.95
FEWEST_TRIALS = 20  # the 95th percentile of fewer is the largest


@dataclass(frozen=True)
class Precision:
    """A precision is how far figures of one run each lie from the truth.

    Attributes:
        factor: The relative half-width of 95 % intervals of factors between two trials:
            0.1 is from 1 / 1.1 to 1.1 times the factor.
        trials: The number of trials with two runs, from which it follows.
    """

    factor: float
    trials: int

    @property
    def rate(self) -> float:
        """The relative half-width of the 95 % interval of one trial's rate.

        A factor has the errors of two runs, and a rate has the error of one.
        """
        return (1 + self.factor) ** math.sqrt(0.5) - 1


def precision(runs: pd.DataFrame) -> Precision | None:
    """Return the precision of one run, or None where too few trials have two runs.

    The log-ratio of two runs of one trial is distributed as the error of the log-ratio
    of two trials with one run each. No normal distribution is assumed.

    Args:
        runs: The table from `stats.runs`.
    """
    good = runs[runs["log_seconds"].notna()].sort_values("round", kind="stable")
    by = ["machine", "key"]
    number = good.groupby(by).cumcount()
    wide = good.assign(number=number).pivot(index=by, columns="number")["log_seconds"]
    apart = (wide[1] - wide[0]).dropna() if 1 in wide else []
    if len(apart) < FEWEST_TRIALS:
        return None
    return Precision(float(np.expm1(np.quantile(np.abs(apart), SHARE))), len(apart))


def factor(runs: pd.DataFrame, key: str, baseline: str) -> float:
    """Return how many times as fast one trial is as another, within shared rounds.

    Args:
        runs: The table from `stats.runs`, of one machine.
        key: The key of the trial.
        baseline: The key of the trial that it is compared with.

    Returns:
        The geometric mean over the rounds that have both; NaN where there is none.
    """
    logs = [
        runs[runs["key"] == name].groupby(ROUND)["log_seconds"].mean()
        for name in (baseline, key)
    ]
    return float(np.exp((logs[0] - logs[1]).mean()))
