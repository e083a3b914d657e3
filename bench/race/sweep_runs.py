"""This module makes the runs of a planned sweep, as a race where the plan asks for it.

Every run is stored as it ends, and a sweep that was stopped goes on with what is there.
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
from bench.run.progress import Progress, counted, plural, spoken
from bench.trial import Run


def announce(made: Plan, folder: Path, kept: Sequence[Run] = ()) -> None:
    """Say what will be run, how long it should take, and what was left out.

    Args:
        made: What will be run.
        folder: Where it is stored.
        kept: What is there already, when resuming.
    """
    for line in plan.left_out(made.refused, f", listed in {folder}/plan.json"):
        print(line, file=sys.stderr)
    if made.precision:
        what = (
            f"a race of {len(made.trials)} trials to ±{100 * made.precision:.3g} %, "
            f"{made.runs} runs at least and {made.most_rounds} rounds at most"
        )
    else:
        trials = plural(len(made.trials), "trial")
        rounds = plural(made.effort.rounds, "round")
        what = f"{trials} x {rounds} = {plural(made.runs, 'run')}"
    again = sum(store.to_make_again(run, made.effort.limit_seconds) for run in kept)
    if kept:
        what += f", {counted(kept)} there"
    if again:
        ends = "its end" if again == 1 else "their end"
        what += f", {again} of them stopped before {ends}, to be made again"
    limit = f", at most {spoken(made.budget_seconds)} (--budget)"
    print(
        f"{made.sweep}: {what}, about {spoken(made.seconds_left(kept))}"
        f"{' more' if kept else ''}{limit if made.budget_seconds else ''}; results in "
        f"{folder}",
        file=sys.stderr,
    )


def make(
    made: Plan, folder: Path, executor: executors.Executor, kept: list[Run]
) -> None:
    """Make the runs that are not there yet, each stored as it ends.

    Args:
        made: What to run.
        folder: Where to store it.
        executor: Where to run it.
        kept: What is there already.
    """
    keys = {trial.key for trial in made.trials}
    limit = made.effort.limit_seconds
    there = [
        run for run in kept if run.key in keys and not store.to_make_again(run, limit)
    ]
    done = frozenset((run.key, run.round) for run in there)
    progress = Progress(made.runs, made.seconds, len(done), made.budget_seconds)
    race = None
    if made.precision:
        from bench.race.race import Race  # late: it needs pandas

        race = Race(made, there, progress)
    kept_back = race.last_seconds if race else 0.0
    deadline = time.monotonic() + made.budget_seconds - kept_back

    def seconds_left() -> float:
        return deadline - time.monotonic() if made.budget_seconds else math.inf

    def time_is_up() -> bool:
        return seconds_left() < 0

    runs = rounds.rounds(
        made.trials,
        executor,
        made.effort,
        sweep=made.sweep,
        seed=made.seed,
        done=done,
        earlier=tuple(there),
        time_is_up=time_is_up,
        seconds_left=seconds_left,
        wanted=race.wanted if race else None,
    )
    count = len(done)
    with progress.shown():
        try:
            for one in runs:
                store.append(folder, one)
                there.append(one)
                if race:
                    race.outdate(folder)
                count += not one.repeat
                progress.advance(one)
        finally:
            runs.close()  # ends the server and what still runs in it
            if race:
                notes = race.notes(_stopped(time_is_up()))
                plan.save(replace(made, notes=notes), folder)
    if race:
        server = executor if count > len(done) else None
        notes += race.last_round(folder, server)
        plan.save(replace(made, notes=notes), folder)
    if not (race.ended if race else count == made.runs):
        of = "" if race else f" of {made.runs} planned"
        print(
            f"The budget ended with {counted(there)}{of}; go on with\n"
            f"  {shell.command('run', '--resume', folder)}",
            file=sys.stderr,
        )


def _stopped(time_is_up: bool) -> str:
    """By what a sweep ended that did not end by itself; asked while it does."""
    if isinstance(sys.exception(), KeyboardInterrupt):
        return "an interrupt"
    return "the budget" if time_is_up else "an error"
