#!/usr/bin/env python3
"""Measure where preprocessing should run and how the input pipeline should be built."""

from __future__ import annotations

import argparse
import datetime
import json
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench import catalog, sweeps
from bench.errors import UsageError, unknown
from bench.pipeline import AXES, STRATEGIES, allowed
from bench.trial import CONSUMERS

# Three minutes with its report, also where the machine is shared: what is cut, says so.
MAIN_JOB = ("run", "quick", "--budget", "145s")
BAD_USE = 2
INTERRUPTED = 130


def main(arguments: Sequence[str]) -> int:
    """Run one verb; the quick sweep if none is given. Returns the exit code."""
    options = _parser().parse_args(arguments or MAIN_JOB)
    try:
        return options.verb(options)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_USE
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return INTERRUPTED


def list_(options: argparse.Namespace) -> int:
    """Print what is there: layers, workloads, strategies, axes, sweeps, plots."""
    found = {
        "workloads": _shelf("workloads"),
        "layers": _shelf("layers"),
        "strategies": {
            name: ", ".join(f"{axis}={value}" for axis, value in settings.items())
            or "the defaults"
            for name, settings in STRATEGIES.items()
        },
        "axes": {name: _axis_line(name) for name in AXES},
        "consumers": CONSUMERS,
        "sweeps": sweeps.names(),
        "plots": _shelf("plots"),
    }
    if options.json:
        print(json.dumps(found, indent=2))
        return 0
    for shelf, entries in found.items():
        print(f"{shelf}:")
        for name, summary in entries.items():
            print(f"  {name:<27} {summary}")
    return 0


def run(options: argparse.Namespace) -> int:
    """Make a sweep's runs, then its report."""
    from bench import plan, processes, store

    folder, made = _plan(options)
    with store.locked(folder):
        kept, notes = store.load(folder)
        if kept and not options.resume:
            raise UsageError(
                f"'{folder}' holds {len(kept)} runs already. Go on with them by "
                f"--resume {folder}, or name another folder with --out."
            )
        for note in notes:
            print(note, file=sys.stderr)
        executor = processes.executor()
        print("Making inputs and checking layers ...", file=sys.stderr)
        try:
            made = plan.prepare(made, executor)
            plan.save(made, folder)
            _announce(made, folder)
            _sweep(made, folder, executor, kept)
        except KeyboardInterrupt:
            count = len(store.load(folder)[0])
            print(
                f"\nInterrupted. {count} runs are kept in {folder}; go on with\n"
                f"  run_bench.py run --resume {folder}",
                file=sys.stderr,
            )
            return INTERRUPTED
        except OSError as error:
            raise UsageError(
                f"Cannot go on in '{folder}': {error.strerror}. What was measured is "
                f"kept; when that is mended, go on with --resume {folder}."
            ) from error
        finally:
            executor.stop()
    return _report([folder], folder, ("html", "md", "csv", "png"), as_json=options.json)


def report(options: argparse.Namespace) -> int:
    """Turn result folders into a terminal table and files."""
    formats = tuple(options.format.split(","))
    out = options.out or options.folders[0]
    return _report(options.folders, out, formats, as_json=options.json)


def compare(options: argparse.Namespace) -> int:
    """Compare two result folders, trial by trial, as ratios with intervals."""
    from bench import compare

    return compare.main(options.a, options.b, out=options.out, as_json=options.json)


def claims(options: argparse.Namespace) -> int:
    """Judge the field's claims by result folders."""
    from bench import claims

    return claims.main(
        options.folders, as_json=options.json, as_markdown=options.markdown
    )


def doctor(options: argparse.Namespace) -> int:
    """Say whether this machine is fit to measure on."""
    from bench import doctor

    return doctor.main(as_json=options.json)


def _report(
    folders: Sequence[Path], out: Path, formats: Sequence[str], *, as_json: bool
) -> int:
    from bench import report, table

    runs, _, notes = table.read(folders)
    if as_json:
        print(report.as_json(runs))
        return 0
    report.terminal(runs, notes)
    for path in report.write(folders, out, formats):
        if path.suffix in (".html", ".md"):
            print(f"Report: {path}")
    return 0


def _plan(options: argparse.Namespace):
    from dataclasses import replace

    from bench import plan

    if options.resume:
        return options.resume, plan.load(options.resume)
    if not options.sweep:
        raise UsageError("run needs a SWEEP, a FILE.toml, or --resume DIR; see list.")
    workloads, sweep_name = list(options.workload), options.sweep
    if sweep_name not in sweeps.names() and not sweep_name.endswith(".toml"):
        raise unknown("sweep", sweep_name, sweeps.names())
    axes = dict(sweeps.parse_axis(text) for text in options.axis)
    sweep = sweeps.narrow(
        sweeps.find(sweep_name),
        workloads=workloads,
        strategies=options.strategy,
        axes=axes,
        consumer=options.consumer or "",
        unit=options.unit or "",
    )
    effort = sweep.effort
    if options.rounds:
        effort = replace(effort, rounds=options.rounds)
    made = plan.make(sweep, effort, options.seed, options.budget, options.data)
    if options.budget:
        fitted = plan.fitted(effort, len(made.trials), options.budget)
        made = replace(made, effort=fitted)
    now = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    folder = options.out or catalog.ROOT / "results" / f"{sweep.name}-{now}"
    return folder, made


def _announce(made, folder: Path) -> None:
    from bench.progress import spoken

    for key, reason in list(made.refused.items())[:5]:
        print(f"left out: {key}: {reason}", file=sys.stderr)
    if len(made.refused) > 5:
        more = len(made.refused) - 5
        print(f"left out: {more} more, listed in {folder}/plan.json", file=sys.stderr)
    print(
        f"{made.sweep}: {len(made.trials)} trials x {made.effort.rounds} rounds = "
        f"{made.runs} runs, about {spoken(made.seconds)}; results in {folder}",
        file=sys.stderr,
    )


def _sweep(made, folder: Path, executor, kept: list) -> None:
    from bench import runner, store
    from bench.progress import Progress

    keys = {trial.key for trial in made.trials}
    done = frozenset((r.key, r.round) for r in kept if r.key in keys)
    deadline = time.monotonic() + made.budget_seconds
    progress = Progress(made.runs, made.seconds, len(done))
    runs = runner.rounds(
        made.trials,
        executor,
        made.effort,
        sweep=made.sweep,
        seed=made.seed,
        done=done,
        time_is_up=lambda: made.budget_seconds > 0 and time.monotonic() > deadline,
    )
    count = len(done)
    with progress.shown():
        try:
            for one in runs:
                store.append(folder, one)
                count += 1
                progress.advance(one)
        finally:
            runs.close()  # ends the server and what still runs in it
    if count < made.runs:
        print(
            f"The budget ended with {count} of {made.runs} runs made; go on with\n"
            f"  run_bench.py run --resume {folder}",
            file=sys.stderr,
        )


def _shelf(shelf: str) -> dict[str, str]:
    lines = {}
    for entry in catalog.entries(shelf).values():
        lines[entry.name] = entry.summary
        for variant in entry.variants:
            arguments = entry.constants["VARIANTS"][variant]
            spelled = ", ".join(f"{name}={value}" for name, value in arguments.items())
            lines[f"{entry.name}:{variant}"] = f"the same with {spelled}"
    return lines


def _axis_line(name: str) -> str:
    words, numbers = allowed(name)
    values = [str(word).lower() for word in words] + (["n"] if numbers else [])
    axis = AXES[name]
    return f"{axis.metadata['doc']} ({'|'.join(values)}; {str(axis.default).lower()})"


def _duration(text: str) -> float:
    matched = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h)?", text)
    if not matched:
        raise argparse.ArgumentTypeError(f"a time such as 90s, 10m or 1h, got '{text}'")
    factor = {"s": 1, "m": 60, "h": 3600, None: 1}[matched[2]]
    return float(matched[1]) * factor


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number from 1, got '{text}'")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="run_bench.py", description=__doc__)
    verbs = parser.add_subparsers(metavar="VERB", required=True)

    def verb(name: str, function) -> argparse.ArgumentParser:
        summary = function.__doc__.partition("\n")[0]
        added = verbs.add_parser(name, help=summary, description=summary)
        added.set_defaults(verb=function)
        added.add_argument("--json", action="store_true", help="print JSON instead")
        return added

    verb("list", list_)
    added = verb("run", run)
    added.add_argument("sweep", nargs="?", help="a named sweep or a FILE.toml")
    for name, text in (
        ("workload", "a workload or layer, name:variant, or your own file's path"),
        ("strategy", "a named strategy"),
        ("axis", "name=value,value: an axis of the pipeline; see list"),
    ):
        added.add_argument(f"--{name}", action="append", default=[], help=text)
    added.add_argument("--consumer", choices=CONSUMERS, help="what pulls the batches")
    added.add_argument("--unit", choices=sweeps.UNITS, help="what a sample covers")
    added.add_argument("--rounds", type=_positive, help="runs of each trial")
    added.add_argument(
        "--budget", type=_duration, default=0.0, help="stop after this time, as 10m"
    )
    added.add_argument("--seed", type=int, default=0, help="of the random order")
    added.add_argument("--out", type=Path, help="result folder")
    added.add_argument("--resume", type=Path, help="go on with this result folder")
    added.add_argument("--data", default="", help="your own data: a name or a path")

    added = verb("report", report)
    added.add_argument("folders", nargs="+", type=Path, help="result folders")
    added.add_argument(
        "--format",
        default="html,md,csv,png",
        help="any of html,md,csv,png,parquet,json,pytest-benchmark",
    )
    added.add_argument("--out", type=Path, help="where to write; default the first")

    added = verb("compare", compare)
    added.add_argument("a", type=Path, help="result folder to compare with")
    added.add_argument("b", type=Path, help="result folder that is judged")
    added.add_argument("--out", type=Path, help="where to write; default B")

    added = verb("claims", claims)
    added.add_argument("--markdown", action="store_true", help="a table for a README")
    added.add_argument("folders", nargs="+", type=Path, help="result folders")

    verb("doctor", doctor)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
