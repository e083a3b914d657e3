"""This module compares turns place by place: a place is a round of turns of a case.

All trios of a case meet the same examples in the same rounds of turns. A stall of the
pipeline (a shuffle that refills, a long example, the next file) is in the same round of
every trio; a neighbour's burst is not. So rounds are split. Places that are long in
nearly all trios are summed, place by place. The other rounds are compared by the robust
centre of their differences. Only the split shows stalls and still ignores bursts: see
results/method/README.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import median_abs_deviation

FEWEST_TRIOS = 3
AGREE = 0.8  # of the trios that met a place, at least `FEWEST_TRIOS`
# A turn is long if it takes more than so many usual turns. Bursts take up to three
# times as long. All of three trios may have met one at a place; of four and more, four
# in five hardly do.
CERTAINLY, SLIGHTLY = 4.0, 1.15
JITTERS = 3.0  # or if it is so many standard deviations above the usual turn
NEAR = 1.5  # times the median over trios: more was a burst on top of a stall
BLOCK = 4  # rounds that are summed where places differ, but none stands out
PATTERN = 4.0  # standard errors of the correlation of places between trios
CLIPPED = 3.0  # standard deviations, so that no burst makes a correlation
ROLES = 3  # base, control, head


@dataclass(frozen=True)
class Places:
    """The places of a case are what its trios have in common, round by round.

    Attributes:
        long: Whether each place is long in most trios, `[places]`.
        met: How many places enough trios met.
        whole: Whether each trio met all long places.
        head: What long places add to each trio's log-ratio of head to both bases.
        control: What long places add to each trio's log-ratio of the control to base.
        block: How many rounds are summed before differences are taken: 1, or `BLOCK`
            where head and base differ by place, as by stalls too small to stand out.
        stall_shares: The share of the time that long places take beyond usual turns,
            of both bases and of head.
        stall_factors: How many usual turns the longest place takes, of both bases and
            of head.
    """

    long: np.ndarray
    met: int
    whole: list[bool]
    head: np.ndarray
    control: np.ndarray
    block: int
    stall_shares: tuple[float, float]
    stall_factors: tuple[float, float]


def compare(logs: Sequence[np.ndarray]) -> Places:
    """Find the long places of a case, and what they add to each trio's log-ratios.

    Args:
        logs: The logs of base's, the control's and head's turns, `[rounds, 3]`, of each
            trio. The rounds of all trios begin at the same place of the stream.
    """
    times, _ = _relative_times(logs)
    long, met = _long(times), _met(times)
    block = BLOCK if _differ(times, long) else 1
    last = int(np.flatnonzero(long).max(initial=-1))
    even = np.count_nonzero(met & ~long)
    sums = _sums(times, long)
    total = np.log(even + sums)
    factors = np.nanmax(_lower_quartile(times), axis=0)
    beyond = (sums - np.count_nonzero(long)) / (even + sums)
    shares = np.maximum(0.0, beyond.mean(axis=0))
    return Places(
        long=long,
        met=int(np.count_nonzero(met)),
        whole=[len(one) > last for one in logs],
        head=total[:, 2] - total[:, :2].mean(axis=1),
        control=total[:, 1] - total[:, 0],
        block=block,
        stall_shares=(float(shares[:2].mean()), float(shares[2])),
        stall_factors=(float(factors[:2].mean()), float(factors[2])),
    )


def blocks(logs: np.ndarray, block: int) -> np.ndarray:
    """Sum each `block` consecutive rounds; return the logarithms of the sums.

    Args:
        logs: The logarithms of turns, `[rounds, 3]`: base, control and head.
        block: How many rounds to sum.

    Returns:
        `[blocks, 3]`. Rounds that do not fill a last block are left out; if there is
        not even one whole block, `logs` is returned unchanged.
    """
    whole = len(logs) // block * block
    if block == 1 or not whole:
        return logs
    return np.log(np.exp(logs[:whole]).reshape(-1, block, ROLES).sum(axis=1))


def longest(logs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the logs of the turns that are longest in most trios, `[1, 3]` a trio.

    Each role has its own longest place. A trio that ended before that place gets the
    median of the other trios there.

    Args:
        logs: The logs of turns of each trio, as for `compare`.
    """
    times, usual = _relative_times(logs)
    at = _lower_quartile(times).argmax(axis=0)
    own = np.log(times[:, at, range(ROLES)])
    own = np.where(np.isnan(own), np.nanmedian(own, axis=0), own) + usual
    return list(own[:, None])


def _relative_times(logs: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return all turns relative to their process's usual turn, and that turn's log.

    Returns:
        Relative times, `[trios, places, 3]`, with NaN beyond a trio's last round; and
        the logs of usual turns, `[trios, 3]`.
    """
    usual = np.array([np.median(one, axis=0) for one in logs])
    times = np.full((len(logs), max(map(len, logs)), ROLES), np.nan)
    for trio, one in enumerate(logs):
        times[trio, : len(one)] = np.exp(one - usual[trio])
    return times, usual


def _met(times: np.ndarray) -> np.ndarray:
    """Return whether enough trios met each place, `[places]`."""
    return (~np.isnan(times[:, :, 0])).sum(axis=0) >= min(FEWEST_TRIOS, len(times))


def _long(times: np.ndarray) -> np.ndarray:
    """Return whether each place is long in any of the three roles, `[places]`.

    The same rule holds for all roles. With a stricter rule for the bases, bursts would
    still count for head and no longer for the bases.
    """
    known = (~np.isnan(times)).sum(axis=0)
    every = times.reshape(-1, ROLES)
    jitter = median_abs_deviation(every, scale="normal", nan_policy="omit")
    few = known <= FEWEST_TRIOS
    edge = np.where(few, CERTAINLY, np.maximum(SLIGHTLY, 1 + JITTERS * jitter))
    agreeing = (times > edge).sum(axis=0)
    high = (known >= FEWEST_TRIOS) & (agreeing >= AGREE * known)
    return high.any(axis=1)


def _sums(times: np.ndarray, long: np.ndarray) -> np.ndarray:
    """Return the time that long places take in each trio, in usual turns, `[trios, 3]`.

    A place that a trio did not meet counts as the median of the other trios.
    """
    stalls = times[:, long]
    if not stalls.shape[1]:
        return np.zeros((len(times), ROLES))
    middle = np.nanmedian(stalls, axis=0)
    own = np.where(np.isnan(stalls), middle, stalls)
    return np.clip(own, middle / NEAR, middle * NEAR).sum(axis=1)


def _differ(times: np.ndarray, long: np.ndarray) -> bool:
    """Return whether head differs from base place by place, in all trios alike.

    The test is the correlation of the differences between trios, which bursts do not
    raise. Places at which all sides take as long, as for larger photographs, cancel.
    """
    logs = np.log(times[:, ~long])
    difference = logs[:, :, 2] - logs[:, :, :2].mean(axis=2)
    shared = ~np.isnan(difference).any(axis=0)
    difference = difference[:, shared]
    if len(difference) < 2 or difference.shape[1] < 2 * BLOCK:
        return False
    difference = difference - np.median(difference, axis=1, keepdims=True)
    spread = median_abs_deviation(difference, axis=1, scale="normal")[:, None]
    clipped = np.clip(difference, -CLIPPED * spread, CLIPPED * spread)
    clipped = clipped - clipped.mean(axis=1, keepdims=True)
    norms = np.sqrt((clipped**2).sum(axis=1))
    if not norms.all():
        return False
    pairs = np.triu_indices(len(clipped), 1)
    matrix = (clipped @ clipped.T) / np.outer(norms, norms)
    error = 1 / np.sqrt(clipped.shape[1] * len(pairs[0]))
    return bool(matrix[pairs].mean() > PATTERN * error)


def _lower_quartile(times: np.ndarray) -> np.ndarray:
    """Return the lower quartile over trios of the time at each place, `[places, 3]`.

    `np.nanquantile` gives the same, but much more slowly: it makes a call for each
    place.
    """
    ordered = np.sort(times[:, _met(times)], axis=0)  # NaN comes last
    last = (~np.isnan(ordered)).sum(axis=0) - 1
    return np.take_along_axis(ordered, last[None] // 4, axis=0)[0]
