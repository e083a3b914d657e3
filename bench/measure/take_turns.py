"""A process gets ready and takes turns with other processes, by the window."""

import statistics
import time
from collections.abc import Callable
from dataclasses import replace

from bench.errors import UsageError
from bench.measure import timing
from bench.measure.assembly import Assembly
from bench.measure.consumers import Consumer
from bench.measure.phase_recorder import Stopwatch
from bench.measure.phases import calibrate, elapsed, filling_steps, first_and_fill
from bench.pipeline import prepares_ahead
from bench.run.turns import Ready, Turn, TurnWork, TurnWorker
from bench.trial import Effort, Measured


def take_turns(
    consumer: Consumer,
    assembly: Assembly,
    effort: Effort,
    channel: str,
    clock: Stopwatch,
    *,
    held: bool = False,
) -> Measured:
    """Time windows in turn with other processes, as `bench.run.turns` describes.

    The process that is ready first calibrates and ramps. The others repeat its pulls
    one for one, so that all are equally warm and have pulled the same examples.

    Args:
        consumer: The consumer, traced.
        assembly: The trial's workload.
        effort: How much to measure; the runner decides when the turns end.
        channel: The path of the socket at which to wait.
        clock: Takes the phases' seconds.
        held: Whether the consumer works on one batch held in memory.

    Returns:
        The part of `Measured` that the turns give; a sample is a turn.

    Raises:
        UsageError: The pipeline has processes of its own.
    """
    if assembly.pipeline.worker_count:
        raise UsageError(
            f"worker_count={assembly.pipeline.worker_count}: the processes of a guard "
            "take turns, and worker processes would go on in the others' turns. Use "
            "worker_count=0, or `run` and `compare`."
        )
    worker = TurnWorker(channel)
    example = worker.example()
    recorder = _Recorder(consumer)
    beat = assembly.rhythm(held=held)
    ramp: list[float] = []
    if example:
        window = recorder.repeat(example, filling_steps(assembly), clock)
        batches = example.batches
    else:
        first_and_fill(recorder, assembly, clock, effort.limit_seconds)
        with clock.time("calibrate"):
            least = 2 * beat.together
            batches, _ = calibrate(recorder, effort.window_seconds, least, 0)
            window = recorder.window(batches)
        with clock.time("ramp"):
            ramp = _ramp(window, batches, effort.warmup_seconds)
    lead_in = 1 if prepares_ahead(assembly.pipeline) else 0
    work = TurnWork(window, batches, lead_in, recorder.pulls())
    start = consumer.pulled()
    with clock.time("steady"):
        turns = worker.serve(work, time.perf_counter)
    hidden = beat.hidden(start, consumer.pulled() - start)
    measured = _measured(turns, ramp, batches, assembly, beat.epoch)
    return replace(measured, flags=["partly_timed"] if hidden else [])


def take_epoch_turns(
    consumer: Consumer,
    assembly: Assembly,
    effort: Effort,
    channel: str,
    clock: Stopwatch,
) -> Measured:
    """Time whole epochs in turn with other processes; a turn is one epoch.

    Each epoch begins with a fresh iterator, so that no pipeline prepares batches
    between turns. The first epoch fills the caches and is not timed. The other
    processes pull as many epochs before their turns as the first process.

    Args:
        consumer: The consumer, traced.
        assembly: The trial's workload.
        effort: How much to measure; the runner decides when the turns end.
        channel: The path of the socket at which to wait.
        clock: Takes the phases' seconds.

    Returns:
        As `take_turns` does.
    """
    worker = TurnWorker(channel)
    example = worker.example()
    with clock.time("fill"):
        batches = consumer.epoch() or consumer.batches()
        consumer.release()

    def epoch() -> float:
        seconds = elapsed(consumer.epoch)
        consumer.release()
        return seconds / batches

    with clock.time("ramp"):
        if example:
            ramp = [epoch() for _ in range(example.pulled[0][1] - 1)]
        else:
            deadline = time.perf_counter() + effort.warmup_seconds
            ramp = [epoch()]
            while time.perf_counter() < deadline:
                ramp.append(epoch())
    pulled = [(batches, 1 + len(ramp))]
    work = TurnWork(consumer.epoch, batches, pulled=pulled, release=consumer.release)
    with clock.time("steady"):
        turns = worker.serve(work, time.perf_counter)
    return _measured(turns, ramp, batches, assembly, batches)


def _measured(
    turns: list[Turn],
    ramp: list[float],
    batches: int,
    assembly: Assembly,
    epoch: float,
) -> Measured:
    """Return the record of turns; `batches` is the length of a turn."""
    cpu = None
    if turns:
        per_batch = statistics.fmean(turn.cpu_seconds for turn in turns)
        cpu = per_batch / assembly.pipeline.batch_size
    return Measured(
        samples=[turn.seconds for turn in turns],
        ramp_samples=ramp,
        batches_per_sample=batches,
        epoch_batches=epoch,
        cpu_seconds_per_example=cpu,
    )


def _ramp(
    window: Callable[[], None], batches: int, limit_seconds: float
) -> list[float]:
    """Pull windows until they settle or the limit is over; seconds a batch.

    No steady windows follow, as they do in `timing.measure`: the turns are the steady
    windows.
    """
    samples, deadline = [], time.perf_counter() + limit_seconds
    while time.perf_counter() < deadline and not timing.settled(samples):
        samples.append(elapsed(window) / batches)
    return samples


class _Recorder(Consumer):
    """A recorder passes all calls on to a consumer, and counts steps and windows."""

    def __init__(self, consumer: Consumer) -> None:
        """Record nothing yet."""
        self._consumer = consumer
        self._pulls: list[list[int]] = []  # [batches a pull, pulls], as in `Ready`

    def pulls(self) -> list[tuple[int, int]]:
        """Return the recorded pulls, as in `Ready`."""
        return [(batches, pulls) for batches, pulls in self._pulls]

    def repeat(
        self, example: Ready, filling: int, clock: Stopwatch
    ) -> Callable[[], None]:
        """Repeat the pulls of another process, and return the last window, to go on.

        Args:
            example: The other process's pulls; single steps come first.
            filling: The number of these steps that fill the caches.
            clock: Takes the phases' seconds.
        """
        window = self.step
        (_, steps), *rest = example.pulled
        later = [(0, steps - 1 - filling), *rest]
        phases = {"first_batch": [(0, 1)], "fill": [(0, filling)], "ramp": later}
        for phase, entries in phases.items():
            if phase == "fill" and not filling:
                continue
            with clock.time(phase):
                for batches, pulls in entries:
                    window = self.window(batches) if batches else self.step
                    for _ in range(pulls):
                        window()
        return window

    def step(self) -> None:
        """Pull one batch; steps in succession are one entry."""
        if not self._pulls or self._pulls[-1][0]:
            self._pulls.append([0, 0])
        self._pulls[-1][1] += 1
        self._consumer.step()

    def window(self, batches: int, start: int = 0) -> Callable[[], None]:
        """Return the consumer's window, which counts its pulls in an entry of its own.

        A drain's window of more than one batch begins a new iterator.
        """
        entry = [batches, 0]
        self._pulls.append(entry)
        pull = self._consumer.window(batches, start)

        def counting() -> None:
            entry[1] += 1
            pull()

        return counting

    def trace(self) -> None:
        """Trace the consumer."""
        self._consumer.trace()

    def epoch(self) -> int:
        """Pull an epoch, which is not recorded."""
        return self._consumer.epoch()

    def iterator(self) -> object:
        """Return the consumer's last iterator."""
        return self._consumer.iterator()

    def pulled(self) -> int:
        """Return the number of batches that were pulled of the last iterator."""
        return self._consumer.pulled()
