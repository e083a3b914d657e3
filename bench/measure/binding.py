"""This module finds out what a user's pipeline waits for, and what each lift gains."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import tensorflow as tf

from bench import machine
from bench.measure import lifts, recorder, waits
from bench.run.user_pipeline import BUSY, Lift, Stage

TOO_SLOW = (
    "the stages were not timed one by one, since {spent:.0f} s did not suffice for that"
)


def add_waits(
    calls: Sequence[recorder.Call],
    stages: Sequence[Stage],
    dataset: tf.data.Dataset,
    epoch: int,
    steady: waits.Steady,
    spell: Callable[[Exception], str],
    most_seconds: float,
) -> tuple[list[Lift], str]:
    """Give each stage its wait, and measure what lifts gain.

    Args:
        calls: The recorded calls.
        stages: The stages, from `recorder.stages`; they get `wait` and `processors`.
        dataset: The user's dataset.
        epoch: Batches in an epoch; 0 if unknown.
        steady: Drains a dataset, see `waits.Steady`.
        spell: Returns what to say of an error.
        most_seconds: When to begin no further prefix, and then no further lift.

    Returns:
        The lifts, with the indices of `stages`; and why there are no waits, empty if
        there are.
    """
    try:
        chain = waits.links(calls, stages, dataset)
        deadline = time.monotonic() + most_seconds
        timings = waits.time_prefixes(chain, epoch, steady, deadline)
    except Exception as error:  # a prefix may fail where the whole pipeline does not
        return [], spell(error)
    if not timings:
        return [], TOO_SLOW.format(spent=most_seconds)
    shares = waits.shares([one.seconds for one in timings])
    deadline = time.monotonic() + most_seconds
    measured = lifts.measure(chain, timings, shares, epoch, steady, spell, deadline)
    gains = {one.stage: 1 - 1 / one.factor for one in measured if one.factor}
    if timings[-1].processors < BUSY * machine.usable_processors():
        shares = waits.without_hidden(shares, gains)
    for stage in stages:
        stage.wait = 0.0
    for link, wait, timing in zip(chain, shares, timings, strict=True):
        link.stage.wait, link.stage.processors = wait, timing.processors
    indices = [
        next(n for n, s in enumerate(stages) if s is link.stage) for link in chain
    ]
    for lift in measured:
        lift.stage = indices[lift.stage] if lift.constraint == "stage" else -1
    return measured, ""
