"""Progress in lines and words."""

from dataclasses import replace

import factory
import pytest

from bench.run import progress
from bench.trial import Failure


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0 s"),
        (45, "45 s"),
        (59.6, "1 min"),
        (170, "2 min 50 s"),
        (3900, "1 h 5 min"),
        (-3, "0 s"),
    ],
)
def test_time_is_spoken(seconds: float, words: str) -> None:
    """Two units at most."""
    assert progress.spoken(seconds) == words


@pytest.mark.parametrize(
    ("number", "words"),
    [(0.5, "0.5"), (123.4, "123"), (45678, "45.7 k"), (2.5e6, "2.5 M")],
)
def test_figures_are_compact(number: float, words: str) -> None:
    """Three digits, and k or M."""
    assert progress.compact(number) == words


def test_without_a_terminal_each_run_is_a_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Counted from what was there already; a failure says its reason."""
    failed = factory.run(
        factory.trial(), error=Failure(type="ValueError", message="no such file\n[1 2]")
    )
    with progress.Progress(4, 60.0, done=1).shown() as shown:
        shown.advance(factory.run(factory.trial("vectorized"), [0.01, 0.02, 0.03]))
        shown.advance(failed)
    assert capsys.readouterr().err == (
        "[2/4] 1.6 k examples/s prose[order=batch_map]\n"
        "[3/4] prose: ValueError: no such file\n"
    )


def test_a_race_says_what_it_settles_and_what_it_repeats(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The total grows with its rounds; a repeat is not counted."""
    settling = "settling prose: 3 of 14 left, best parallel, ±2.4 %"
    with progress.Progress(2, 60.0, done=1).shown() as shown:
        shown.begin_round(3, [settling])
        run = factory.run(factory.trial("vectorized"), [0.02])
        shown.advance(run)
        shown.advance(replace(run, repeat=1))
    assert capsys.readouterr().err.splitlines() == [
        settling,
        "[2/4] 1.6 k examples/s prose[order=batch_map]",
        "[2/4] repeated, the machine was busy: 1.6 k examples/s prose[order=batch_map]",
    ]


class Clock:
    """As far as it is set."""

    now = 0.0

    def monotonic(self) -> float:
        """Seconds."""
        return self.now


@pytest.mark.parametrize(
    ("budget", "told"), [(0.0, "30 s left"), (50.0, "20 s left of --budget")]
)
def test_the_time_left_is_told_by_what_runs_took(
    budget: float,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Not by what was expected, and never more than the budget has left."""
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    with progress.Progress(6, 600.0, 0, budget).shown() as shown:
        for made in range(3):
            clock.now = 10.0 * (made + 1)
            shown.advance(factory.run(factory.trial(), [0.02]))
    assert capsys.readouterr().err.splitlines() == [
        "[1/6] 1.6 k examples/s prose",
        "[2/6] 1.6 k examples/s prose",
        f"[3/6] 1.6 k examples/s prose ({told})",
    ]


def test_runs_are_counted_in_words() -> None:
    """Repeats apart."""
    run = factory.run(factory.trial())
    again = replace(run, repeat=1)
    assert progress.counted([run]) == "1 run"
    assert progress.counted([run, run, again]) == "2 runs and 1 repeat"


def test_on_a_terminal_the_race_stands_above_the_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whole, above the bar."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    with progress.Progress(1, 60.0).shown() as shown:
        shown.begin_round(3, ["settling prose: 3 of 14 left, best parallel, ±2.4 %"])
        shown.advance(factory.run(factory.trial("vectorized"), [0.02]))
    told = capsys.readouterr().err
    assert "1/3" in told
    assert "settling prose: 3 of 14 left, best parallel, ±2.4 %" in told
