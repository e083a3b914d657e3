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
BETWEEN = 0.006  # from process to process: 0.3 (images) to 0.8 % (text) was measured
LAYOUT = 0.003  # the least to believe of it, however alike the trios look
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
    """The ratio over trios with its interval: weighted, and by a moderated t.

    Of k trios' log-ratios r with errors e within each, the weights are w = 1 / (e^2 +
    `BETWEEN`^2): a trio that met a burst of load tells less. With m = sum(w r) / sum(w)
    the bounds are m -+ t(d0 + k - 1) * sqrt(Q / sum(w)), where Q = (d0 q0 + (k - 1) q)
    / (d0 + k - 1) corrects the weights' scale: q = sum(w (r - m)^2) / (k - 1) is what
    the trios themselves say of it. With three trios q alone is as often far too small
    as far too large. What to expect is told by the controls c of the same trios, base
    against base, whose mean is known to be 0: q0 = mean(v c^2) with d0 = k degrees and
    v = 1 / (e_c^2 + 4/3 `BETWEEN`^2), as one base against one varies 4/3 times as much
    as head against two. Where q contradicts q0 (F test at 10 %), head varies more than
    base does: then d0 = 0. No interval is narrower than one of variance `LAYOUT`^2 a
    trio. Sources: DerSimonian and Laird (1986), the weights; Hartung and Knapp (2001),
    q and t; Smyth (2004), Linear models and empirical Bayes methods, section 3, d0.

    Args:
        found: Log-ratio and error of each trio.
        alpha: What the interval may miss, both sides together.
        controls: The same of base against base; without them d0 = 0.
    """
    ratios, weights = _weighed(found, BETWEEN**2)
    count, own = len(ratios), len(ratios) - 1
    if not count or np.isnan(ratios).any():
        return Interval(np.nan, np.nan, np.nan, count)
    mean = float(np.average(ratios, weights=weights))
    if count < LEAST_TRIOS:
        return Interval(float(np.exp(mean)), np.nan, np.nan, count)
    scale, expected, prior = float(weights @ (ratios - mean) ** 2) / own, 0.0, 0
    if controls:
        same, told_by = _weighed(controls, BETWEEN**2 / CONTROL_SHARE)
        told = max(float(np.mean(told_by * same**2)), LAYOUT**2 * weights.sum() / count)
        if distributions.f.sf(scale / told, own, len(same)) > DOUBT:
            expected, prior = told, len(same)
    scale = (prior * expected + own * scale) / (prior + own)
    error = np.sqrt(max(scale / weights.sum(), LAYOUT**2 / count))
    half = distributions.t.ppf(1 - alpha / 2, prior + own) * error
    bounds = mean + np.array([0.0, -half, half])
    return Interval(*(float(value) for value in np.exp(bounds)), count)


def best_turn_seconds(
    found: Sequence[tuple[float, float]], taken: float, setup: float
) -> float:
    """How long a trio best takes turns, for the narrowest interval in a given time.

    sqrt(c * w / b): setting a trio up takes c seconds, one second of turns leaves the
    variance w within it, and b is the variance between trios, which few of them do not
    tell: it is taken for at least `BETWEEN`^2. Source: optimum allocation in two-stage
    sampling, Cochran (1977), section 10.6.

    Args:
        found: Log-ratio and error of each trio so far.
        taken: Seconds of turns in each, on average.
        setup: Seconds of each besides its turns.
    """
    ratios, errors = np.array(found, float).reshape(-1, 2).T
    within = float(np.nanmean(errors**2))
    between = float(ratios.var(ddof=1)) - within if len(ratios) > 1 else 0.0
    return float(np.sqrt(setup * within * taken / max(between, BETWEEN**2)))


def width(found: Interval) -> float:
    """Half the interval's width on the log scale; infinite where there is none."""
    half = (np.log(found.high) - np.log(found.low)) / 2
    return float("inf") if np.isnan(half) else float(half)


def _weighed(
    found: Sequence[tuple[float, float]], between: float
) -> tuple[np.ndarray, np.ndarray]:
    """Log-ratios and their weights; equal ones where an error is not known."""
    ratios, errors = np.array(found, float).reshape(-1, 2).T
    known = not np.isnan(errors).any()
    return ratios, 1 / ((errors**2 if known else np.zeros_like(errors)) + between)


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
