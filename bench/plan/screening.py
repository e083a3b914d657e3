"""This module groups trials into scenes and plans the short first rounds of a race.

A scene is a set of trials that may be compared with one another. The trials of a large
scene are screened by successive halving (Jamieson and Talwalkar 2016; Li et al. 2018):
every trial gets a short run, and the best quarter gets more. The remaining trials race;
see `bench.analysis.standings`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

from bench.pipeline import AXES
from bench.trial import Effort, Trial

# Two trials may be compared where these fields and axes are equal, on one machine.
SCENE = (
    *("workload", "consumer", "unit", "data"),  # fields of a trial
    *("image_size", "storage", "read_latency_ms"),  # axes of its pipeline
)
LARGE = 32  # trials of a scene; a smaller scene races without screening
ROUNDS = 2
REMAINING_SHARE = 0.25
REMAINING_LEAST = 8
LEAST_STEADY_SECONDS = 0.2
RACED_ROUNDS = 3  # of the remaining trials, before an interval can exclude one


def scene(trial: Trial) -> tuple:
    """Return the values that identify a trial's scene, its set of comparable trials."""
    return tuple(
        getattr(trial.pipeline if name in AXES else trial, name) for name in SCENE
    )


def scene_name(trial: Trial) -> str:
    """Return a short name of a trial's scene, its set of comparable trials."""
    parts = [trial.workload.rpartition("/")[2]]
    usual = scene(Trial(workload=trial.workload))
    for name, value, default in zip(SCENE, scene(trial), usual, strict=True):
        if value != default:
            parts.append(str(value) if name == "consumer" else f"{name}={value}")
    return " ".join(parts)


def scenes(trials: Sequence[Trial]) -> list[list[Trial]]:
    """Group trials into scenes, sets of comparable trials; all stay in their order."""
    groups: dict[tuple, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(scene(trial), []).append(trial)
    return list(groups.values())


def remaining(count: int) -> int:
    """Return how many of `count` trials remain after a round of screening runs."""
    return min(count, max(REMAINING_LEAST, round(REMAINING_SHARE * count)))


def short(effort: Effort) -> Effort:
    """Return the effort of a screening run: fewer windows and a shorter warm-up.

    The run times a quarter of the usual windows, with half the warm-up.
    """
    steady = max(LEAST_STEADY_SECONDS, effort.steady_seconds / 4)
    return replace(
        effort,
        steady_seconds=min(effort.steady_seconds, steady),
        warmup_seconds=effort.warmup_seconds / 2,
        epochs=max(1, effort.epochs // 4),
        trace_steps=0,
    )


def rounds(trials: Sequence[Trial], effort: Effort) -> list[list[Effort]]:
    """Return the rounds that a race makes at least, each as a list of efforts.

    An effort states how much one run of the round measures.
    """
    by_scene: list[list[list[Effort]]] = []
    for group in scenes(trials):
        count = len(group)
        if count <= LARGE:
            by_scene.append([[effort] * count] * effort.rounds)
            continue
        counts = [count]
        for _ in range(ROUNDS):
            counts.append(remaining(counts[-1]))
        screened = [[short(effort)] * some for some in counts[:-1]]
        by_scene.append(screened + [[effort] * counts[-1]] * RACED_ROUNDS)
    merged = itertools.zip_longest(*by_scene, fillvalue=())
    return [[one for some in row for one in some] for row in merged]
