"""From turns to a verdict: what trios of live processes say of a ratio.

The unit of evidence is a trio of processes, not a turn: turns of one trio share memory
layout and neighbours, so a test over all turns pooled finds differences where there are
none. Each trio gives one log-ratio; the interval is over trios.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats as distributions

from bench.analysis.intervals import Interval
from bench.guard import metrics
from bench.guard.places import Places, blocks, compare, longest
from bench.guard.trio import Trio

LEAST_TRIOS = 3
# From each end: the middle fifth is left. A virtual core is fast or slow for tens of
# milliseconds, so differences of turns are near their centre or far from it: images,
# on one processor, scatter from trio to trio by about 0.85 of what the middle half
# leaves. On several processors they scatter by 1.03 of it, texts by 0.96 to 1.09.
TRIMMED = 0.4
BLOCK_ROUNDS = 3  # about as long as what bends turns lasts: 20 to 40 ms
LEAST_BLOCKS = 3
RESAMPLES = 100
# Of what a trio's own turns say of its variance; the rest is said by all trios. In 97
# comparisons the square of base against base grew 8-fold where this grew 16-fold.
OWN = 0.75
BETWEEN = 0.006  # from process to process: 0.3 (images) to 0.8 % (text) was measured
LAYOUT = 0.003  # the least to believe of it, however alike the trios look
# From server to server, whatever their processes do: twelve guards of an interpreter
# against itself varied by 0.52 % (prose), where their trios said 0.36. Servers that
# begin anew with each trio put it into the trios; so much is allowed for all the same.
SERVERS = 0.004
CONTROL_SHARE = 0.75  # Var(head - (base + control) / 2) over Var(control - base)
DOUBT = 0.10


def head(trio: Trio, metric: str) -> tuple[float, float]:
    """Log-ratio of head to both bases, and its error within the trio.

    The mean of two trimmed means, head against each base: the difference of two turns
    is as skewed to either side if nothing changed, so that its centre is 0, but head
    less the mean of two bases is not. By that text seemed 0.2 to 0.3 % faster.
    """
    logs = turn_logs(trio, metric)
    return _of_head(logs), CONTROL_SHARE**0.5 * error(logs)


def control(trio: Trio, metric: str) -> tuple[float, float]:
    """Log-ratio of one base to the other, which ought to be nothing; and its error."""
    logs = turn_logs(trio, metric)
    return _of_control(logs), error(logs)


def over_trios(
    logs: Sequence[np.ndarray],
    errors: Sequence[float],
    metric: str,
    *,
    placed: bool = True,
) -> tuple[list[tuple[float, float]], list[tuple[float, float]], Places | None]:
    """Log-ratios of head and of the control in each trio, with their errors.

    All trios of a case are needed: what is long at the same place in nearly all of
    them is a cost of the pipeline and counts; see `places`.

    Args:
        logs: Of each trio, from `turn_logs`.
        errors: Of each of them, from `error`; a bootstrap, which long places do not
            move.
        metric: Of the guard.
        placed: Whether all trios meet the same examples in the same rounds.

    Returns:
        Head's, the control's, and what the places have in common; None where a metric
        has no turns, or only their percentile.
    """
    known_metric = metrics.find(metric)
    if known_metric.longest:
        logs, errors = longest(logs), [0.0] * len(logs)
    if not (known_metric.by_place and placed):
        both = list(zip(logs, errors, strict=True))
        heads = [(_of_head(one), CONTROL_SHARE**0.5 * known) for one, known in both]
        return heads, [(_of_control(one), known) for one, known in both], None
    common = compare(logs)
    heads, controls = [], []
    for number, one in enumerate(logs):
        own = one[~common.long[: len(one)]]
        summed = blocks(own if len(own) else one, common.block)
        known = errors[number] if common.block == 1 else error(summed)
        ratio = _of_head(summed) + float(common.head[number])
        heads.append((ratio, CONTROL_SHARE**0.5 * known))
        same = _of_control(summed) + float(common.control[number])
        controls.append((same, known))
    return heads, controls, common


def centre(values: np.ndarray, axis: int = 0) -> np.ndarray:
    """The mean of the middle fifth along an axis: the centre of turns' differences."""
    return distributions.trim_mean(values, TRIMMED, axis=axis)


def interval(
    found: Sequence[tuple[float, float]],
    alpha: float,
    controls: Sequence[tuple[float, float]] = (),
    apart: float = 0.0,
) -> Interval:
    """The ratio over trios with its interval: weighted, and by a moderated t.

    Of k trios' log-ratios r with errors e within each, the weights are w = 1 / (e^2 +
    `BETWEEN`^2), e^2 being drawn a quarter of the way to the trios' median (see
    `_weighed`): one that met a burst tells less. With m = sum(w r) / sum(w) the bounds
    are m -+ t(d0 + k - 1) * sqrt(Q / sum(w)), where Q = (d0 q0 + (k - 1) q) / (d0 + k -
    1) corrects the weights' scale: q = sum(w (r - m)^2) / (k - 1) is what the trios
    themselves say of it. With three trios q alone is as often far too small as far too
    large. What to expect is told by the controls c of the same trios,
    base against base, whose mean is known to be 0: q0 = mean(v c^2) with d0 = k degrees
    and v = 1 / (e_c^2 + 4/3 `BETWEEN`^2), as one base against one varies 4/3 times as
    much as head against two. Where q contradicts q0 (F test at 10 %), head varies more
    than base does: then d0 = 0. No interval is narrower than one of variance `LAYOUT`^2
    a trio. Sources: Hartung and Knapp (2001), q and t of a mean weighted as in a
    meta-analysis; Smyth (2004), Linear models and empirical Bayes methods, section 3,
    pooling with d0 degrees, which here are the controls' own and not estimated.

    Args:
        found: Log-ratio and error of each trio.
        alpha: What the interval may miss, both sides together.
        controls: The same of base against base; without them d0 = 0.
        apart: Standard deviation of what all trios have alike and is not to be told,
            which no number of them averages out: `SERVERS` where each side has its own.
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
    half = distributions.t.ppf(1 - alpha / 2, prior + own) * np.hypot(error, apart)
    bounds = mean + np.array([0.0, -half, half])
    return Interval(*(float(value) for value in np.exp(bounds)), count)


def foreseen(
    found: Sequence[tuple[float, float]], alpha: float, apart: float = 0.0
) -> float:
    """Half the width that the interval should have, by the errors within trios alone.

    It tells nothing of where the ratios lie or how they scatter, so looks may be timed
    by it. Infinite below `LEAST_TRIOS`.
    """
    count = len(found)
    if count < LEAST_TRIOS:
        return float("inf")
    weights = _weighed(found, BETWEEN**2)[1]
    quantile = distributions.t.ppf(1 - alpha / 2, 2 * count - 1)
    return float(quantile * np.hypot(1 / np.sqrt(weights.sum()), apart))


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
    known = errors[~np.isnan(errors)]
    if not known.size:  # too few rounds to tell: the longer the better
        return float("inf")
    within = float(np.mean(known**2))
    between = float(ratios.var(ddof=1)) - within if len(ratios) > 1 else 0.0
    return float(np.sqrt(setup * within * taken / max(between, BETWEEN**2)))


def _weighed(
    found: Sequence[tuple[float, float]], between: float
) -> tuple[np.ndarray, np.ndarray]:
    """Log-ratios and their weights.

    A few dozen turns tell an error badly, so by each one's own alone one trio could
    outweigh all others. Where it is not known it is taken for the median.
    """
    ratios, errors = np.array(found, float).reshape(-1, 2).T
    known = errors[~np.isnan(errors)] ** 2
    typical = np.median(known) if known.size else 0.0
    own = np.where(np.isnan(errors), typical, errors**2)
    return ratios, 1 / (OWN * own + (1 - OWN) * typical + between)


def turn_logs(trio: Trio, metric: str) -> np.ndarray:
    """Logs of base, control and head, `[rounds, 3]`; one row for what has no turns."""
    known = metrics.find(metric)
    if known.turn:
        values = [[getattr(turn, known.turn) for turn in row] for row in trio.turns]
    else:
        values = [[known.figure(one) or np.nan for one in trio.measured]]
    values = np.array(values, float)
    if known.percentile:
        values = np.percentile(values, known.percentile, axis=0, keepdims=True)
    return np.log(values) - np.log(_sizes(trio, metric))


def _sizes(trio: Trio, metric: str) -> np.ndarray:
    """Examples a batch of each, for what is told by the example."""
    if not metrics.find(metric).per_example:
        return np.ones(3)
    return np.array([trio.batch_sizes[role] for role in ("base", "base", "head")])


def _of_head(logs: np.ndarray) -> float:
    return float(centre(logs[:, [2, 2]] - logs[:, :2]).mean())


def _of_control(logs: np.ndarray) -> float:
    return float(centre(logs[:, 1] - logs[:, 0]))


def error(logs: np.ndarray) -> float:
    """The error of the centre of two processes' differences, by a block bootstrap.

    Neighbouring rounds are alike, so they are drawn by the block; the last is followed
    by the first. All three pairs tell it together: whose turns a burst met must not
    matter for weights. Source: Politis and Romano (1992), the circular block bootstrap.
    """
    count = len(logs)
    if count == 1:
        return 0.0
    if count < LEAST_BLOCKS * BLOCK_ROUNDS:
        return float("nan")
    pairs = logs[:, [1, 2, 2]] - logs[:, [0, 0, 1]]
    blocks = -(-count // BLOCK_ROUNDS)
    starts = np.random.default_rng(0).integers(count, size=(RESAMPLES, blocks, 1))
    rounds = (starts + np.arange(BLOCK_ROUNDS)) % count
    drawn = pairs[rounds.reshape(RESAMPLES, -1)[:, :count]]
    return float(np.sqrt(np.var(centre(drawn, axis=1), axis=0, ddof=1).mean()))
