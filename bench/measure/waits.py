"""This module measures for which stage of a user's pipeline the consumer waits.

The pipeline is cut behind each stage in turn, and each such *prefix* is drained as the
whole pipeline would be, as many elements at a time as a final batch takes. The wait of
a stage is the time by which its prefix takes longer for a final batch than every
shorter one. A profile would show how busy threads are, and not who waits for them; a
prefix needs no profile and no model of the runtime.

A stage that works beside earlier ones, as a parallel map beside its source, adds only
what they do not hide: nothing waits for the rest. So the waits sum up to the time of
the whole pipeline. What noise lets a longer prefix gain counts as 0, and the waits are
scaled to shares whose sum is 1.

Two stages that overlap leave one doubt: the earlier one gets the time that both take.
`bench.measure.lifts` takes stages away for that, and `without_hidden` corrects it.
Where all processors are busy nothing is hidden: every stage takes time from the others.

In the steady state a full cache reads nothing before it. So a chain begins with its
last such cache, and the stages before it have no wait. All datasets behind a cache
share it, so that it is full once the whole pipeline has been pulled to its end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import tensorflow as tf

from bench import machine
from bench.measure import recorder
from bench.run.user_pipeline import BATCHING, Stage

LOOK_SECONDS = 0.4  # of each prefix in its steady state
COUNT_SECONDS = 0.5  # of counting what a filter lets pass, or what a file has
SAMPLES = (16, 256, 4096)  # elements that a filter gets, until enough pass
ENOUGH = 8
# A stage whose removal gains less than this part of its wait is hidden by another.
HIDDEN = 0.25
# Each hands on an element for each that it gets.
ONE_FOR_ONE = ("map", "shuffle", "repeat", "take", "skip", "prefetch", "cache")
ONE_FOR_ONE += ("with_options", "enumerate", "snapshot", "apply", "scan")
# They do no work of their own: the drain prefetches, repeats and ends epochs anyway.
NEVER_WAITED_FOR = ("prefetch", "with_options", "take", "repeat")
ENDLESS = -1  # the cardinality of a dataset without an end
# Queueing for a processor counts as demand up to so many times the computing. A thread
# that sleeps queues whenever it wakes, however little it then computes.
QUEUEING = 3.0


@dataclass(frozen=True)
class Link:
    """A link is a stage of the chain that ends with the user's dataset.

    Attributes:
        stage: The stage.
        dataset: The dataset that it makes; with all before it, a prefix.
        call: The recorded call; None where a library made the dataset.
        elements: How many of its elements a final batch takes.
    """

    stage: Stage
    dataset: tf.data.Dataset
    call: recorder.Call | None
    elements: float = 1.0


@dataclass(frozen=True)
class Timing:
    """A timing is what a drained dataset takes.

    Attributes:
        seconds: The time of an element, or of a final batch; seconds.
        processors: How many processors the dataset would keep busy.
    """

    seconds: float
    processors: float


# It times an element of a dataset that is drained for `LOOK_SECONDS`. It gets the
# dataset and the number of elements in an epoch, 0 if unknown.
Steady = Callable[[tf.data.Dataset, int], Timing]


def links(
    calls: Sequence[recorder.Call], stages: Sequence[Stage], dataset: tf.data.Dataset
) -> list[Link]:
    """Return the links of a pipeline's chain, source first.

    The chain begins with its last served cache, with a stage of none or several inputs,
    or where nobody can determine how many elements a batch takes.

    Args:
        calls: The recorded calls.
        stages: The stages, from `recorder.stages`.
        dataset: The user's dataset.
    """
    by_stage = {id(call.stage): call for call in calls}
    chain = [Link(stages[-1], dataset, by_stage.get(id(stages[-1])))]
    while len(chain[0].stage.inputs) == 1:
        link = chain[0]
        before = stages[link.stage.inputs[0]]
        call = by_stage.get(id(before))
        # What a library reads was recorded; what a recorded call reads, it names.
        below = call.output if call else link.call.inputs[0]
        earlier = Link(before, below, call)
        if link.stage.method == "cache" and before.cardinality != ENDLESS:
            break
        ratio = elements_taken(link, earlier)
        if not ratio:
            break
        chain.insert(0, replace(earlier, elements=link.elements * ratio))
    return chain


def elements_taken(link: Link, earlier: Link) -> float:
    """Return how many elements of the earlier link one element takes; 0 if unknown."""
    stage = link.stage
    if stage.method in BATCHING and isinstance(stage.settings.get("batch_size"), int):
        return float(stage.settings["batch_size"])
    if stage.method in ONE_FOR_ONE:
        return 1.0
    if link.call is None or link.call.again is None:
        return 0.0
    for size in SAMPLES:
        few = earlier.dataset.take(size)
        taken, all_taken = _count(few)
        passed, all_passed = _count(link.call.again(few))
        whole = all_taken and all_passed
        if not whole or passed >= ENOUGH or taken < size:
            break
    # What is cut short shows at the least how many elements come of one.
    return taken / passed if passed and (whole or passed > taken) else 0.0


def time_prefixes(
    chain: Sequence[Link], epoch: int, steady: Steady, deadline: float
) -> list[Timing]:
    """Time each prefix of a chain; the list is empty if the time does not suffice.

    Args:
        chain: The links.
        epoch: Final batches in an epoch; 0 if unknown.
        steady: Drains a dataset, see `Steady`.
        deadline: When to give up, by the monotonic clock.
    """
    timings = []
    for place, link in enumerate(chain):
        if time.monotonic() > deadline:
            return []
        if timings and link.stage.method in NEVER_WAITED_FOR:
            timings.append(timings[-1])
            continue
        dataset = link.dataset
        if epoch and any(one.stage.method == "take" for one in chain[place + 1 :]):
            # The epoch ends earlier, and begins anew.
            dataset = dataset.take(round(epoch * link.elements))
        together = max(1, round(link.elements))
        if together > 1:  # so that a prefetch is one of batches, as in the whole
            endless = int(dataset.cardinality()) == tf.data.INFINITE_CARDINALITY
            dataset = dataset if endless else dataset.repeat()
            dataset = dataset.shard(together, together - 1)
        dataset = dataset.with_options(chain[-1].dataset.options())
        pulls = link.elements / together  # for a final batch
        timing = steady(dataset, round(epoch * pulls))
        timings.append(replace(timing, seconds=pulls * timing.seconds))
    return timings


def time_window(window: Callable[[], None], elements: int, seconds: float) -> Timing:
    """Time the elements of a window, and the processors that they keep busy.

    Args:
        window: Pulls the elements.
        elements: How many these are.
        seconds: How long to pull windows; two at least are pulled.
    """
    count, use = 0, machine.processor_use()
    start = time.perf_counter()
    while time.perf_counter() - start < seconds or count < 2:
        window()
        count += 1
    elapsed = time.perf_counter() - start
    pairs = zip(machine.processor_use(), use, strict=True)
    ran, queued = (max(0.0, now - then) for now, then in pairs)
    demand = (ran + min(queued, QUEUEING * ran)) / elapsed
    return Timing(elapsed / (count * elements), demand)


def shares(seconds: Sequence[float]) -> list[float]:
    """Return the share of each stage in the time that the consumer waits; sum 1.

    Args:
        seconds: The time of a final batch of each prefix, the shortest prefix first.
    """
    waits, longest = [], 0.0
    for one in seconds:
        waits.append(max(0.0, one - longest))
        longest = max(longest, one)
    return _scaled(waits)


def without_hidden(waits: Sequence[float], gains: dict[int, float]) -> list[float]:
    """Return the shares without those of stages that are hidden by others.

    Args:
        waits: The share of each stage.
        gains: By stage, the part of the pipeline's time that goes if the stage is taken
            away.
    """
    seen = [
        0.0 if gains.get(place, 1.0) < HIDDEN * wait else wait
        for place, wait in enumerate(waits)
    ]
    return _scaled(seen) if any(seen) else list(waits)


def _scaled(waits: Sequence[float]) -> list[float]:
    total = sum(waits)
    return [wait / total for wait in waits] if total else list(waits)


def _count(dataset: tf.data.Dataset) -> tuple[int, bool]:
    """Count elements for `COUNT_SECONDS`; returns the number, and whether it is all."""
    count, deadline = 0, float("inf")
    for _ in dataset.map(lambda *_: 0):
        count += 1
        if count == 1:  # the first may be slow
            deadline = time.monotonic() + COUNT_SECONDS
        if time.monotonic() > deadline:
            return count, False
    return count, True
