"""The phases of one run in its process, each timed apart."""

import gc
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from bench import memory, page_cache, timing, turns
from bench.consumers import Consumer
from bench.machine import cpu_seconds
from bench.pipeline import prepared
from bench.trial import Effort
from bench.work import Work


class Stopwatch:
    """Seconds by phase, and which phase is running."""

    def __init__(self) -> None:
        """Nothing measured yet."""
        self.seconds: dict[str, float] = {}
        self.phase = "start"

    @contextmanager
    def time(self, phase: str) -> Iterator[None]:
        """Add the block's time to a phase."""
        self.phase, start = phase, time.perf_counter()
        yield
        spent = time.perf_counter() - start
        self.seconds[phase] = self.seconds.get(phase, 0.0) + spent


def time_windows(
    consumer: Consumer,
    work: Work,
    effort: Effort,
    clock: Stopwatch,
    found: dict[str, object],
) -> None:
    """First batch, filling of caches, calibration, ramp and steady windows.

    Args:
        consumer: What pulls the batches, traced.
        work: The trial's workload.
        effort: How much to measure.
        clock: Takes the phases' seconds.
        found: Takes the samples and flags.
    """
    p, flags = work.pipeline, found["flags"]
    window, batches = _ready(consumer, work, effort, clock)
    mark = {}

    def between() -> None:
        gc.disable()
        mark.update(cpu=cpu_seconds(), traces=consumer.traces())

    series = timing.measure(
        window,
        batches,
        time.perf_counter,
        warmup_seconds=effort.warmup_seconds,
        steady_seconds=effort.steady_seconds,
        between=between,
    )
    examples = batches * p.batch_size * len(series.steady)
    found["cpu_seconds_per_example"] = (cpu_seconds() - mark["cpu"]) / examples
    if consumer.traces() != mark["traces"]:
        flags.append("retraced")
    if not series.settled:
        flags.append("ramp_cut")
    clock.seconds |= {"ramp": series.ramp_seconds, "steady": series.steady_seconds}
    found |= {
        "samples": series.steady,
        "ramp_samples": series.ramp,
        "batches_per_sample": batches,
    }


def time_epochs(
    consumer: Consumer,
    work: Work,
    effort: Effort,
    clock: Stopwatch,
    found: dict[str, object],
) -> None:
    """Whole epochs, each from a fresh iterator; arguments as in `time_windows`."""
    before = cpu_seconds()
    seconds, batches = [], []
    for number in range(effort.epochs):
        if number == 1:
            memory.forget_peak()
        if work.pipeline.storage == "cold":
            page_cache.demand_dropped([*work.inputs.features, *work.kept_files()])
        spent, counted = timing.measure_epochs(consumer.epoch, 1, time.perf_counter)
        seconds += spent
        batches += counted
    spent_cpu = cpu_seconds() - before
    with clock.time("graph"):
        consumer.step()  # so that there is a graph to read
    batches = [count or consumer.batches() for count in batches[:1]] * len(batches)
    examples = sum(batches) * work.pipeline.batch_size
    found |= {
        "samples": [s / n for s, n in zip(seconds, batches, strict=True)],
        "batches_per_sample": batches[0],
        "cpu_seconds_per_example": spent_cpu / examples,
    }
    clock.seconds["steady"] = sum(seconds)


def take_turns(
    consumer: Consumer,
    work: Work,
    effort: Effort,
    channel: str,
    clock: Stopwatch,
    found: dict[str, object],
) -> None:
    """Windows in turn with another process; see `turns`.

    The process that is ready first calibrates and ramps; the other one repeats its
    pulls one for one, so that both are as warm and have the same examples before them.

    Args:
        consumer: What pulls the batches, traced.
        work: The trial's workload.
        effort: How much to measure; how long it goes on is the other side's to say.
        channel: The socket to wait at.
        clock: Takes the phases' seconds.
        found: Takes the samples.
    """
    seat = turns.Seat(channel)
    told = seat.told()
    consumer, pulled = _recorded(consumer)
    if told:
        with clock.time("ramp"):
            window = _repeated(consumer, told["pulled"])
        batches, ramp = told["batches"], []
    else:
        window, batches = _ready(consumer, work, effort, clock)
        with clock.time("ramp"):
            ramp = _ramped(window, batches, effort.warmup_seconds)
    gc.disable()
    flushes = -(-prepared(work.pipeline) // batches)

    def flush() -> None:
        for _ in range(flushes):
            window()

    lane = turns.Lane(flush if flushes else None, window, batches, pulled())
    with clock.time("steady"):
        taken = seat.serve(lane, time.perf_counter)
    size = work.pipeline.batch_size
    found |= {
        "samples": [turn.seconds for turn in taken],
        "ramp_samples": ramp,
        "batches_per_sample": batches,
    }
    if taken:
        spent = statistics.fmean(turn.cpu_seconds for turn in taken)
        found["cpu_seconds_per_example"] = spent / size


def _ramped(
    window: Callable[[], None], batches: int, limit_seconds: float
) -> list[float]:
    """Windows until they have settled, or for so long; seconds a batch.

    No steady windows follow, as in `timing.measure`: the turns are those.
    """
    samples, deadline = [], time.perf_counter() + limit_seconds
    while time.perf_counter() < deadline and not timing.settled(samples):
        start = time.perf_counter()
        window()
        samples.append((time.perf_counter() - start) / batches)
    return samples


def _recorded(consumer: Consumer) -> tuple[Consumer, Callable[[], list]]:
    """The consumer, and what has been pulled of it: `(batches a pull, pulls)`.

    A pull of 0 batches stands for a `step`; a drain's window of more than one batch
    begins a new iterator.
    """
    pulled: list[list] = []

    def counted(batches: int, pull: Callable[[], None]) -> Callable[[], None]:
        entry = [batches, 0]
        pulled.append(entry)

        def counting() -> None:
            entry[1] += 1
            pull()

        return counting

    def step() -> None:
        if not pulled or pulled[-1][0]:
            pulled.append([0, 0])
        pulled[-1][1] += 1
        consumer.step()

    def window(batches: int) -> Callable[[], None]:
        return counted(batches, consumer.window(batches))

    recorded = replace(consumer, step=step, window=window)
    return recorded, lambda: [tuple(entry) for entry in pulled]


def _repeated(consumer: Consumer, pulled: list) -> Callable[[], None]:
    """Pull what another process pulled; its last window, to go on with."""
    window = consumer.step
    for batches, pulls in pulled:
        window = consumer.window(batches) if batches else consumer.step
        for _ in range(pulls):
            window()
    return window


def _ready(
    consumer: Consumer, work: Work, effort: Effort, clock: Stopwatch
) -> tuple[Callable[[], None], int]:
    """The first batch, full caches, and a window of the right length."""
    p = work.pipeline
    with clock.time("first_batch"):
        consumer.step()
    memory.forget_peak()  # the last copies made by building go with the first batch
    kept = work.inputs.count if p.cache != "none" else 0
    if p.resample == "split":  # it keeps the rare class, half of what it gives
        kept = 2 * int(np.bincount(work.class_labels).min())
    if kept:
        with clock.time("fill"):  # to its end and one past it, or it is thrown away
            for _ in range(kept // p.batch_size + 2):
                consumer.step()
    with clock.time("calibrate"):
        return _calibrated(consumer, effort.window_seconds)


def _calibrated(
    consumer: Consumer, window_seconds: float
) -> tuple[Callable[[], None], int]:
    """A window of at least the wanted length, and its batches."""
    batches = 1
    while True:
        window = consumer.window(batches)
        window()  # fills buffers
        start = time.perf_counter()
        window()
        spent = time.perf_counter() - start
        if spent >= 0.8 * window_seconds:
            return window, batches
        growth = min(1000.0, max(1.5, window_seconds / max(spent, 1e-9)))
        batches = max(batches + 1, round(batches * growth))
