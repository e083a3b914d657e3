"""Progress in lines and words."""

import pytest

from bench import progress
from bench.trial import Failure
from tests import factory


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
        factory.trial(), error=Failure(type="ValueError", message="no such file")
    )
    with progress.Progress(4, 60.0, done=1).shown() as shown:
        shown.advance(factory.run(factory.trial("vectorized"), [0.01, 0.02, 0.03]))
        shown.advance(failed)
    assert capsys.readouterr().err == (
        "[2/4] 1.6 k examples/s prose[order=batch_map]\n"
        "[3/4] prose: ValueError: no such file\n"
    )
