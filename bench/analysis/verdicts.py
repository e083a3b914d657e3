"""Verdicts: the words, the margins, and how an interval becomes a verdict."""

from __future__ import annotations

import numpy as np

from bench.analysis.intervals import Interval

FEWEST_ROUNDS = 3  # two rounds agree by chance so often that a verdict would mislead
MARGINS = {"drain": 0.03, "train": 0.05, "model": 0.05, "serve": 0.05}


def verdict(interval: Interval, margin: float) -> str:
    """Return `slower`, `faster`, `unchanged` or `unknown`, from a ratio of seconds.

    Slower: the whole interval is above 1 + margin. Faster: below 1 / (1 + margin), the
    same distance on the log scale. Unchanged: between the two, which is the test of
    equivalence by two one-sided tests (Schuirmann 1987). Unknown: anything else, such
    as a single run, which has no interval.
    """
    if interval.low > 1 + margin:
        return "slower"
    if interval.high < 1 / (1 + margin):
        return "faster"
    if interval.low >= 1 / (1 + margin) and interval.high <= 1 + margin:
        return "unchanged"
    return "unknown"


def holm(p: np.ndarray) -> np.ndarray:
    """Return p values adjusted for their number, without those that are NaN.

    p(i) * (n - i + 1) for the i-th smallest of n, never falling. Source: Holm (1979).
    """
    adjusted = np.full(len(p), np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known])]
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(steps))
    return adjusted
