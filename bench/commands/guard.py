"""The verb `guard`: what is compared with what, and in which forms it is told."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bench import catalog, shell
from bench.commands import values
from bench.errors import Exit, UsageError, check_writable
from bench.plan import sweeps
from bench.run.progress import plural
from bench.trial import CONSUMERS

LIVE = ("against_ref", "against_python")
MODES = (*LIVE, "baseline", "save_baseline")
BUDGET = "5m"
# By mode, the options that would change nothing, and why.
REFUSED = {
    "baseline": (
        ("strategy", "axis", "consumer", "data", "history"),
        "--baseline FILE, whose trials are those that were saved, and which has no "
        "figures for a history",
    ),
    "folders": (
        ("workload", "strategy", "axis", "consumer", "data", "history", "limit"),
        "two result folders A B, where all was measured before",
    ),
    "save_baseline": (
        (
            *("json", "out", "junit", "history"),
            *("threshold", "metric", "config", "unknown_passes"),
        ),
        "--save-baseline FILE, which gives no verdicts",
    ),
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `guard`."""
    add = parser.add_argument
    add("folders", nargs="*", type=Path, help="two result folders: is B slower than A?")
    add("--against-ref", metavar="REF", help="a revision, live, taking turns")
    add("--repo", type=Path, default=Path(), help="the repository; default here")
    add("--against-python", metavar="PATH", help="another interpreter, live")
    add("--baseline", type=Path, metavar="FILE", help="a stored baseline")
    add("--save-baseline", type=Path, metavar="FILE", help="measure and store one")
    for name, text in (
        ("workload", "a workload or layer, name:variant, or your own file's path"),
        ("strategy", "a named strategy"),
        ("axis", "name=value,value: an axis of the pipeline; see list"),
        ("metric", "seconds_per_example, cpu_seconds_per_example, phases, ..."),
    ):
        add(f"--{name}", action="append", default=[], help=text)
    add("--consumer", choices=CONSUMERS, help="what pulls the batches")
    add("--data", default="", help="your own data: a name or a path")
    add("--threshold", help="what counts: 3%%, the default; not of phases")
    add("--config", type=Path, help="TOML with thresholds; default pyproject.toml")
    add(
        "--budget",
        type=values.duration,
        default=values.duration(BUDGET),
        help="default 5m",
    )
    add("--limit", type=values.duration, default=0.0, help=values.LIMIT)
    add("--seed", type=int, default=0, help="of the processes")
    add("--unknown-passes", action="store_true", help="exit 0 where it cannot tell")
    add("--junit", type=Path, metavar="FILE", help="write JUnit XML")
    add("--history", type=Path, metavar="FILE", help="append to this history")
    add("--out", type=Path, metavar="FILE", help="write the whole record as JSON")


def main(options: argparse.Namespace) -> int:
    """Compare, tell, and return the exit code.

    Raises:
        UsageError: Not one thing to compare with, or bad input.
    """
    mode = _mode(options)
    for path in (options.junit, options.history, options.out):
        check_writable(path)
    from bench import store
    from bench.guard import live, record, scope
    from bench.guard import settings as guard_settings

    if mode not in LIVE:
        from bench.guard import stored  # SciPy, which a live guard imports later

    settings = guard_settings.load(
        _config(options),
        threshold=None
        if options.threshold is None
        else guard_settings.parse_share(options.threshold),
        metrics=options.metric,
        live=mode in LIVE,
    )
    if mode == "folders":
        found = stored.folders(*options.folders, settings.thresholds)
        return _told(settings.noted(found), options)
    wanted = live.Wanted(
        sweep=_sweep(options),
        named=bool(options.workload),
        thresholds=settings.thresholds,
        budget_seconds=options.budget,
        seed=options.seed,
        data=options.data,
        reference=options.history is not None,
        said=_say,
    )
    folder = store.new_folder(scope.GUARD)  # of what is measured without taking turns
    if mode == "save_baseline":
        return _saved(*stored.save(options.save_baseline, wanted, folder), options)
    try:
        if mode == "against_ref":
            found = live.against_ref(options.repo, options.against_ref, wanted)
        elif mode == "against_python":
            found = live.against_python(options.against_python, wanted)
        else:
            found = stored.against_baseline(options.baseline, wanted, folder)
    except record.Interrupted as stopped:
        _say("Interrupted: what was not settled is unknown, and no history is written.")
        return _told(settings.noted(stopped.found), options, interrupted=True)
    return _told(settings.noted(found), options)


def _mode(options: argparse.Namespace) -> str:
    given = [mode for mode in MODES if getattr(options, mode)]
    given += ["folders"] if options.folders else []
    if len(given) != 1:
        raise UsageError(
            "guard takes one of --against-ref REF, --against-python PATH, --baseline "
            "FILE, --save-baseline FILE, or two result folders A B; got "
            f"{' and '.join(mode.replace('_', '-') for mode in given) or 'none'}."
        )
    if options.folders and len(options.folders) != 2:
        raise UsageError(
            f"guard compares two result folders, A and B; got {len(options.folders)}."
        )
    names, why = REFUSED.get(given[0], ((), ""))
    refused = [
        f"--{name.replace('_', '-')}" for name in names if getattr(options, name)
    ]
    if refused:
        raise UsageError(f"Leave out {' and '.join(refused)} with {why}.")
    return given[0]


def _sweep(options: argparse.Namespace) -> sweeps.Sweep:
    axes = dict(sweeps.parse_axis(text) for text in options.axis)
    sweep = sweeps.narrow(
        sweeps.find("guard"),
        workloads=options.workload,
        strategies=options.strategy,
        axes=axes,
        consumer=options.consumer or "",
    )
    limit = options.limit or sweep.effort.limit_seconds
    return replace(sweep, effort=replace(sweep.effort, limit_seconds=limit))


def _config(options: argparse.Namespace) -> Path | None:
    if options.config:
        return options.config
    for folder in (options.repo, catalog.ROOT):
        path = folder / "pyproject.toml"
        if path.is_file():
            return path
    return None


def _saved(kept, failed: Mapping[str, str], options: argparse.Namespace) -> int:

    if failed:
        key, why = next(iter(failed.items()))
        _complain(f"'{key}' failed, so no baseline is saved: {why}")
        return Exit.MISSING
    print(f"Baseline of {plural(len(kept.trials), 'trial')}: {options.save_baseline}")
    return Exit.OK


def _told(found, options: argparse.Namespace, *, interrupted: bool = False) -> int:
    """Write and print the record; returns the exit code, that of the verdicts.

    What cannot be written is said after them, and makes bad use only of what held.
    """
    from bench.guard import output, record

    passes = options.unknown_passes and not interrupted
    code = record.exit_code(found, unknown_passes=passes)
    code = Exit.INTERRUPTED if interrupted else code
    faults = _written(found, code, options, passes)
    try:
        if options.json:
            print(output.as_json(found, code), flush=True)
        else:
            output.terminal(found, code)
    except OSError as error:  # the verdict stays, and so does what is written below
        shell.reader_left(sys.stdout)
        if not isinstance(error, BrokenPipeError):
            faults.append(f"Cannot write to standard output: {error.strerror}.")
    output.github(found, code, os.environ)
    if options.history and not interrupted:  # too short to be a level of its own
        from bench.guard import history

        try:
            history.append(options.history, found)
        except UsageError as error:
            faults.append(str(error))
    for fault in faults:
        _complain(fault)
    return Exit.BAD_USE if faults and code == Exit.OK else code


def _written(found, code: int, options: argparse.Namespace, passes: bool) -> list[str]:
    """Write the record's files; returns what was wrong, a line a file."""
    from bench.guard import output

    contents: list[tuple[Path, bytes]] = []
    if options.out:
        contents.append((options.out, output.as_json(found, code).encode()))
    if options.junit:
        junit = output.junit(found, unknown_passes=passes)
        contents.append((options.junit, junit))
    faults = []
    for path, content in contents:
        try:
            path.write_bytes(content)
        except OSError as error:
            faults.append(f"Cannot write '{path}': {error.strerror}.")
    return faults


def _complain(text: str) -> None:
    from bench.guard import output

    _say(f"error: {text}")
    output.annotate("error", "Feedrate", text, os.environ)


def _say(line: str) -> None:
    from bench.guard.sentences import one_line  # a CI runner reads standard error too

    print(one_line(line), file=sys.stderr, flush=True)
