"""From turns to a verdict: what trios of live processes say of a ratio.

The unit of evidence is a trio of processes, not a turn: turns of one trio share memory
layout and neighbours, so a test over all turns pooled finds differences where there are
none. Each trio gives one log-ratio; the interval is over trios.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats as distributions

from bench.lockstep import Trio
from bench.stats import Interval

LEAST_TRIOS = 3
TRIMMED = 0.25  # from each end: the midmean, robust and less noisy than the median
BLOCKS = 8
LAYOUT = 0.003  # bias by memory placement: 0.2 to 0.3 % was measured, roles unswapped
CONTROL_SHARE = 0.75  # Var(head - (base + control) / 2) over Var(control - base)
DOUBT = 0.10
P95 = 95


def head(trio: Trio, metric: str) -> tuple[float, float]:
    """Log-ratio of head to the mean of both bases, and its error within the trio."""
    logs = _logs(trio, metric)
    return _centre(logs[:, 2] - logs[:, :2].mean(axis=1))


def control(trio: Trio, metric: str) -> tuple[float, float]:
    """Log-ratio of one base to the other, which ought to be nothing; and its error."""
    logs = _logs(trio, metric)
    return _centre(logs[:, 1] - logs[:, 0])


def interval(
    found: Sequence[tuple[float, float]],
    alpha: float,
    controls: Sequence[tuple[float, float]] = (),
) -> Interval:
    """The ratio over trios with its interval, by a moderated t.

    Of k trios' log-ratios with mean m and variance s^2, the bounds are
    m -+ t(d0 + k - 1) * sqrt(S^2 / k) with S^2 = (d0 s0^2 + (k - 1) s^2) /
    (d0 + k - 1): with three trios s^2 alone is as often far too small as far too
    large. What to expect is told by the controls c of the same trios, base against
    base, whose mean is known to be 0: s0^2 = 3/4 mean(c^2) with d0 = k degrees, where
    3/4 is the variance of head against two bases over that of one base against one.
    Source: Smyth (2004), Linear models and empirical Bayes methods, section 3. Where
    s^2 contradicts s0^2 (F test at 10 %), head varies more than base does: then d0 = 0,
    Student's own interval. No S is believed below `LAYOUT`.

    Args:
        found: Log-ratio and error of each trio.
        alpha: What the interval may miss, both sides together.
        controls: The same of base against base; without them d0 = 0.
    """
    ratios = np.array(found, float).reshape(-1, 2)[:, 0]
    count, own = len(ratios), len(ratios) - 1
    if count < LEAST_TRIOS or np.isnan(ratios).any():
        mean = float(np.exp(ratios.mean())) if count else np.nan
        return Interval(mean, np.nan, np.nan, count)
    between, expected, prior = ratios.var(ddof=1), 0.0, 0
    if controls:
        same = np.array(controls, float).reshape(-1, 2)[:, 0]
        told = max(CONTROL_SHARE * np.mean(same**2), LAYOUT**2)
        if distributions.f.sf(between / told, own, len(same)) > DOUBT:
            expected, prior = told, len(same)
    variance = (prior * expected + own * between) / (prior + own)
    variance = max(variance, LAYOUT**2)
    quantile = distributions.t.ppf(1 - alpha / 2, prior + own)
    half = quantile * np.sqrt(variance / count)
    bounds = ratios.mean() + np.array([0.0, -half, half])
    return Interval(*(float(value) for value in np.exp(bounds)), count)


def best_turn_seconds(
    found: Sequence[tuple[float, float]], taken: float, setup: float
) -> float:
    """How long a trio best takes turns, for the narrowest interval in a given time.

    sqrt(c * w / b): setting a trio up takes c seconds, one second of turns leaves the
    variance w within it, and b is the variance between trios. Source: optimum
    allocation in two-stage sampling, Cochran (1977), section 10.6.

    Args:
        found: Log-ratio and error of each trio so far.
        taken: Seconds of turns in each, on average.
        setup: Seconds of each besides its turns.
    """
    ratios, errors = np.array(found, float).reshape(-1, 2).T
    within = float(np.nanmean(errors**2))
    between = float(ratios.var(ddof=1)) - within if len(ratios) > 1 else 0.0
    return float(np.sqrt(setup * within * taken / max(between, LAYOUT**2)))


def width(found: Interval) -> float:
    """Half the interval's width on the log scale; infinite where there is none."""
    half = (np.log(found.high) - np.log(found.low)) / 2
    return float("inf") if np.isnan(half) else float(half)


def _logs(trio: Trio, metric: str) -> np.ndarray:
    """Logs of base, control and head, `[rounds, 3]`; one row for what has no turns."""
    if metric == "peak_resident_bytes":
        values = [[m.peak_resident_bytes or np.nan for m in trio.measured]]
    else:
        name = "cpu_seconds" if metric == "cpu_seconds_per_example" else "seconds"
        values = [[getattr(turn, name) for turn in row] for row in trio.turns]
    values = np.array(values, float)
    if metric == "latency_p95":
        values = np.percentile(values, P95, axis=0, keepdims=True)
    return np.log(values) - np.log(_sizes(trio, metric))


def _sizes(trio: Trio, metric: str) -> np.ndarray:
    """Examples a batch of each, for what is told by the example."""
    if not metric.endswith("_per_example"):
        return np.ones(3)
    return np.array([trio.batch_sizes[role] for role in ("base", "base", "head")])


def _centre(ratios: np.ndarray) -> tuple[float, float]:
    """The midmean of the rounds, and its error from that of blocks of them.

    Neighbouring rounds are alike, so their own scatter would promise too much.
    """
    blocks = min(BLOCKS, len(ratios) // 2)
    middle = float(distributions.trim_mean(ratios, TRIMMED))
    if len(ratios) == 1:
        return middle, 0.0
    if blocks < 2:
        return middle, float("nan")
    centres = [
        distributions.trim_mean(block, TRIMMED)
        for block in np.array_split(ratios, blocks)
    ]
    return middle, float(np.std(centres, ddof=1) / np.sqrt(blocks))
