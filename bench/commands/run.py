"""The verb `run`: plan a sweep, say what it does, make its runs, say how it ended."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from bench import shell, store
from bench.commands import report, values
from bench.errors import EXITS, Exit, UsageError, unknown
from bench.plan import plan, screening, sweeps
from bench.plan.plan import Plan
from bench.race import sweep_runs
from bench.run import executors
from bench.run.prepare import prepare_inputs
from bench.run.progress import counted, plural, spoken
from bench.trial import CONSUMERS, UNITS, Effort

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
            sweep_runs.announce(made, folder, kept)
            sweep_runs.make(made, folder, executor, kept)
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
