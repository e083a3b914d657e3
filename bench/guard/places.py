"""Turns place by place: what a side spends at one place of the stream in every trio.

All trios of a case meet the same examples in the same rounds of turns. A stall of the
pipeline (a shuffle that refills, a long example, the next file) stands in the same
round of every trio; a neighbour's burst does not. So rounds are split: where time
flows evenly the robust centre of differences is taken, and what is long at one place in
nearly all trios is summed, by place, and added.

Tried on recorded turns of photographs and prose beside busy processes, with stalls put
in by arithmetic (results/method/places.md): the middle fifth alone shows nothing of 5 %
by stalls in one turn of 20 or 100. Ratios of sums show them and scatter several times
as much. Split by place they come out at their size, and equal sides scatter no more
than by the middle fifth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import median_abs_deviation

FEWEST_TRIOS = 3
AGREE = 0.8  # of the trios that met a place, at least `FEWEST_TRIOS`
# A turn is long beyond so many times the usual one. Bursts reach three times, and of
# three trios all may have met one; of four and more, four in five hardly do.
CERTAINLY, SLIGHTLY = 4.0, 1.15
JITTERS = 3.0  # or beyond the usual one by so many standard deviations
NEAR = 1.5  # times the median over trios: more was a burst on top of a stall
BLOCK = 4  # rounds that are summed where places differ, but none stands out
PATTERN = 4.0  # standard errors of the correlation of places between trios
CLIPPED = 3.0  # standard deviations; so that no burst makes a correlation
ROLES = 3  # base, control, head


@dataclass(frozen=True)
class Places:
    """What the places of the trios of one case have in common.

    Attributes:
        long: Whether each place is long in most trios, `[places]`.
        met: How many places enough trios met.
        whole: Whether each trio met all long places.
        head: What long places add to each trio's log-ratio of head to both bases.
        control: The same of the control to base.
        block: Rounds to sum before differences are taken: 1, or `BLOCK` where head and
            base differ by place, as by stalls too small to stand out.
        lumps: The share of the time that long places take beyond the usual, of both
            bases and of head.
        factors: How many times as long as usual the longest place is, of both.
    """

    long: np.ndarray
    met: int
    whole: list[bool]
    head: np.ndarray
    control: np.ndarray
    block: int
    lumps: tuple[float, float]
    factors: tuple[float, float]


def compare(logs: Sequence[np.ndarray]) -> Places:
    """Find the long places of trios, and what they add.

    Args:
        logs: Logs of base, control and head, `[rounds, 3]`, of each trio; the rounds of
            all begin at the same place of the stream.
    """
    times, _ = _beside_usual(logs)
    long, met = _long(times), _met(times)
    block = BLOCK if _differ(times, long) else 1
    last = int(np.flatnonzero(long).max(initial=-1))
    even = np.count_nonzero(met & ~long)
    sums = _sums(times, long)
    total = np.log(even + sums)
    factors = np.nanmax(_lower(times), axis=0)
    beyond = (sums - np.count_nonzero(long)) / (even + sums)
    shares = np.maximum(0.0, beyond.mean(axis=0))
    return Places(
        long=long,
        met=int(np.count_nonzero(met)),
        whole=[len(one) > last for one in logs],
        head=total[:, 2] - total[:, :2].mean(axis=1),
        control=total[:, 1] - total[:, 0],
        block=block,
        lumps=(float(shares[:2].mean()), float(shares[2])),
        factors=(float(factors[:2].mean()), float(factors[2])),
    )


def blocks(logs: np.ndarray, block: int) -> np.ndarray:
    """Logs of the sums of so many rounds each, `[blocks, 3]`; a rest is left out."""
    whole = len(logs) // block * block
    if block == 1 or not whole:
        return logs
    return np.log(np.exp(logs[:whole]).reshape(-1, block, ROLES).sum(axis=1))


def longest(logs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Logs of the longest turns in most trios, `[1, 3]` of each trio.

    Each role has its own, where it is longest in nearly all trios; a trio that did not
    come so far has what it took in the others.

    Args:
        logs: As for `compare`.
    """
    times, usual = _beside_usual(logs)
    lower = _lower(times)
    at = lower.argmax(axis=0)
    own = np.log(times[:, at, range(ROLES)])
    own = np.where(np.isnan(own), np.nanmedian(own, axis=0), own) + usual
    return list(own[:, None])


def _beside_usual(logs: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """All turns as multiples of their process's usual one, and the logs of that."""
    usual = np.array([np.median(one, axis=0) for one in logs])
    times = [np.exp(one - mid) for one, mid in zip(logs, usual, strict=True)]
    return _padded(times), usual


def _padded(times: Sequence[np.ndarray]) -> np.ndarray:
    """All trios' rounds, `[trios, places, 3]`; NaN beyond a trio's last one."""
    places = max(map(len, times))
    padded = np.full((len(times), places, ROLES), np.nan)
    for row, one in zip(padded, times, strict=True):
        row[: len(one)] = one
    return padded


def _met(times: np.ndarray) -> np.ndarray:
    """Whether a place was met by enough trios to say anything of it."""
    return (~np.isnan(times[:, :, 0])).sum(axis=0) >= min(FEWEST_TRIOS, len(times))


def _long(times: np.ndarray) -> np.ndarray:
    """Whether each place is long in any of the three, by one rule for all.

    A rule that asked more of the bases than of head would add what bursts leave to head
    alone.
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
    """What long places take in each trio, in usual turns, `[trios, 3]`.

    A place that a trio did not meet takes what it took in the others.
    """
    there = times[:, long]
    if not there.shape[1]:
        return np.zeros((len(times), ROLES))
    middle = np.nanmedian(there, axis=0)
    own = np.where(np.isnan(there), middle, there)
    return np.clip(own, middle / NEAR, middle * NEAR).sum(axis=1)


def _differ(times: np.ndarray, long: np.ndarray) -> bool:
    """Whether head differs from base place by place, in all trios alike.

    The correlation of the differences between trios, which bursts do not make. Places
    at which all sides do the same, as of larger photographs, do not count.
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


def _lower(times: np.ndarray) -> np.ndarray:
    """The lower quarter over trios of each place's time, `[places, 3]`."""
    met = _met(times)
    return np.nanquantile(times[:, met], 0.25, axis=0, method="lower")
