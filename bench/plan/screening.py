"""Short first rounds for large scenes: how many trials they leave, and how short.

Successive halving (Jamieson and Talwalkar 2016; Li et al. 2018 keep a quarter, as is
done here): every trial gets a little effort, and the best quarter gets more. What is
left then races; see `racing`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

from bench.trial import Effort, Trial

LARGE = 32  # trials of a scene; a smaller one races without screening
ROUNDS = 2
KEPT_SHARE = 0.25
KEPT_LEAST = 8
LEAST_STEADY_SECONDS = 0.2
RACED_ROUNDS = 3  # of what is left, before an interval can put anything out
SHARED = ("workload", "consumer", "unit", "data")
SHARED_AXES = ("image_size", "storage", "read_latency_ms")


def scene(trial: Trial) -> tuple:
    """What a trial shares with those that it may be compared with, on one machine."""
    axes = (getattr(trial.pipeline, name) for name in SHARED_AXES)
    return (*(getattr(trial, name) for name in SHARED), *axes)


def scenes(trials: Sequence[Trial]) -> list[list[Trial]]:
    """The trials, scene by scene, in their order."""
    groups: dict[tuple, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(scene(trial), []).append(trial)
    return list(groups.values())


def kept(count: int) -> int:
    """How many of so many trials a screening round leaves."""
    return min(count, max(KEPT_LEAST, round(KEPT_SHARE * count)))


def short(effort: Effort) -> Effort:
    """The effort of a screening run: a quarter of the windows, half of the warm-up."""
    steady = max(LEAST_STEADY_SECONDS, effort.steady_seconds / 4)
    return replace(
        effort,
        steady_seconds=min(effort.steady_seconds, steady),
        warmup_seconds=effort.warmup_seconds / 2,
        epochs=max(1, effort.epochs // 4),
        trace_steps=0,
    )


def rounds(trials: Sequence[Trial], effort: Effort) -> list[list[Effort]]:
    """The efforts of the runs in each round that a race makes at the least."""
    found: list[list[list[Effort]]] = []
    for group in scenes(trials):
        count = len(group)
        if count <= LARGE:
            found.append([[effort] * count] * effort.rounds)
            continue
        counts = [count]
        for _ in range(ROUNDS):
            counts.append(kept(counts[-1]))
        screened = [[short(effort)] * some for some in counts[:-1]]
        found.append(screened + [[effort] * counts[-1]] * RACED_ROUNDS)
    merged = itertools.zip_longest(*found, fillvalue=())
    return [[one for some in row for one in some] for row in merged]
