"""This module makes the runs of a planned sweep, which may be a race.

Every run is stored as it ends, and a stopped sweep continues with the stored runs.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench import shell, store
from bench.plan import plan
from bench.plan.plan import Plan
from bench.run import executors, rounds
from bench.run.progress import Progress, run_count
from bench.text import duration_text, plural
from bench.trial import Run

MOST_NAMED = 3  # trials without a run that a note names


def announce(planned: Plan, folder: Path, earlier: Sequence[Run] = ()) -> None:
    """Print the plan of a sweep: its runs, its time, and the refused trials.

    Args:
        planned: The plan.
        folder: The result folder.
        earlier: The runs that the folder has already, if the sweep is resumed.
    """
    for line in plan.refusal_lines(planned.refused, f", listed in {folder}/plan.json"):
        print(line, file=sys.stderr)
    for note in planned.notes:
        print(note, file=sys.stderr)
    if planned.precision:
        runs = (
            f"a race of {len(planned.trials)} trials to "
            f"±{100 * planned.precision:.3g} %, {planned.runs} runs at least and "
            f"{planned.most_rounds} rounds at most"
        )
    else:
        trials = plural(len(planned.trials), "trial")
        rounds = plural(planned.effort.rounds, "round")
        runs = f"{trials} x {rounds} = {plural(planned.runs, 'run')}"
    again = sum(store.must_repeat(run, planned.effort.limit_seconds) for run in earlier)
    if earlier:
        runs += f", {run_count(earlier)} stored"
    if again:
        runs += f", {again} of them stopped early and to be repeated"
    seconds = duration_text(planned.seconds_left(earlier)) + (
        " more" if earlier else ""
    )
    if planned.budget_seconds:
        seconds += f", at most {duration_text(planned.budget_seconds)} (--budget)"
    print(
        f"{planned.title}: {runs}, about {seconds}; results in {folder}",
        file=sys.stderr,
    )


def make(
    planned: Plan, folder: Path, executor: executors.Executor, earlier: list[Run]
) -> None:
    """Make the runs that are not stored yet, and store each run as it ends.

    Args:
        planned: The plan of the sweep. If it has a precision, the sweep is a race.
        folder: The result folder.
        executor: The executor of the runs.
        earlier: The runs that the folder has already.
    """
    keys = {trial.key for trial in planned.trials}
    limit = planned.effort.limit_seconds
    finished = [
        run for run in earlier if run.key in keys and not store.must_repeat(run, limit)
    ]
    done = frozenset((run.key, run.round) for run in finished)
    progress = Progress(
        planned.runs, planned.seconds, len(done), planned.budget_seconds
    )
    race = None
    if planned.precision:
        from bench.race.race import Race  # late: it needs pandas

        race = Race(planned, finished, progress)
    reserved = race.last_seconds if race else 0.0
    deadline = time.monotonic() + planned.budget_seconds - reserved

    def seconds_left() -> float:
        return deadline - time.monotonic() if planned.budget_seconds else math.inf

    def time_is_up() -> bool:
        return seconds_left() < 0

    runs = rounds.rounds(
        planned.trials,
        executor,
        planned.effort,
        sweep=planned.sweep,
        seed=planned.seed,
        done=done,
        earlier=tuple(finished),
        time_is_up=time_is_up,
        seconds_left=seconds_left,
        wanted=race.wanted if race else None,
    )
    count = len(done)
    with progress.shown():
        try:
            for run in runs:
                store.append(folder, run)
                finished.append(run)
                if race:
                    race.outdate(folder)
                count += not run.repeat
                progress.advance(run)
        finally:
            runs.close()  # ends the server and its processes
            if race:
                notes = [*planned.notes, *race.notes(_stopped(time_is_up()))]
                plan.save(replace(planned, notes=notes), folder)
    if race:
        server = executor if count > len(done) else None
        notes += race.last_round(folder, server)
        plan.save(replace(planned, notes=notes), folder)
    if finished and all(run.measured.error for run in finished):
        errors = {run.measured.error.phase for run in finished}
        print(
            f"All {len(finished)} runs failed in {' and '.join(sorted(errors))}, so no "
            "further round was run. Correct the cause, then start again.",
            file=sys.stderr,
        )
    elif not (race.ended if race else count == planned.runs):
        of = "" if race else f" of {planned.runs} planned"
        if not race:
            notes = [*planned.notes, *_unmeasured(planned, finished)]
            plan.save(replace(planned, notes=notes), folder)
        print(
            f"The budget ended with {run_count(finished)}{of}; continue with\n"
            f"  {shell.command('run', '--resume', folder)}",
            file=sys.stderr,
        )


def _unmeasured(planned: Plan, finished: Sequence[Run]) -> list[str]:
    """Return a sentence on the trials that a budget left without any run, if any."""
    measured = {run.key for run in finished}
    left = [trial.key for trial in planned.trials if trial.key not in measured]
    if not left:
        return []
    more = f" and {len(left) - MOST_NAMED} more" if left[MOST_NAMED:] else ""
    return [
        f"The budget ended before {len(left)} of {len(planned.trials)} trials had a "
        f"run: {', '.join(left[:MOST_NAMED])}{more}."
    ]


def _stopped(time_is_up: bool) -> str:
    """Return what ended a sweep early: an interrupt, the budget or an error.

    Call this while the exception is handled.
    """
    if isinstance(sys.exception(), KeyboardInterrupt):
        return "an interrupt"
    return "the budget" if time_is_up else "an error"
