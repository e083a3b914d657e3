"""The verb `run`: plan a sweep, say what it does, make its runs, say how it ended."""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench import shell, store
from bench.commands import report, values
from bench.errors import EXITS, Exit, UsageError, unknown
from bench.plan import plan, screening, sweeps
from bench.plan.plan import Plan
from bench.run import executors, rounds
from bench.run.prepare import prepare_inputs
from bench.run.progress import Progress, counted, plural, spoken
from bench.trial import CONSUMERS, UNITS, Effort, Run

# What `run` takes and a plan holds, besides the sweep.
PLANNED = ("workload", "strategy", "axis", "consumer", "unit", "rounds", "seed", "out")
PLANNED += ("data",)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `run`."""
    parser.epilog = "exit codes: " + "; ".join(
        f"{code} {meaning.run}" for code, meaning in EXITS.items() if meaning.run
    )
    add = parser.add_argument
    add(
        "sweep",
        nargs="?",
        help="a named sweep, see list, or a FILE.toml; left out only with --resume "
        "(run_bench.py alone means run quick --budget 160s)",
    )
    for name, text in (
        ("workload", "a workload or layer, name:variant, or your own file's path"),
        ("strategy", "a named strategy"),
        ("axis", "name=value,value: an axis of the pipeline; see list"),
    ):
        add(f"--{name}", action="append", default=[], help=text)
    add("--consumer", choices=CONSUMERS, help="what pulls the batches")
    add("--unit", choices=UNITS, help="what a sample covers")
    add(
        "--rounds",
        type=values.count,
        help="how often each trial is run; default: as the sweep says, else "
        f"{Effort.rounds}, and fewer where --budget is short; with --precision it is "
        "the least for each, where no more than 32 are compared",
    )
    add(
        "--budget",
        type=values.duration,
        default=0.0,
        help="stop after this time, as 10m; default: none, all runs are made",
    )
    add("--limit", type=values.duration, default=0.0, help=values.LIMIT)
    add(
        "--precision",
        type=values.precision,
        default=0.0,
        help="more rounds until what could be the best is known to this, as 2%%",
    )
    add("--seed", type=int, default=0, help="of the random order")
    add("--out", type=Path, help="result folder")
    add("--resume", type=Path, help="go on with this result folder")
    add("--data", default="", help="your own data: a name or a path")


def main(options: argparse.Namespace) -> int:
    """Make a sweep's runs, then its report; returns the exit code.

    Raises:
        UsageError: Bad input, or a folder that cannot be written.
    """
    folder = make_runs(options)
    if folder is None:
        return Exit.INTERRUPTED
    usual = ("html", "md", "csv", "png")
    went_well = report.show([folder], folder, usual, as_json=options.json)
    return Exit.OK if went_well else Exit.NO


def make_runs(options: argparse.Namespace) -> Path | None:
    """Make a sweep's runs; the result folder, or None after Ctrl-C.

    Raises:
        UsageError: Bad input, or a folder that cannot be written.
    """
    folder, made = planned(options)
    begun = False
    with store.locked(folder):
        kept, notes = store.load(folder)
        if kept and not options.resume:
            raise UsageError(
                f"'{folder}' holds {counted(kept)} already. Go on with them by "
                f"--resume {folder}, or name another folder with --out."
            )
        for note in notes:
            print(note, file=sys.stderr)
        executor = executors.executor()
        try:
            print("Making inputs and checking layers ...", file=sys.stderr)
            made = replace(prepare_inputs(made, executor), notes=[])
            plan.save(made, folder)
            begun = True
            announce(made, folder, kept)
            sweep(made, folder, executor, kept)
        except KeyboardInterrupt:
            _say_interrupted(folder, begun or bool(kept))
            return None
        except OSError as error:
            raise UsageError(
                f"Cannot go on in '{folder}': {error.strerror}. What was measured is "
                f"kept; when that is mended, go on with --resume {folder}."
            ) from error
        finally:
            executor.stop()
    return folder


def _stopped(time_is_up: bool) -> str:
    """By what a sweep ended that did not end by itself; asked while it does."""
    if isinstance(sys.exception(), KeyboardInterrupt):
        return "an interrupt"
    return "the budget" if time_is_up else "an error"


def _say_interrupted(folder: Path, planned: bool) -> None:
    if not planned:
        print("\nInterrupted before anything was measured.", file=sys.stderr)
        return
    told = counted(store.load(folder)[0])
    print(f"\nInterrupted. {told} kept in {folder}; go on with", file=sys.stderr)
    print(f"  {shell.command('run', '--resume', folder)}", file=sys.stderr)


def planned(options: argparse.Namespace) -> tuple[Path, Plan]:
    """The result folder and the plan, from the command line or from what is resumed.

    Raises:
        UsageError: Something unknown, or nothing to resume or to run.
    """
    if options.resume:
        _demand_no_more(options)
        made = plan.load(options.resume)
        return options.resume, replace(
            made,
            effort=_limited(made.effort, options),
            precision=options.precision or made.precision,
            budget_seconds=options.budget or made.budget_seconds,
        )
    if not options.sweep:
        raise UsageError("run needs a SWEEP, a FILE.toml, or --resume DIR; see list.")
    workloads, sweep_name = list(options.workload), options.sweep
    if sweep_name not in sweeps.names() and not sweep_name.endswith(".toml"):
        raise unknown("sweep", sweep_name, sweeps.names())
    axes = dict(sweeps.parse_axis(text) for text in options.axis)
    found = sweeps.narrow(
        sweeps.find(sweep_name),
        workloads=workloads,
        strategies=options.strategy,
        axes=axes,
        consumer=options.consumer or "",
        unit=options.unit or "",
    )
    effort = _limited(found.effort, options)
    if options.rounds:
        effort = replace(effort, rounds=options.rounds)
    made = plan.plan_sweep(found, effort, options.seed, options.budget, options.data)
    made = replace(made, precision=options.precision)
    if options.budget:
        made = replace(made, effort=_fitted(made))
        _say_cut(effort, made)
    return options.out or store.new_folder(found.name), made


def _limited(effort: Effort, options: argparse.Namespace) -> Effort:
    """The effort with the limit of a run that the command line sets."""
    return replace(effort, limit_seconds=options.limit or effort.limit_seconds)


def _demand_no_more(options: argparse.Namespace) -> None:
    given = ["a sweep"] if options.sweep else []
    given += [f"--{name}" for name in PLANNED if getattr(options, name)]
    if given:
        raise UsageError(
            "--resume DIR goes on with what was planned, and takes --precision, "
            f"--budget, --limit and --json besides; got {' and '.join(given)}."
        )


def _fitted(made: Plan) -> Effort:
    """The effort cut down to the budget; what a race of large scenes leaves alone."""
    groups = screening.scenes(made.trials) if made.precision else [made.trials]
    if made.precision and max(map(len, groups)) > screening.LARGE:
        return made.effort
    return plan.fit_to_budget(made.effort, len(made.trials), made.budget_seconds)


def _say_cut(asked: Effort, made: Plan) -> None:
    left = made.effort
    parts = []
    if left.rounds < asked.rounds:
        parts.append(f"{left.rounds} of {plural(asked.rounds, 'round')}")
    if left.steady_seconds < asked.steady_seconds:
        parts.append(
            f"{left.steady_seconds:.2g} of {asked.steady_seconds:.2g} s steady a run"
        )
    if parts:
        print(
            f"A budget of {spoken(made.budget_seconds)} leaves {', '.join(parts)}.",
            file=sys.stderr,
        )


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


def sweep(
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
