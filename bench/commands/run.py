"""This module is the verb `run`: it plans a sweep, measures it, and reports it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from bench import catalog, shell, store
from bench.commands import jobs, report, values
from bench.errors import EXITS, Exit, UsageError
from bench.plan import plan, screening
from bench.plan.plan import Plan
from bench.race import sweep_runs
from bench.run import executors, submission
from bench.run.prepare import prepare_inputs
from bench.run.progress import run_count
from bench.text import duration_text, plural
from bench.trial import CONSUMERS, UNITS, Effort, Run

# Options that a stored plan fixes.
PLANNED = ("workload", "strategy", "axis", "consumer", "unit", "rounds", "seed", "out")
PLANNED += ("data", "skip_damaged", "shard")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command `run` to its parser."""
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
        help="runs of each trial; default: as in the sweep, else "
        f"{Effort.rounds}, fewer if --budget is short; with --precision, the least "
        "number if no more than 32 trials are compared",
    )
    add(
        "--budget",
        type=values.duration,
        default=0.0,
        help="stop after this time, such as 10m; default: as in the sweep, else no "
        "limit",
    )
    add("--limit", type=values.duration, default=0.0, help=values.LIMIT)
    add(
        "--precision",
        type=values.precision,
        default=0.0,
        help="add rounds until the best candidates are known to this, such as 2%%",
    )
    add(
        "--shard",
        type=values.shard,
        metavar="i/n",
        help="run the i-th of n parts of the sweep, each on its own machine; report "
        "A B C puts the parts together; --budget holds for each part",
    )
    add(
        "--write-job",
        choices=jobs.TEMPLATES,
        help="print the file of a job that runs each of --shards parts on its own "
        "machine, and run nothing",
    )
    add(
        "--on",
        choices=submission.CLUSTERS,
        help="submit --shards parts to a cluster, wait for them, and report them",
    )
    add("--shards", type=values.count, help="the number of parts for either")
    add(
        "--sbatch",
        action="append",
        default=[],
        metavar="name=value",
        help="an option of sbatch for --on slurm, such as partition=gpu or gres=gpu:1",
    )
    add("--seed", type=int, default=0, help="seed of the random order")
    add("--out", type=Path, help="result folder")
    add("--resume", type=Path, help="result folder of a sweep to continue")
    add("--data", default="", help=values.DATA)
    add("--skip-damaged", action="store_true", help=values.SKIP_DAMAGED)


def main(options: argparse.Namespace) -> int:
    """Measure a sweep, then write its report; return the exit code.

    With `--write-job` the command prints the file of a job, and with `--on` it lets a
    cluster measure the shards of the sweep.

    Raises:
        UsageError: Bad input, or a folder that cannot be written.
    """
    if options.write_job or options.on or options.shards or options.sbatch:
        return jobs.main(options)
    folder = make_runs(options)
    if folder is None:
        return Exit.INTERRUPTED
    formats = ("html", "md", "csv", "png")
    some_succeeded = report.show([folder], folder, formats, as_json=options.json)
    return Exit.OK if some_succeeded else Exit.NO


def make_runs(options: argparse.Namespace) -> Path | None:
    """Measure a sweep; return its result folder, or None after Ctrl-C.

    Raises:
        UsageError: Bad input, or a folder that cannot be written.
    """
    folder, planned = make_plan(options)
    saved = False
    with store.locked(folder):
        earlier, notes = store.load(folder)
        if earlier and not options.resume:
            raise UsageError(
                f"'{folder}' holds {run_count(earlier)} already. Continue with "
                f"--resume {folder}, or name another folder with --out."
            )
        for note in notes:
            print(note, file=sys.stderr)
        check_unchanged(earlier)
        executor = executors.executor()
        try:
            print("Making inputs and checking layers ...", file=sys.stderr)
            planned = prepare_inputs(planned, executor)
            plan.save(planned, folder)
            saved = True
            sweep_runs.announce(planned, folder, earlier)
            sweep_runs.make(planned, folder, executor, earlier)
        except KeyboardInterrupt:
            _report_interrupt(folder, saved or bool(earlier))
            return None
        except OSError as error:
            raise UsageError(
                f"Cannot write to '{folder}': {error.strerror}. Finished runs are "
                f"stored; correct this, then continue with --resume {folder}."
            ) from error
        finally:
            executor.stop()
    return folder


def check_unchanged(earlier: Sequence[Run]) -> None:
    """Refuse to resume a sweep if a user's workload file changed since its last run.

    Raises:
        UsageError: The file of a workload was changed after its last run.
    """
    last = {run.trial.workload: run.started for run in earlier}
    for name, started in last.items():
        entry = catalog.find(name)
        if entry.shelf != "user":
            continue
        changed = datetime.fromtimestamp(entry.path.stat().st_mtime, UTC)
        if changed > datetime.fromisoformat(started):
            raise UsageError(
                f"'{entry.path}' was changed at {changed:%Y-%m-%d %H:%M:%S} UTC, after "
                "the stored runs were made: new runs would measure other code. Start a "
                "new sweep without --resume, or restore the file with its time."
            )


def _report_interrupt(folder: Path, planned: bool) -> None:
    if not planned:
        print("\nInterrupted before anything was measured.", file=sys.stderr)
        return
    runs = run_count(store.load(folder)[0])
    print(f"\nInterrupted. {runs} stored in {folder}; continue with", file=sys.stderr)
    print(f"  {shell.command('run', '--resume', folder)}", file=sys.stderr)


def make_plan(options: argparse.Namespace) -> tuple[Path, Plan]:
    """Return the result folder and the plan, which is new or read to be resumed.

    Raises:
        UsageError: A name is unknown, or there is no sweep to run or to resume.
    """
    if options.resume:
        _refuse_planned_options(options)
        planned = plan.load(options.resume)
        return options.resume, replace(
            planned,
            effort=_limited(planned.effort, options),
            precision=options.precision or planned.precision,
            budget_seconds=options.budget or planned.budget_seconds,
            notes=plan.data_notes(planned.trials),
        )
    sweep = values.sweep(options)
    effort = _limited(sweep.effort, options)
    if options.rounds:
        effort = replace(effort, rounds=options.rounds)
    data = values.data(options)
    budget = options.budget or sweep.budget_seconds
    planned = plan.plan_sweep(
        sweep,
        effort,
        options.seed,
        budget,
        data,
        precision=options.precision,
        part=options.shard,
        command=jobs.sweep_words(options),
    )
    if options.budget:  # the author of a sweep fits its effort to its own budget
        planned = replace(planned, effort=_fitted(planned))
        _report_cut(effort, planned)
    part = planned.shard and f"-{planned.shard.number}-of-{planned.shard.count}"
    return options.out or store.new_folder(f"{sweep.name}{part or ''}"), planned


def _limited(effort: Effort, options: argparse.Namespace) -> Effort:
    """Return an effort with the time limit of `--limit`, if that option is set."""
    return replace(effort, limit_seconds=options.limit or effort.limit_seconds)


def _refuse_planned_options(options: argparse.Namespace) -> None:
    refused = ["a sweep"] if options.sweep else []
    refused += [
        f"--{name.replace('_', '-')}" for name in PLANNED if getattr(options, name)
    ]
    if refused:
        raise UsageError(
            "--resume DIR continues a stored plan and takes only --precision, "
            f"--budget, --limit and --json besides; got {' and '.join(refused)}."
        )


def _fitted(planned: Plan) -> Effort:
    """Return the plan's effort, reduced to the budget.

    A race with a large scene (set of comparable trials) keeps its effort. All shards of
    a sweep get the same effort: the largest fits, and every shard of a race keeps its
    effort, since another shard may have a large scene.
    """
    if planned.shard:
        if planned.precision:
            return planned.effort
        return plan.fit_to_budget(
            planned.effort, planned.shard.most_trials, planned.budget_seconds
        )
    groups = screening.scenes(planned.trials) if planned.precision else [planned.trials]
    if planned.precision and max(map(len, groups)) > screening.LARGE:
        return planned.effort
    return plan.fit_to_budget(
        planned.effort, len(planned.trials), planned.budget_seconds
    )


def _report_cut(full: Effort, planned: Plan) -> None:
    cut = planned.effort
    parts = []
    if cut.rounds < full.rounds:
        parts.append(f"{cut.rounds} of {plural(full.rounds, 'round')}")
    if cut.steady_seconds < full.steady_seconds:
        parts.append(
            f"{cut.steady_seconds:.2g} of {full.steady_seconds:.2g} s steady a run"
        )
    if parts:
        print(
            f"A budget of {duration_text(planned.budget_seconds)} leaves "
            f"{', '.join(parts)}.",
            file=sys.stderr,
        )
