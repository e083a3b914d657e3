"""This module estimates the ratio of head to base from trios of live processes.

The unit of evidence is a trio, not a turn. All turns of a trio share memory layout and
neighbours, so a test over pooled turns finds differences where none exist. Each trio
gives one log-ratio, and the interval is over trios.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats as distributions

from bench.analysis.intervals import Interval
from bench.guard import metrics
from bench.guard.places import Places, blocks, compare, longest
from bench.guard.trio import Trio

# The measurements behind these constants are in results/method/README.md.
LEAST_TRIOS = 3
# From each end, which leaves the middle fifth: a virtual core is fast or slow for tens
# of milliseconds, so differences of turns are near their centre or far from it.
TRIMMED = 0.4
BLOCK_ROUNDS = 3  # about as long as a disturbance lasts: 20 to 40 ms
LEAST_BLOCKS = 3
RESAMPLES = 100
OWN_SHARE = 0.75  # of a trio's variance from its own turns; the rest from all trios
BETWEEN_PROCESSES = 0.006  # standard deviation from process to process
LEAST_SPREAD = 0.003  # the same, at the least, however alike the trios look
BETWEEN_SERVERS = 0.004  # standard deviation from server to server
CONTROL_SHARE = 0.75  # Var(head - (base + control) / 2) over Var(control - base)
CONTRADICTION_ALPHA = 0.10
# A factor that neither noise nor a neighbour reaches in any trio: beside as many busy
# threads as there are cores, one thread still gets half of a core.
LARGE = float(np.log(4))

LogRatio = tuple[float, float]  # of one trio, and its error within the trio


def head_log_ratio(trio: Trio, metric: str) -> LogRatio:
    """Return the log-ratio of head to both bases in a trio, with its error.

    The log-ratio is the mean of two trimmed means: head against base, and head against
    the control. One trimmed mean of head against the average of both would be biased,
    because such differences are skewed even for equal sides. It made head seem 0.2 to
    0.3 % faster in trios of equal text workloads.
    """
    logs = turn_logs(trio, metric)
    return head_centre(logs), CONTROL_SHARE**0.5 * bootstrap_error(logs)


def control_log_ratio(trio: Trio, metric: str) -> LogRatio:
    """Return the log-ratio of the control to base in a trio, with its error.

    The true log-ratio is 0.
    """
    logs = turn_logs(trio, metric)
    return _of_control(logs), bootstrap_error(logs)


def trio_log_ratios(
    logs: Sequence[np.ndarray],
    errors: Sequence[float],
    metric: str,
) -> tuple[list[LogRatio], list[LogRatio], Places | None]:
    """Estimate the log-ratios of head and of the control in each trio of a case.

    The function needs all trios at once: if a turn is long at the same place in nearly
    all trios, it is a cost of the pipeline, and counts; see `places`.

    Args:
        logs: The logs of turns of each trio, from `turn_logs`.
        errors: The error of each trio, from `bootstrap_error`; long places do not
            change it.
        metric: A name of `metrics.METRICS`.

    Returns:
        The log-ratios of head, those of the control, and what the trios have in common
        place by place. The last is None for a metric without turns or of which only a
        percentile counts.
    """
    row = metrics.find(metric)
    if row.longest:
        logs, errors = longest(logs), [0.0] * len(logs)
    if not row.by_place:
        pairs = list(zip(logs, errors, strict=True))
        heads = [(head_centre(one), CONTROL_SHARE**0.5 * own) for one, own in pairs]
        return heads, [(_of_control(one), own) for one, own in pairs], None
    common = compare(logs)
    heads, controls = [], []
    for number, one in enumerate(logs):
        even = one[~common.long[: len(one)]]
        summed = blocks(even if len(even) else one, common.block)
        own = errors[number] if common.block == 1 else bootstrap_error(summed)
        ratio = head_centre(summed) + float(common.head[number])
        heads.append((ratio, CONTROL_SHARE**0.5 * own))
        ratio = _of_control(summed) + float(common.control[number])
        controls.append((ratio, own))
    return heads, controls, common


def all_large(log_ratios: Sequence[float]) -> bool:
    """Return whether every log-ratio is beyond `LARGE`, all on the same side.

    The answer is False if there is no log-ratio.
    """
    logs = np.array(log_ratios)
    return bool(len(logs)) and bool((logs > LARGE).all() or (logs < -LARGE).all())


def centre(values: np.ndarray, axis: int = 0) -> np.ndarray:
    """Return the mean of the middle fifth along an axis."""
    return distributions.trim_mean(values, TRIMMED, axis=axis)


def interval(
    log_ratios: Sequence[LogRatio],
    alpha: float,
    controls: Sequence[LogRatio] = (),
    apart: float = 0.0,
) -> Interval:
    """Estimate the ratio over trios: a weighted mean with a moderated t interval.

    A trio has log-ratio r and error e. Its weight is w = 1 / (e^2 +
    `BETWEEN_PROCESSES`^2), so a trio that met a burst counts less. Before that, each
    e^2 moves a quarter of the way towards the median of all trios: see `_weighted`.

    With k trios and m = sum(w r) / sum(w) the bounds are m -+ t(d0 + k - 1) *
    sqrt(Q / sum(w)). Q = (d0 q0 + (k - 1) q) / (d0 + k - 1) corrects the scale of the
    weights. It pools two estimates of that scale:

    - q = sum(w (r - m)^2) / (k - 1) comes from the scatter of the trios. With three
      trios q alone is as often far too small as far too large.
    - q0 = mean(v c^2) comes from the log-ratios c of the controls, with d0 = k degrees
      of freedom, because their mean is known to be 0. Here v = 1 / (e_c^2 + 4/3
      `BETWEEN_PROCESSES`^2). A ratio of two processes varies 4/3 times as much as a
      ratio of one process to the mean of two.

    If q contradicts q0 (F test at 10 %), head varies more than base does, and d0 = 0.
    No interval is narrower than that of trios with variance `LEAST_SPREAD`^2.

    Where a trio's ratio is beyond `LARGE`, the bound towards 1 is the better one of
    two: that of all trios, and that of the same trios with ratios cut off at `LARGE`.
    Such trios may scatter by a factor of two, as with a cache, and yet agree that the
    change is large. Cutting off moves the mean towards 1, so it exaggerates nothing.

    Sources: Hartung and Knapp (2001), for q and t of a weighted mean as in a
    meta-analysis; Smyth (2004), Linear models and empirical Bayes methods, section 3,
    for pooling with d0 degrees, which here are those of the controls and not estimated.

    Args:
        log_ratios: The log-ratio of head and its error, of each trio.
        alpha: The probability that the interval misses the true ratio, on either side.
        controls: The log-ratio of the control and its error, of each trio; without
            them d0 = 0.
        apart: The standard deviation of a difference that all trios share, which no
            number of trios averages out: `BETWEEN_SERVERS` where each side has its own
            server.
    """
    count, ratios = len(log_ratios), [ratio for ratio, _ in log_ratios]
    if not count or np.isnan(ratios).any():
        return Interval(np.nan, np.nan, np.nan, count)
    mean, half = _mean(log_ratios, alpha, controls, apart)
    low, high = mean - half, mean + half
    if max(np.abs(ratios)) > LARGE and count >= LEAST_TRIOS:
        cut = [(float(np.clip(r, -LARGE, LARGE)), error) for r, error in log_ratios]
        cut_mean, cut_half = _mean(cut, alpha, controls, apart)
        if mean > 0:
            low = max(low, cut_mean - cut_half)
        else:
            high = min(high, cut_mean + cut_half)
    return Interval(*(float(np.exp(bound)) for bound in (mean, low, high)), count)


def _mean(
    log_ratios: Sequence[LogRatio],
    alpha: float,
    controls: Sequence[LogRatio],
    apart: float,
) -> tuple[float, float]:
    """Return the weighted mean of log-ratios, and half the width of its interval.

    The half width is NaN for fewer than `LEAST_TRIOS` trios. See `interval`.
    """
    ratios, weights = _weighted(log_ratios, BETWEEN_PROCESSES**2)
    count, degrees = len(ratios), len(ratios) - 1
    mean = float(np.average(ratios, weights=weights))
    if count < LEAST_TRIOS:
        return mean, float("nan")
    scale = float(weights @ (ratios - mean) ** 2) / degrees
    prior_scale, prior_degrees = 0.0, 0
    if controls:
        same, same_weights = _weighted(controls, BETWEEN_PROCESSES**2 / CONTROL_SHARE)
        expected = max(
            float(np.mean(same_weights * same**2)),
            LEAST_SPREAD**2 * weights.sum() / count,
        )
        p_value = distributions.f.sf(scale / expected, degrees, len(same))
        if p_value > CONTRADICTION_ALPHA:
            prior_scale, prior_degrees = expected, len(same)
    scale = prior_degrees * prior_scale + degrees * scale
    degrees += prior_degrees
    variance = max(scale / degrees / weights.sum(), LEAST_SPREAD**2 / count)
    quantile = distributions.t.ppf(1 - alpha / 2, degrees)
    return mean, float(quantile * np.hypot(np.sqrt(variance), apart))


def expected_half_width(
    log_ratios: Sequence[LogRatio], alpha: float, apart: float = 0.0
) -> float:
    """Predict half the width of the interval from the errors within trios alone.

    The prediction ignores where the ratios lie and how they scatter, so looks may be
    timed by it. It is infinite for fewer than `LEAST_TRIOS` trios.
    """
    count = len(log_ratios)
    if count < LEAST_TRIOS:
        return float("inf")
    weights = _weighted(log_ratios, BETWEEN_PROCESSES**2)[1]
    quantile = distributions.t.ppf(1 - alpha / 2, 2 * count - 1)
    return float(quantile * np.hypot(1 / np.sqrt(weights.sum()), apart))


def best_turn_seconds(
    log_ratios: Sequence[LogRatio], turn_seconds: float, setup_seconds: float
) -> float:
    """Return how many seconds a trio should take turns for the narrowest interval.

    Longer trios are more exact, but fewer of them fit into the time.

    The optimum is sqrt(c * w / b). Preparing a trio takes c seconds, one second of
    turns leaves the variance w within a trio, and b is the variance between trios. Few
    trios estimate b badly, so b is at least `BETWEEN_PROCESSES`^2. Source: optimum
    allocation in two-stage sampling, Cochran (1977), section 10.6.

    Args:
        log_ratios: The log-ratio and the error of each trio so far.
        turn_seconds: The seconds of turns in a trio so far, on average.
        setup_seconds: The seconds of a trio besides its turns.
    """
    ratios, errors = np.array(log_ratios, float).reshape(-1, 2).T
    known = errors[~np.isnan(errors)]
    if not known.size:  # too few rounds for an error: the longer the better
        return float("inf")
    within = float(np.mean(known**2))
    between = float(ratios.var(ddof=1)) - within if len(ratios) > 1 else 0.0
    between = max(between, BETWEEN_PROCESSES**2)
    return float(np.sqrt(setup_seconds * within * turn_seconds / between))


def _weighted(
    log_ratios: Sequence[LogRatio], between: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the log-ratios and their weights.

    The error of a trio comes from a few dozen turns, so it may be far too small by
    chance. Such a trio would outweigh all others. Therefore a part of each variance is
    the median over all trios. An unknown error counts as that median.
    """
    ratios, errors = np.array(log_ratios, float).reshape(-1, 2).T
    known = errors[~np.isnan(errors)] ** 2
    typical = np.median(known) if known.size else 0.0
    own = np.where(np.isnan(errors), typical, errors**2)
    return ratios, 1 / (OWN_SHARE * own + (1 - OWN_SHARE) * typical + between)


def turn_logs(trio: Trio, metric: str) -> np.ndarray:
    """Return the logs of a trio's figures, `[rounds, 3]`: base, control and head.

    A metric without turns has one row.
    """
    row = metrics.find(metric)
    if row.turn:
        figures = [[getattr(turn, row.turn) for turn in turns] for turns in trio.turns]
    else:
        figures = [[row.figure(one) or np.nan for one in trio.measured]]
    figures = np.array(figures, float)
    if row.percentile:
        figures = np.percentile(figures, row.percentile, axis=0, keepdims=True)
    logs = np.log(figures)
    if row.per_example:
        sizes = trio.batch_sizes
        logs -= np.log([sizes["base"], sizes["base"], sizes["head"]])
    return logs


def head_centre(logs: np.ndarray) -> float:
    """Return the log-ratio of head to both bases, from the logs of turns."""
    return float(centre(logs[:, [2, 2]] - logs[:, :2]).mean())


def _of_control(logs: np.ndarray) -> float:
    return float(centre(logs[:, 1] - logs[:, 0]))


def bootstrap_error(logs: np.ndarray) -> float:
    """Return the standard error of the centre of the differences between turns.

    A circular block bootstrap estimates the error: it draws blocks of rounds, because
    neighbouring rounds are alike, and the first round follows the last one. All three
    pairs of processes count equally, so that the weight of a trio does not depend on
    which process a burst slowed down. Source: Politis and Romano (1992).

    Args:
        logs: The logs of turns, `[rounds, 3]`.

    Returns:
        The standard error of a log-ratio; 0 for a single round, NaN for too few rounds.
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
