"""The only timed loop. The clock is an argument, so tests never sleep."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field

RAMP_WINDOWS = 4
RAMP_TOLERANCE = 0.05


@dataclass
class Series:
    """The windows of one run, seconds a batch.

    Attributes:
        ramp: Windows before the ramp was over.
        steady: Windows after it.
        settled: Whether the ramp ended by its test and not by its limit.
        ramp_seconds: How long the ramp took.
        steady_seconds: How long the steady windows took.
    """

    ramp: list[float] = field(default_factory=list)
    steady: list[float] = field(default_factory=list)
    settled: bool = False
    ramp_seconds: float = 0.0
    steady_seconds: float = 0.0


def settled(samples: list[float]) -> bool:
    """The ramp's test: two neighbouring groups of windows have the same median.

    The medians of the last four windows and of the four before them are within 5 %.
    """
    if len(samples) < 2 * RAMP_WINDOWS:
        return False
    earlier = statistics.median(samples[-2 * RAMP_WINDOWS : -RAMP_WINDOWS])
    later = statistics.median(samples[-RAMP_WINDOWS:])
    return abs(later - earlier) <= RAMP_TOLERANCE * earlier


def measure(
    window: Callable[[], None],
    batches: int,
    clock: Callable[[], float],
    *,
    warmup_seconds: float,
    steady_seconds: float,
    between: Callable[[], None] = lambda: None,
) -> Series:
    """Time windows: first the ramp until it settles, then the steady phase.

    Args:
        window: Pulls `batches` batches and returns when the last has come back.
        batches: Batches in a window.
        clock: Seconds, monotonic.
        warmup_seconds: The most that the ramp may take.
        steady_seconds: Windows go on until this much time is measured; three at least.
        between: Called once, between ramp and steady phase.
    """
    series = Series()

    def timed() -> float:
        start = clock()
        window()
        return clock() - start

    while series.ramp_seconds < warmup_seconds and not series.settled:
        seconds = timed()
        series.ramp.append(seconds / batches)
        series.ramp_seconds += seconds
        series.settled = settled(series.ramp)
    between()
    while series.steady_seconds < steady_seconds or len(series.steady) < 3:
        seconds = timed()
        series.steady.append(seconds / batches)
        series.steady_seconds += seconds
    return series


def measure_epochs(
    epoch: Callable[[], int], epochs: int, clock: Callable[[], float]
) -> tuple[list[float], list[int]]:
    """Time whole epochs, each from a fresh iterator to its end.

    Args:
        epoch: Runs one epoch and returns the number of its batches.
        epochs: How many.
        clock: Seconds, monotonic.

    Returns:
        Seconds and batches of each epoch.
    """
    seconds, batches = [], []
    for _ in range(epochs):
        start = clock()
        batches.append(epoch())
        seconds.append(clock() - start)
    return seconds, batches
