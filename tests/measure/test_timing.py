"""The timed loop, under a clock that the tests set."""

from collections.abc import Iterable

import pytest

from bench.measure import timing


class Clock:
    """A clock stands still except for the windows that run on it."""

    def __init__(self, seconds: Iterable[float]) -> None:
        """Let each window take the next of these seconds."""
        self.now, self.left, self.windows = 100.0, iter(seconds), 0

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    def window(self) -> None:
        """Advance by the next window's seconds."""
        self.now += next(self.left)
        self.windows += 1


def forever(seconds: float) -> Iterable[float]:
    """Yield the same seconds without end."""
    while True:
        yield seconds


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([1.0] * 7, False),
        ([1.0] * 8, True),
        ([1.0] * 4 + [1.04] * 4, True),
        ([1.0] * 4 + [1.06] * 4, False),
        ([1.0] * 4 + [0.94] * 4, False),
        ([9.0] * 4 + [1.0] * 8, True),
        ([1.0, 1.0, 1.0, 9.0] * 2, True),
    ],
)
def test_the_ramp_is_over_when_neighbouring_medians_agree(
    samples: list[float], expected: bool
) -> None:
    """Four windows each agree within 5 %; a single late window changes nothing."""
    assert timing.settled(samples) is expected


def test_windows_before_the_ramp_is_over_are_kept_apart() -> None:
    """Eight level windows end the ramp; then half a second is measured."""
    clock = Clock(forever(0.125))
    called_at = []
    series = timing.measure(
        clock.window,
        10,
        clock,
        timing.Extent(warmup_seconds=60, steady_seconds=0.5),
        between=lambda: called_at.append(clock.windows),
    )
    assert called_at == [8]
    assert series.ramp == [0.0125] * 8
    assert series.steady == [0.0125] * 4
    assert (series.settled, series.ramp_seconds, series.steady_seconds) == (
        True,
        1.0,
        0.5,
    )


def test_a_falling_ramp_goes_on_until_it_is_level() -> None:
    """The first windows, which are slow, are no samples."""
    falling = [1.0, 0.8, 0.6, 0.5, 0.4, 0.3, 0.2, 0.2]
    clock = Clock([*falling, *[0.1] * 50])
    series = timing.measure(
        clock.window, 1, clock, timing.Extent(warmup_seconds=60, steady_seconds=1)
    )
    assert series.settled
    assert series.ramp[-7:] == pytest.approx([0.1] * 7)
    assert series.steady == pytest.approx([0.1] * len(series.steady))


def test_a_ramp_that_never_settles_is_cut() -> None:
    """The limit ends it, and the series is not settled."""
    clock = Clock(1.1**n for n in range(100))
    series = timing.measure(
        clock.window, 1, clock, timing.Extent(warmup_seconds=20, steady_seconds=1)
    )
    assert not series.settled
    assert 20 <= series.ramp_seconds < 25
    assert len(series.steady) == 3


def test_three_windows_are_timed_however_long_they_are() -> None:
    """A single window has no spread."""
    clock = Clock(forever(50.0))
    series = timing.measure(
        clock.window, 2, clock, timing.Extent(warmup_seconds=1, steady_seconds=0.5)
    )
    assert series.ramp == [25.0]
    assert series.steady == [25.0] * 3


def test_without_warmup_there_is_no_ramp() -> None:
    """Zero seconds of warm-up make no window of a ramp."""
    series = timing.measure(
        (clock := Clock(forever(1.0))).window,
        1,
        clock,
        timing.Extent(warmup_seconds=0, steady_seconds=4),
    )
    assert (series.ramp, series.settled, len(series.steady)) == ([], False, 4)


def test_epochs_are_timed_one_by_one() -> None:
    """Each epoch returns its number of batches."""
    clock = Clock([4.0, 2.0, 1.0])

    def epoch() -> int:
        clock.window()
        return 7

    assert timing.measure_epochs(epoch, 3, clock) == ([4.0, 2.0, 1.0], [7, 7, 7])


def test_steady_windows_end_with_an_epoch() -> None:
    """Half a second is over after four windows, the epoch after six."""
    clock = Clock(forever(0.125))
    extent = timing.Extent(warmup_seconds=0, steady_seconds=0.5, per_epoch=6)
    assert len(timing.measure(clock.window, 1, clock, extent).steady) == 6


def test_an_epoch_is_waited_for_until_a_limit() -> None:
    """A longer epoch is timed in part."""
    clock = Clock(forever(1.0))
    extent = timing.Extent(
        warmup_seconds=0, steady_seconds=1, per_epoch=100, most_seconds=8
    )
    assert len(timing.measure(clock.window, 1, clock, extent).steady) == 9


def test_a_later_run_has_as_many_windows_as_the_first() -> None:
    """Their length does not matter."""
    clock = Clock(forever(9.0))
    extent = timing.Extent(
        warmup_seconds=10, steady_seconds=1, ramp_windows=3, steady_windows=5
    )
    series = timing.measure(clock.window, 1, clock, extent)
    assert (len(series.ramp), len(series.steady)) == (3, 5)


def test_a_later_run_does_not_wait_for_its_windows_for_ever() -> None:
    """The limit is three times the usual one."""
    clock = Clock(forever(10.0))
    extent = timing.Extent(
        warmup_seconds=1,
        steady_seconds=1,
        most_seconds=8,
        ramp_windows=90,
        steady_windows=90,
    )
    series = timing.measure(clock.window, 1, clock, extent)
    assert (len(series.ramp), len(series.steady)) == (1, 3)


def test_one_long_window_may_be_a_whole_epoch() -> None:
    """Two more windows would take three times the limit."""
    clock = Clock(forever(7.0))
    extent = timing.Extent(
        warmup_seconds=0, steady_seconds=1, per_epoch=1, most_seconds=8
    )
    assert len(timing.measure(clock.window, 1, clock, extent).steady) == 1
