"""The only timed loop. The clock is an argument, so tests never sleep."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field

RAMP_WINDOWS = 4
RAMP_TOLERANCE = 0.05
FEWEST_WINDOWS = 3
LATE = 3  # times as long as it may take: then a run no longer waits for its windows


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


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How long to measure.

    Attributes:
        warmup_seconds: The most that the ramp may take.
        steady_seconds: Steady windows go on until this much time is measured.
        per_epoch: After so many windows whole epochs have passed; steady windows end
            only then. 0 where the length of an epoch is not known.
        most_seconds: Where whole epochs take longer than this, they are not waited for.
        ramp_windows: So many windows are the ramp, as in an earlier run of the same
            trial; 0 lets it settle.
        steady_windows: So many are steady, for the same reason; 0 goes by the time.
    """

    warmup_seconds: float
    steady_seconds: float
    per_epoch: int = 0
    most_seconds: float = float("inf")
    ramp_windows: int = 0
    steady_windows: int = 0

    def warm(self, series: Series) -> bool:
        """Whether the ramp is over: as an earlier one, settled, or at its limit."""
        if self.ramp_windows and series.ramp_seconds < LATE * self.warmup_seconds:
            return len(series.ramp) >= self.ramp_windows
        return series.settled or series.ramp_seconds >= self.warmup_seconds

    def enough(self, series: Series) -> bool:
        """Whether the steady phase is over.

        What lies behind whole epochs counts each of their costs as often as it comes:
        three windows of ten would count a refill three times too often, or not at all.
        """
        count, seconds = len(series.steady), series.steady_seconds
        late = self.per_epoch == 1 and count and seconds / count > self.most_seconds / 2
        if count < FEWEST_WINDOWS and not late:  # one window may be an epoch, and long
            return False
        if self.steady_windows and seconds < LATE * self.most_seconds:
            return count >= self.steady_windows
        whole = not self.per_epoch or count % self.per_epoch == 0
        return seconds >= self.steady_seconds and (whole or seconds > self.most_seconds)


def measure(
    window: Callable[[], None],
    batches: int,
    clock: Callable[[], float],
    extent: Extent,
    between: Callable[[], None] = lambda: None,
) -> Series:
    """Time windows: first the ramp until it settles, then the steady phase.

    Args:
        window: Pulls `batches` batches and returns when the last has come back.
        batches: Batches in a window.
        clock: Seconds, monotonic.
        extent: How long.
        between: Called once, between ramp and steady phase.
    """
    series = Series()

    def timed() -> float:
        start = clock()
        window()
        return clock() - start

    while not extent.warm(series):
        seconds = timed()
        series.ramp.append(seconds / batches)
        series.ramp_seconds += seconds
        series.settled = settled(series.ramp)
    between()
    while not extent.enough(series):
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
