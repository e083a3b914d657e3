"""This module lifts one constraint of a user's pipeline at a time, and measures.

A *lift* takes the work of one stage away, or the order of parallel calls. What remains
is the user's own pipeline, so the factor says how much faster it could be. One process
measures it for a moment: it ranks constraints, and promises nothing to the percent.

- The source, or the first link of a chain, is replaced by elements held in memory.
- Of a later stage the input is still made in full, some elements at a time. Each time
  they are thrown away, and as many elements of the stage as they would make come from
  memory. The user's later calls run on these.
- The order is lifted by the option `deterministic=False`: a parallel map then hands on
  whatever is ready, so a slow example holds up nobody.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import tensorflow as tf

from bench.measure.waits import Link, Steady, Timing
from bench.run.user_pipeline import BATCHING, Lift

LEAST_WAIT = 0.1  # of a stage that is worth a lift
MOST_LIFTS = 3
MOST_HELD = 64  # elements of a stage in memory
HELD_BYTES = 2**28
HELD_SECONDS = 0.5  # of making the elements that are held
PARALLEL = ("map", "interleave", "library")
# Calls that are made again on the elements held in memory. A filter may let none of so
# few pass, and a cache would keep what is not the user's.
REPEATABLE = ("map", "shuffle", "repeat", "take", "skip", "prefetch", "with_options")
REPEATABLE += ("enumerate", "unbatch", *BATCHING)


def measure(
    chain: Sequence[Link],
    timings: Sequence[Timing],
    shares: Sequence[float],
    epoch: int,
    steady: Steady,
    spell: Callable[[Exception], str],
    deadline: float,
) -> list[Lift]:
    """Measure the lifts of the stages with the longest waits, and that of the order.

    Args:
        chain: The links of the user's pipeline.
        timings: The timing of each prefix; the last is that of the whole pipeline.
        shares: The share of each stage in the waits.
        epoch: Final batches in an epoch; 0 if unknown.
        steady: Drains a dataset, see `waits.Steady`.
        spell: Returns what to say of an error.
        deadline: When to begin no further lift, by the monotonic clock.

    Returns:
        A lift each; a lift that could not be measured has a reason and no factor. The
        stage of a lift is its place in the chain.
    """
    places = sorted(range(len(chain)), key=lambda place: -shares[place])
    lifts = [
        Lift(constraint="stage", stage=place, reason=_obstacle(chain, place))
        for place in places[:MOST_LIFTS]
        if shares[place] >= LEAST_WAIT
    ]
    if any(_ordered(link) for link in chain):
        lifts.insert(0, Lift(constraint="order"))
    whole = [timings[-1].seconds]
    for lift in lifts:
        if not lift.reason and time.monotonic() > deadline:
            lift.reason = "there was no time for it"
        if lift.reason:
            continue
        try:
            without = _lifted(chain, timings, lift)
            slowest = steady(without, epoch).seconds
            if lift.constraint == "order":  # another program's burst must not look so
                whole.append(steady(chain[-1].dataset, epoch).seconds)
                slowest = max(slowest, steady(without, epoch).seconds)
        except Exception as error:  # a function may bear only one trace
            lift.reason = spell(error)
            continue
        lift.factor = min(whole) / max(slowest, 1e-9)
    return lifts


def without_stage(
    chain: Sequence[Link], place: int, seconds_per_element: float
) -> tf.data.Dataset:
    """Return the pipeline in which one stage costs nothing.

    Args:
        chain: The links of the user's pipeline.
        place: The place of the stage in the chain.
        seconds_per_element: What an element of the stage's prefix takes.
    """
    stage = chain[place]
    size = max(1.0, stage.stage.element_bytes)
    count = min(
        MOST_HELD, HELD_SECONDS / max(seconds_per_element, 1e-9), HELD_BYTES / size
    )
    held = stage.dataset.take(max(1, int(count))).cache()
    length = sum(1 for _ in held)  # which fills the cache before any clock starts
    feed = None
    if place:
        taken = round(length * chain[place - 1].elements / stage.elements)
        feed = chain[place - 1].dataset.repeat()  # an endless one goes on as it is
        feed = feed.shard(taken, taken - 1) if taken > 1 else feed
        feed = feed if taken else None
    dataset = held.repeat() if feed is None else feed.flat_map(_constant(held))
    for link in chain[place + 1 :]:
        dataset = link.call.again(dataset)
    return dataset


def _constant(dataset: tf.data.Dataset) -> Callable[..., tf.data.Dataset]:
    """Return a function that returns a dataset, whatever element it gets.

    It is called once for all elements that are held, so that it costs next to nothing.
    """
    return tf.autograph.experimental.do_not_convert(lambda *_: dataset)


def _lifted(
    chain: Sequence[Link], timings: Sequence[Timing], lift: Lift
) -> tf.data.Dataset:
    whole = chain[-1].dataset
    if lift.constraint == "order":
        options = tf.data.Options()
        options.deterministic = False
        return whole.with_options(options)
    seconds = timings[lift.stage].seconds / chain[lift.stage].elements
    return without_stage(chain, lift.stage, seconds).with_options(whole.options())


def _obstacle(chain: Sequence[Link], place: int) -> str:
    """Return why a stage cannot be taken away; empty if it can."""
    for link in chain[place + 1 :]:
        if link.call is None or link.stage.method not in REPEATABLE:
            return f"the later {link.stage.method} cannot run on few held elements"
    return ""


def _ordered(link: Link) -> bool:
    """Whether a stage may run several calls at a time, and hands on in order."""
    stage = link.stage
    parallel = stage.calls_at_a_time > 1
    parallel |= stage.settings.get("num_parallel_calls") not in (None, 1)
    ordered = stage.settings.get("deterministic") is not False
    return stage.method in PARALLEL and parallel and ordered
