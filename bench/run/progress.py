"""This module shows the progress of a sweep: runs done, time left, the last result."""

import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bench import failures, shell
from bench.text import compact, duration_text, plural
from bench.trial import Run

LEAST_RUNS = 3  # before their times determine the time left
REPEATED = "repeated, the machine was busy: "


class Progress:
    """Progress is a bar on a terminal, and elsewhere a line for each run."""

    def __init__(
        self, total: int, seconds: float, done: int = 0, budget_seconds: float = 0.0
    ) -> None:
        """Store the totals; `shown` starts the display.

        Args:
            total: The number of runs in the whole sweep.
            seconds: The expected length of the whole sweep.
            done: The number of runs that exist already.
            budget_seconds: The time after which the sweep stops; 0 for no limit.
        """
        self._budget_seconds = budget_seconds
        self._total, self._done, self._first = total, done, done
        self._expected = seconds
        self._start = time.monotonic()
        self._bar = None

    @contextmanager
    def shown(self) -> Iterator["Progress"]:
        """Show the progress while the block runs."""
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
        """Add the runs of a race's round to the total, and show which scenes are open.

        `settling` has a line for each scene that is not settled.
        """
        self._total = max(self._total, self._done + runs)
        if self._bar is None:
            print(*settling, sep="\n", file=sys.stderr, flush=True)
        else:
            for line in settling:  # above the bar, whole
                self._bar.console.print(line, markup=False, soft_wrap=True)

    def advance(self, run: Run) -> None:
        """Show a finished run; a repeat of a run does not count as progress."""
        self._done += not run.repeat
        last = run_line(run)
        if self._bar is None:
            more = self._known() and self._done < self._total
            left = f" ({self._left()})" if more else ""
            count = f"[{self._done}/{self._total}]"
            print(f"{count} {last}{left}", file=sys.stderr, flush=True)
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
        """Return whether enough runs are done to estimate how long each takes here."""
        return self._done - self._first >= LEAST_RUNS

    def _left(self) -> str:
        """Return the estimated time left as text, at most the rest of the budget."""
        passed, runs = time.monotonic() - self._start, self._done - self._first
        each = passed / runs if self._known() else self._expected / max(1, self._total)
        seconds = each * (self._total - self._done)
        if self._budget_seconds and seconds > self._budget_seconds - passed:
            return duration_text(self._budget_seconds - passed) + " left of --budget"
        return duration_text(seconds) + " left"


def run_line(run: Run) -> str:
    """Return a run in one short line, which states whether the run is a repeat."""
    return (REPEATED if run.repeat else "") + summary(run)


def summary(run: Run) -> str:
    """Return a run in one short line: its rate and its key, or its error."""
    error = run.measured.error
    if error:
        return (
            f"{run.key}: {failures.sentence(error)}"  # NumPy's dump is for the report
        )
    seconds = statistics.fmean(run.measured.samples)
    rate = run.trial.pipeline.batch_size / seconds
    return f"{compact(rate)} examples/s {run.key}"


def run_count(runs: Sequence[Run]) -> str:
    """Return the number of runs: `41 runs`, or `41 runs and 3 repeats`."""
    repeats = sum(run.repeat > 0 for run in runs)
    text = plural(len(runs) - repeats, "run")
    return f"{text} and {plural(repeats, 'repeat')}" if repeats else text
