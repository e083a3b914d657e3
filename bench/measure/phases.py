"""This module times the phases of a run: first batch, filling, calibration, windows.

Each function returns the part of `Measured` that it measured.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bench import machine
from bench.machine import cpu_seconds
from bench.measure import page_cache, resources, rhythm, timing
from bench.measure.assembly import Assembly
from bench.measure.capacity import FillTime
from bench.measure.consumers import Consumer
from bench.measure.phase_recorder import Stopwatch
from bench.measure.rhythm import Rhythm, WindowLayout
from bench.pipeline import Pipeline
from bench.trial import Effort, Measured

# A whole epoch may take so many times as long as the steady phase should. Any sweep
# then times a buffer of 80,000 records whole, which is filled in three seconds.
WHOLE = 8
LEAST_WHOLE_SECONDS = 5.0  # short runs, which screen trials, time whole epochs too
GUESSING = 32  # steps before the first window is tried


@dataclass(frozen=True)
class _Mark:
    """A mark has the state of a run between its ramp and its steady phase."""

    cpu: float
    workers_cpu: float
    traces: int
    start: int
    conditions: machine.Conditions


def time_windows(
    consumer: Consumer,
    assembly: Assembly,
    effort: Effort,
    clock: Stopwatch,
    *,
    held: bool = False,
) -> Measured:
    """Measure the first batch, filling of caches, calibration, ramp and steady windows.

    Args:
        consumer: The consumer, traced.
        assembly: The trial's workload.
        effort: How much to measure.
        clock: Takes the phases' seconds.
        held: Whether the consumer works on one batch held in memory.
    """
    p, earlier = assembly.pipeline, effort.windows
    with clock.time("check"):
        if earlier:
            beat = assembly.rhythm(held=held, epoch=earlier.epoch)
        else:
            beat = assembly.rhythm(held=held, counting=effort.steady_seconds)
    first_and_fill(consumer, assembly, clock, effort.limit_seconds)
    with clock.time("calibrate"):
        layout, extent = _lay_out(consumer, beat, effort)
        window = consumer.window(layout.batches, layout.start)
        if not effort.warmup_seconds:
            window()  # a new iterator's start-up is no part of an epoch
    marks: list[_Mark] = []

    def between() -> None:
        workers, traces, start = _workers_cpu(p), consumer.traces(), consumer.pulled()
        conditions = machine.Conditions(clocked=False)
        marks.append(_Mark(cpu_seconds(), workers, traces, start, conditions))

    series = timing.measure(window, layout.batches, time.perf_counter, extent, between)
    (mark,) = marks
    workers_cpu = _workers_cpu(p) - mark.workers_cpu
    cpu = cpu_seconds() - mark.cpu + workers_cpu
    conditions = mark.conditions.read(workers_cpu)
    batches = layout.batches * len(series.steady)
    clock.set(ramp=series.ramp_seconds, steady=series.steady_seconds)
    flags = []
    if consumer.traces() != mark.traces:
        flags.append("retraced")
    if not series.settled:
        flags.append("ramp_cut")
    hidden = beat.hidden(mark.start, batches)
    if hidden:
        flags.append("partly_timed")
    return Measured(
        samples=series.steady,
        ramp_samples=series.ramp,
        batches_per_sample=layout.batches,
        cpu_seconds_per_example=cpu / (batches * p.batch_size),
        start_batches=mark.start,
        epoch_batches=beat.epoch,
        foreign_share=machine.foreign_share(conditions),
        flags=flags,
        facts=_coverage_facts(beat, batches, hidden),
    )


def _workers_cpu(p: Pipeline) -> float:
    """Return the CPU time so far of worker processes, ended ones included."""
    if not p.worker_count:
        return 0.0
    return machine.children_cpu_seconds() + machine.living_children_cpu_seconds()


def _coverage_facts(beat: Rhythm, batches: int, hidden: str) -> dict[str, float | str]:
    """Return the share of an epoch that was timed, and what recurs or was not timed.

    Args:
        beat: The rhythm of the pipeline.
        batches: The number of timed batches.
        hidden: The costs that were not timed, in words; may be empty.
    """
    facts: dict[str, float | str] = {}
    if beat.epoch:
        facts["share_timed"] = min(1.0, batches / beat.epoch)
    if beat.recurs:
        facts["recurs"] = beat.recurs
    if hidden:
        facts["not_timed"] = hidden
    return facts


def time_epochs(
    consumer: Consumer, assembly: Assembly, effort: Effort, clock: Stopwatch
) -> Measured:
    """Measure whole epochs, each from a fresh iterator.

    Args:
        consumer: The consumer, traced.
        assembly: The trial's workload.
        effort: How much to measure.
        clock: Takes the phases' seconds.
    """
    p = assembly.pipeline
    before = cpu_seconds() + _workers_cpu(p)
    seconds: list[float] = []
    batches: list[int] = []
    for number in range(effort.epochs):
        if number == 1:
            resources.forget_peak()
        if p.storage == "cold":
            paths = [*assembly.inputs.features, *assembly.files_on_disk()]
            page_cache.demand_dropped(paths)
        elapsed, counts = timing.measure_epochs(consumer.epoch, 1, time.perf_counter)
        consumer.release()
        seconds += elapsed
        batches += counts
    cpu = cpu_seconds() + _workers_cpu(p) - before
    with clock.time("graph"):
        consumer.step()  # so that there is a graph to read
    batches = [count or consumer.batches() for count in batches[:1]] * len(batches)
    clock.set(steady=sum(seconds))
    return Measured(
        samples=[s / n for s, n in zip(seconds, batches, strict=True)],
        batches_per_sample=batches[0],
        cpu_seconds_per_example=cpu / (sum(batches) * p.batch_size),
    )


def first_and_fill(
    consumer: Consumer, assembly: Assembly, clock: Stopwatch, limit_seconds: float
) -> None:
    """Pull the first batch, and then as many as fill the caches.

    Args:
        consumer: The consumer, traced.
        assembly: The trial's workload.
        clock: Takes the phases' seconds.
        limit_seconds: The longest that the run may take.

    Raises:
        UsageError: Filling the caches would take longer than the limit leaves.
    """
    with clock.time("first_batch"):
        consumer.step()
    resources.forget_peak()  # the first batch frees the last copies made by building
    if steps := filling_steps(assembly):
        with clock.time("fill"):
            left = limit_seconds - sum(clock.seconds.values())
            filling = FillTime(steps, left)
            for done in range(1, steps + 1):
                consumer.step()
                filling.check(done)


def filling_steps(assembly: Assembly) -> int:
    """Return how many batches after the first fill the caches; 0 without a cache."""
    p = assembly.pipeline
    examples = assembly.inputs.count if p.cache != "none" else 0
    if p.resample == "split":  # it stores the rare class, which is half of its output
        examples = 2 * int(np.bincount(assembly.class_labels).min())
    # One step past the end, or the runtime discards the cache.
    return examples // p.batch_size + 2 if examples else 0


def _lay_out(
    consumer: Consumer, beat: Rhythm, effort: Effort
) -> tuple[WindowLayout, timing.Extent]:
    """Lay out windows as in an earlier run or else by calibration, with their extent.

    Runs whose windows begin at the same places of the stream can be compared window by
    window. A window that is long in all of these runs is long because of the pipeline,
    and not because of other processes.
    """
    most = max(LEAST_WHOLE_SECONDS, WHOLE * effort.steady_seconds)
    earlier = effort.windows
    if earlier:
        layout = WindowLayout(earlier.batches, 0, earlier.start)
        return layout, timing.Extent(
            warmup_seconds=effort.warmup_seconds,
            steady_seconds=effort.steady_seconds,
            most_seconds=most,
            ramp_windows=earlier.ramp,
            steady_windows=earlier.steady,
        )
    least, seconds = calibrate(
        consumer, effort.window_seconds, 2 * beat.together, beat.ahead
    )
    layout = rhythm.lay_windows(least, beat.epoch)
    fits = seconds * max(beat.epoch, layout.batches) <= most
    if not fits:
        layout = WindowLayout(least, 0)
    return layout, timing.Extent(
        warmup_seconds=effort.warmup_seconds,
        steady_seconds=effort.steady_seconds,
        per_epoch=layout.per_epoch,
        most_seconds=most,
    )


def calibrate(
    consumer: Consumer, window_seconds: float, least: int, ahead: int
) -> tuple[int, float]:
    """Find the number of batches that fill a window.

    Single steps give a first guess of the number, since each new window may begin by
    filling a shuffle buffer. Before the function times a window, it pulls the batches
    that the pipeline prepared in advance, because these cost no time. It times two
    windows.

    Args:
        consumer: The consumer, traced.
        window_seconds: The least length of a window.
        least: The least number of batches in a window: whole rounds of batches that
            arrive together.
        ahead: The number of batches that may stand ready.

    Returns:
        The batches in a window, and the seconds a batch of the quicker window: the
        other window may have had a refill.
    """
    batches = max(least, _guess(consumer, window_seconds, ahead))
    while True:
        window = consumer.window(batches)
        for _ in range(max(1, -(-ahead // batches))):
            window()
        pair = elapsed(window), elapsed(window)
        mean = sum(pair) / 2
        if mean >= 0.8 * window_seconds:
            return batches, min(pair) / batches
        growth = min(1000.0, max(1.5, window_seconds / max(mean, 1e-9)))
        batches = max(batches + 1, round(batches * growth))


def _guess(consumer: Consumer, window_seconds: float, ahead: int) -> int:
    """Return how many batches fit into half a window, by single steps; at least one."""
    for _ in range(ahead):
        consumer.step()
    steps, start = 0, time.perf_counter()
    while steps < GUESSING and time.perf_counter() - start < window_seconds:
        consumer.step()
        steps += 1
    seconds = time.perf_counter() - start
    return max(1, int(steps * window_seconds / (2 * seconds)))


def elapsed(window: Callable[[], object]) -> float:
    """Return the seconds that a window takes."""
    start = time.perf_counter()
    window()
    return time.perf_counter() - start
