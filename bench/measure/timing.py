"""The only timed loop; its clock is an argument, so that tests never sleep."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field

RAMP_WINDOWS = 4
RAMP_TOLERANCE = 0.05
FEWEST_WINDOWS = 3
LATE = 3  # times its usual limit: then a run no longer waits for its windows


@dataclass
class Series:
    """A series is the windows of one run, in seconds a batch.

    Attributes:
        ramp: The windows of the ramp.
        steady: The windows after the ramp.
        settled: Whether the ramp ended because windows had settled, not by its limit.
        ramp_seconds: The length of the ramp.
        steady_seconds: The length of the steady phase.
    """

    ramp: list[float] = field(default_factory=list)
    steady: list[float] = field(default_factory=list)
    settled: bool = False
    ramp_seconds: float = 0.0
    steady_seconds: float = 0.0


def settled(samples: list[float]) -> bool:
    """Return whether the last four windows and the four before have the same median.

    The medians may differ by 5 %.
    """
    if len(samples) < 2 * RAMP_WINDOWS:
        return False
    earlier = statistics.median(samples[-2 * RAMP_WINDOWS : -RAMP_WINDOWS])
    later = statistics.median(samples[-RAMP_WINDOWS:])
    return abs(later - earlier) <= RAMP_TOLERANCE * earlier


@dataclass(frozen=True, kw_only=True)
class Extent:
    """An extent states how long to measure.

    Attributes:
        warmup_seconds: The longest ramp.
        steady_seconds: The least length of the steady phase.
        per_epoch: The number of windows that cover whole epochs; the steady phase ends
            only after a multiple of it. 0 where the length of an epoch is unknown.
        most_seconds: The longest wait for the end of an epoch.
        ramp_windows: The number of windows in the ramp, as in an earlier run of the
            same trial; 0 lets the ramp settle.
        steady_windows: The number of windows in the steady phase, as in an earlier run;
            0 goes by the time.
    """

    warmup_seconds: float
    steady_seconds: float
    per_epoch: int = 0
    most_seconds: float = float("inf")
    ramp_windows: int = 0
    steady_windows: int = 0

    def warm(self, series: Series) -> bool:
        """Return whether the ramp is over: as long as before, settled, or too long."""
        if self.ramp_windows and series.ramp_seconds < LATE * self.warmup_seconds:
            return len(series.ramp) >= self.ramp_windows
        return series.settled or series.ramp_seconds >= self.warmup_seconds

    def enough(self, series: Series) -> bool:
        """Return whether the steady phase has lasted long enough.

        It needs `FEWEST_WINDOWS` windows (fewer if one is a whole, long epoch) and
        `steady_seconds`, and it ends with an epoch if the length of an epoch is known.
        If it ended after three of an epoch's ten windows, a shuffle refill, which
        happens once an epoch, would count three times too much, or not at all.

        After `most_seconds` it no longer waits for the end of an epoch. If
        `steady_windows` is set, only that number counts, unless the phase takes far too
        long.
        """
        count, seconds = len(series.steady), series.steady_seconds
        late = self.per_epoch == 1 and count and seconds / count > self.most_seconds / 2
        if count < FEWEST_WINDOWS and not late:  # a window may be an epoch, and long
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
        window: Pulls `batches` batches, and returns when the last has come.
        batches: The number of batches in a window.
        clock: Returns seconds; monotonic.
        extent: How long to measure.
        between: Called once, between the ramp and the steady phase.
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
        epoch: Runs one epoch, and returns the number of its batches.
        epochs: The number of epochs.
        clock: Returns seconds; monotonic.

    Returns:
        The seconds and the batches of each epoch.
    """
    seconds, batches = [], []
    for _ in range(epochs):
        start = clock()
        batches.append(epoch())
        seconds.append(clock() - start)
    return seconds, batches
