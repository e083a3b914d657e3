"""Progress in lines and in words."""

from dataclasses import replace

import factory
import pytest

from bench import text
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
def test_time_is_written_in_two_units_at_most(seconds: float, words: str) -> None:
    assert text.duration_text(seconds) == words


@pytest.mark.parametrize(
    ("number", "words"),
    [(0.5, "0.5"), (123.4, "123"), (45678, "45.7 k"), (2.5e6, "2.5 M")],
)
def test_figures_are_compact(number: float, words: str) -> None:
    """They have three digits, and k or M."""
    assert text.compact(number) == words


def test_without_a_terminal_each_run_is_a_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The count begins with earlier runs; a failure shows its reason."""
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


def test_a_race_shows_its_open_questions_and_its_repeats(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The total grows with its rounds; a repeat does not count."""
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
    """A clock shows the time that a test sets."""

    now = 0.0

    def monotonic(self) -> float:
        """Return seconds."""
        return self.now


@pytest.mark.parametrize(
    ("budget", "left"), [(0.0, "30 s left"), (50.0, "20 s left of --budget")]
)
def test_the_time_left_follows_from_the_runs_so_far(
    budget: float,
    left: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The expected time does not count, and the budget limits the time left."""
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    with progress.Progress(6, 600.0, 0, budget).shown() as shown:
        for runs in range(3):
            clock.now = 10.0 * (runs + 1)
            shown.advance(factory.run(factory.trial(), [0.02]))
    assert capsys.readouterr().err.splitlines() == [
        "[1/6] 1.6 k examples/s prose",
        "[2/6] 1.6 k examples/s prose",
        f"[3/6] 1.6 k examples/s prose ({left})",
    ]


def test_runs_are_counted_in_words() -> None:
    """Repeats are counted apart."""
    run = factory.run(factory.trial())
    again = replace(run, repeat=1)
    assert progress.run_count([run]) == "1 run"
    assert progress.run_count([run, run, again]) == "2 runs and 1 repeat"


def test_on_a_terminal_the_race_stands_above_the_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole line is above the bar."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    with progress.Progress(1, 60.0).shown() as shown:
        shown.begin_round(3, ["settling prose: 3 of 14 left, best parallel, ±2.4 %"])
        shown.advance(factory.run(factory.trial("vectorized"), [0.02]))
    output = capsys.readouterr().err
    assert "1/3" in output
    assert "settling prose: 3 of 14 left, best parallel, ±2.4 %" in output
