"""The phases of one run in its process, each timed apart."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from bench import machine
from bench.machine import cpu_seconds
from bench.measure import page_cache, resources, rhythm, timing
from bench.measure.assembly import Assembly
from bench.measure.consumers import Consumer
from bench.measure.rhythm import Rhythm, WindowLayout
from bench.pipeline import prepared
from bench.run import turns
from bench.trial import Effort

# A whole epoch may take so many times as long as the steady phase should. A buffer of
# 80,000 records that is filled in three seconds is then timed whole in any sweep.
WHOLE = 8
LEAST_WHOLE_SECONDS = 5.0  # short runs, which choose who races, time whole epochs too
GUESSING = 32  # steps, before the first window is tried


class Stopwatch:
    """Seconds by phase, and which phase is running."""

    def __init__(self) -> None:
        """Nothing measured yet."""
        self.seconds: dict[str, float] = {}
        self.work: dict[str, float] = {}  # the same less waits for a processor
        self.phase = "start"

    @contextmanager
    def time(self, phase: str) -> Iterator[None]:
        """Add the block's time to a phase."""
        before = machine.processor_use()
        self.phase, start = phase, time.perf_counter()
        yield
        spent = time.perf_counter() - start
        work = machine.work_seconds(spent, before)
        self.seconds[phase] = self.seconds.get(phase, 0.0) + spent
        self.work[phase] = self.work.get(phase, 0.0) + work


def time_windows(
    consumer: Consumer,
    work: Assembly,
    effort: Effort,
    clock: Stopwatch,
    found: dict[str, object],
    *,
    held: bool = False,
) -> None:
    """First batch, filling of caches, calibration, ramp and steady windows.

    Args:
        consumer: What pulls the batches, traced.
        work: The trial's workload.
        effort: How much to measure.
        clock: Takes the phases' seconds.
        found: Takes the samples and flags.
        held: Whether the consumer works on one batch held in memory.
    """
    p, flags = work.pipeline, found["flags"]
    earlier = effort.windows
    with clock.time("check"):
        if earlier:
            beat = work.rhythm(held=held, epoch=earlier.epoch)
        else:
            beat = work.rhythm(held=held, counting=effort.steady_seconds)
    _first_and_fill(consumer, work, clock)
    with clock.time("calibrate"):
        laying, extent = _laid(consumer, beat, effort)
        window = consumer.window(laying.batches, laying.start)
        if not effort.warmup_seconds:
            window()  # what a new iterator does first is no part of an epoch
    mark = {}

    def between() -> None:
        mark.update(cpu=cpu_seconds(), traces=consumer.traces())
        mark.update(start=consumer.pulled())
        mark.update(conditions=machine.Conditions(clocked=False))

    series = timing.measure(window, laying.batches, time.perf_counter, extent, between)
    spent = cpu_seconds() - mark["cpu"]
    others = mark["conditions"].read(0.0)
    examples = laying.batches * p.batch_size * len(series.steady)
    if consumer.traces() != mark["traces"]:
        flags.append("retraced")
    if not series.settled:
        flags.append("ramp_cut")
    clock.seconds |= {"ramp": series.ramp_seconds, "steady": series.steady_seconds}
    found |= {
        "samples": series.steady,
        "ramp_samples": series.ramp,
        "batches_per_sample": laying.batches,
        "cpu_seconds_per_example": spent / examples,
        "start_batches": mark["start"],
        "epoch_batches": beat.epoch,
        "foreign_share": machine.foreign_share(others),
    }
    _say_what_was_timed(beat, laying.batches * len(series.steady), found)


def _say_what_was_timed(beat: Rhythm, batches: int, found: dict[str, object]) -> None:
    """The share of an epoch that was timed, and what was not and counts."""
    facts = found["facts"]
    if beat.epoch:
        facts["share_timed"] = min(1.0, batches / beat.epoch)
    if beat.recurs:
        facts["recurs"] = beat.recurs
    hidden = beat.hidden(found["start_batches"], batches)
    if hidden:
        facts["not_timed"] = hidden
        found["flags"].append("partly_timed")


def time_epochs(
    consumer: Consumer,
    work: Assembly,
    effort: Effort,
    clock: Stopwatch,
    found: dict[str, object],
) -> None:
    """Whole epochs, each from a fresh iterator; arguments as in `time_windows`."""
    before = cpu_seconds()
    seconds, batches = [], []
    for number in range(effort.epochs):
        if number == 1:
            resources.forget_peak()
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
    work: Assembly,
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
    seat = turns.TurnWorker(channel)
    example = seat.example()
    consumer, pulled = _recorded(consumer)
    if example:
        window = _repeated(consumer, example.pulled, _filling(work), clock)
        batches, ramp = example.batches, []
    else:
        _first_and_fill(consumer, work, clock)
        with clock.time("calibrate"):
            least = 2 * work.rhythm().together
            batches, _ = _calibrated(consumer, effort.window_seconds, least, 0)
            window = consumer.window(batches)
        with clock.time("ramp"):
            ramp = _ramped(window, batches, effort.warmup_seconds)
    flushes = -(-prepared(work.pipeline) // batches)

    def flush() -> None:
        for _ in range(flushes):
            window()

    lane = turns.TurnWork(flush if flushes else None, window, batches, pulled())
    with clock.time("steady"):
        taken = seat.serve(lane, time.perf_counter)
    size = work.pipeline.batch_size
    found |= {
        "samples": [turn.seconds for turn in taken],
        "ramp_samples": ramp,
        "batches_per_sample": batches,
        "epoch_batches": work.rhythm().epoch,
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
        samples.append(_seconds(window) / batches)
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


def _repeated(
    consumer: Consumer, pulled: list, filling: int, clock: Stopwatch
) -> Callable[[], None]:
    """Pull what another process pulled; its last window, to go on with.

    Args:
        consumer: What pulls the batches.
        pulled: `(batches a pull, pulls)` of the other process; single steps come first.
        filling: How many of these steps fill the caches.
        clock: Takes the seconds of the phases.
    """
    window = consumer.step
    (_, steps), *rest = pulled
    later = [(0, steps - 1 - filling), *rest]
    phases = {"first_batch": [(0, 1)], "fill": [(0, filling)], "ramp": later}
    for phase, entries in phases.items():
        if phase == "fill" and not filling:
            continue
        with clock.time(phase):
            for batches, pulls in entries:
                window = consumer.window(batches) if batches else consumer.step
                for _ in range(pulls):
                    window()
    return window


def _filling(work: Assembly) -> int:
    """How many batches after the first fill the caches; 0 where nothing is kept."""
    p = work.pipeline
    kept = work.inputs.count if p.cache != "none" else 0
    if p.resample == "split":  # it keeps the rare class, half of what it gives
        kept = 2 * int(np.bincount(work.class_labels).min())
    # To its end and one past it, or it is thrown away.
    return kept // p.batch_size + 2 if kept else 0


def _first_and_fill(consumer: Consumer, work: Assembly, clock: Stopwatch) -> None:
    """The first batch, and full caches."""
    with clock.time("first_batch"):
        consumer.step()
    resources.forget_peak()  # the last copies made by building go with the first batch
    if filling := _filling(work):
        with clock.time("fill"):
            for _ in range(filling):
                consumer.step()


def _laid(
    consumer: Consumer, beat: Rhythm, effort: Effort
) -> tuple[WindowLayout, timing.Extent]:
    """How windows are laid, and how long they go on: as in an earlier run, or by now.

    Runs with the same windows at the same places of the stream can be compared place by
    place: what is long there in all of them is the pipeline's, and not a neighbour's.
    """
    most = max(LEAST_WHOLE_SECONDS, WHOLE * effort.steady_seconds)
    earlier = effort.windows
    if earlier:
        laying = WindowLayout(earlier.batches, 0, earlier.start)
        counts = {"ramp_windows": earlier.ramp, "steady_windows": earlier.steady}
        return laying, timing.Extent(
            warmup_seconds=effort.warmup_seconds,
            steady_seconds=effort.steady_seconds,
            most_seconds=most,
            **counts,
        )
    least, seconds = _calibrated(
        consumer, effort.window_seconds, 2 * beat.together, beat.ahead
    )
    laying = rhythm.lay(least, beat.epoch)
    fits = seconds * max(beat.epoch, laying.batches) <= most
    if not fits:
        laying = WindowLayout(least, 0)
    return laying, timing.Extent(
        warmup_seconds=effort.warmup_seconds,
        steady_seconds=effort.steady_seconds,
        per_epoch=laying.per_epoch,
        most_seconds=most,
    )


def _calibrated(
    consumer: Consumer, window_seconds: float, least: int, ahead: int
) -> tuple[int, float]:
    """Batches of a window of at least the wanted length, and seconds a batch.

    What stood ready is pulled before, and two windows are timed: the first pull after a
    pause is of what was prepared meanwhile. Single steps tell where to begin, since
    each new window may begin with a shuffle buffer that has to be filled.

    Args:
        consumer: What pulls the batches.
        window_seconds: The least length of a window.
        least: Batches that a window must have: those of whole rounds of what arrives
            together.
        ahead: Batches that may stand ready.

    Returns:
        The batches, and the seconds a batch of the quicker window: the other one may
        have had a refill.
    """
    batches = max(least, _guessed(consumer, window_seconds, ahead))
    while True:
        window = consumer.window(batches)
        for _ in range(max(1, -(-ahead // batches))):
            window()
        one, other = _seconds(window), _seconds(window)
        spent = (one + other) / 2
        if spent >= 0.8 * window_seconds:
            return batches, min(one, other) / batches
        growth = min(1000.0, max(1.5, window_seconds / max(spent, 1e-9)))
        batches = max(batches + 1, round(batches * growth))


def _guessed(consumer: Consumer, window_seconds: float, ahead: int) -> int:
    """Batches that fit into half a window, by steps from Python; one at least."""
    for _ in range(ahead):
        consumer.step()
    steps, start = 0, time.perf_counter()
    while steps < GUESSING and time.perf_counter() - start < window_seconds:
        consumer.step()
        steps += 1
    spent = time.perf_counter() - start
    return max(1, int(steps * window_seconds / (2 * spent)))


def _seconds(window: Callable[[], None]) -> float:
    start = time.perf_counter()
    window()
    return time.perf_counter() - start
