"""How far a sweep is: trials done, time left, the last result."""

import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bench import failures, shell
from bench.trial import Run

LEAST_MADE = 3  # runs, before the time left is told by them
REPEATED = "repeated, the machine was busy: "


class Progress:
    """A bar on a terminal; elsewhere a line for each run."""

    def __init__(
        self, total: int, seconds: float, done: int = 0, budget_seconds: float = 0.0
    ) -> None:
        """Nothing is shown yet.

        Args:
            total: Runs of the whole sweep.
            seconds: How long they should take.
            done: Runs that are there already.
            budget_seconds: When they are stopped, from now; 0 for never.
        """
        self._budget_seconds = budget_seconds
        self._total, self._done, self._first = total, done, done
        self._expected = seconds
        self._start = time.monotonic()
        self._bar = None

    @contextmanager
    def shown(self) -> Iterator["Progress"]:
        """Show it for the block."""
        if not sys.stderr.isatty():
            yield self
            return
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as Bar

        columns = (
            BarColumn(bar_width=16),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
            TextColumn("{task.fields[last]}"),
        )
        console = shell.console(stderr=True)
        with Bar(*columns, console=console) as self._bar:
            self._task = self._bar.add_task(
                "", total=self._total, completed=self._done, left=self._left(), last=""
            )
            yield self

    def begin_round(self, runs: int, settling: Sequence[str]) -> None:
        """A round of a race, with what it is to settle, a line a scene."""
        self._total = max(self._total, self._done + runs)
        if self._bar is None:
            print(*settling, sep="\n", file=sys.stderr, flush=True)
        else:
            for line in settling:  # above the bar, whole
                self._bar.console.print(line, markup=False, soft_wrap=True)

    def advance(self, run: Run) -> None:
        """One more run is done; one that was made before is shown, not counted."""
        self._done += not run.repeat
        last = run_line(run)
        if self._bar is None:
            more = self._known() and self._done < self._total
            left = f" ({self._left()})" if more else ""
            counted_so_far = f"[{self._done}/{self._total}]"
            print(f"{counted_so_far} {last}{left}", file=sys.stderr, flush=True)
        else:
            self._show(last)

    def _show(self, last: str) -> None:
        room = max(20, self._bar.console.width - 50)
        if len(last) > room:
            last = last[: room - 1] + "…"
        self._bar.update(
            self._task,
            total=self._total,
            completed=self._done,
            left=self._left(),
            last=last,
        )

    def _known(self) -> bool:
        """Whether enough runs were made to tell how long one takes here."""
        return self._done - self._first >= LEAST_MADE

    def _left(self) -> str:
        """The time left, by what runs have taken; no more than the budget has left."""
        passed, made = time.monotonic() - self._start, self._done - self._first
        each = passed / made if self._known() else self._expected / max(1, self._total)
        seconds = each * (self._total - self._done)
        if self._budget_seconds and seconds > self._budget_seconds - passed:
            return spoken(self._budget_seconds - passed) + " left of --budget"
        return spoken(seconds) + " left"


def run_line(run: Run) -> str:
    """A run's summary, and whether it is one that was made again."""
    return (REPEATED if run.repeat else "") + summary(run)


def summary(run: Run) -> str:
    """A run in one short line."""
    error = run.measured.error
    if error:
        return f"{run.key}: {failures.sentence(error)}"  # NumPy's dump is the report's
    seconds = statistics.fmean(run.measured.samples)
    rate = run.trial.pipeline.batch_size / seconds
    return f"{compact(rate)} examples/s {run.key}"


def counted(runs: Sequence[Run]) -> str:
    """`41 runs`, or `41 runs and 3 repeats`."""
    repeats = sum(run.repeat > 0 for run in runs)
    told = plural(len(runs) - repeats, "run")
    return f"{told} and {plural(repeats, 'repeat')}" if repeats else told


def plural(count: int, noun: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def compact(number: float) -> str:
    """Two digits, or three where they are whole, with k or M."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g} {letter}"
    return f"{number:.3g}"


def spoken(seconds: float) -> str:
    """A span of time in words: `45 s`, `2 min 50 s`, `1 h 5 min`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"
