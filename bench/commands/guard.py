"""This module is the verb `guard`: it tests for slow-downs and prints the verdicts."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench import catalog, shell
from bench.commands import values
from bench.errors import Exit, UsageError, check_writable
from bench.plan import sweeps
from bench.text import plural
from bench.trial import CONSUMERS

if TYPE_CHECKING:  # `guard --help` starts without SciPy
    from bench.guard.baseline import Baseline
    from bench.guard.record import GuardResult

LIVE = ("against_ref", "against_python")
MODES = (*LIVE, "baseline", "save_baseline")
BUDGET = "5m"
# By mode: the options that have no effect in it, and the reason.
REFUSED = {
    "baseline": (
        ("strategy", "axis", "consumer", "data", "skip_damaged", "history"),
        "--baseline FILE, which fixes the trials and has no figures for a history",
    ),
    "folders": (
        (
            *("workload", "strategy", "axis", "consumer"),
            *("data", "skip_damaged", "history", "limit"),
        ),
        "two result folders A B, which are measured already",
    ),
    "save_baseline": (
        (
            *("json", "out", "junit", "history"),
            *("threshold", "metric", "config", "unknown_passes"),
        ),
        "--save-baseline FILE, which has no verdicts",
    ),
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command `guard` to its parser."""
    add = parser.add_argument
    add("folders", nargs="*", type=Path, help="two result folders: is B slower than A?")
    add("--against-ref", metavar="REF", help="a git revision")
    add("--repo", type=Path, default=Path(), help="the repository; default here")
    add(
        "--against-python",
        metavar="PATH",
        help="another interpreter",
    )
    add("--baseline", type=Path, metavar="FILE", help="a stored baseline")
    add(
        "--save-baseline",
        type=Path,
        metavar="FILE",
        help="measure and store a baseline",
    )
    for name, text in (
        ("workload", "a workload or layer, name:variant, or your own file's path"),
        ("strategy", "a named strategy"),
        ("axis", "name=value,value: an axis of the pipeline; see list"),
        ("metric", "seconds_per_example, cpu_seconds_per_example, phases, ..."),
    ):
        add(f"--{name}", action="append", default=[], help=text)
    add("--consumer", choices=CONSUMERS, help="what pulls the batches")
    add("--data", default="", help=values.DATA)
    add("--skip-damaged", action="store_true", help=values.SKIP_DAMAGED)
    add(
        "--threshold",
        help="default 3%%; not for phases",
    )
    add("--config", type=Path, help="TOML with thresholds; default pyproject.toml")
    add(
        "--budget",
        type=values.duration,
        default=values.duration(BUDGET),
        help="default 5m",
    )
    add("--limit", type=values.duration, default=0.0, help=values.LIMIT)
    add("--seed", type=int, default=0, help="seed of the order of processes")
    add(
        "--unknown-passes",
        action="store_true",
        help="exit with 0 if a verdict is unknown",
    )
    add("--junit", type=Path, metavar="FILE", help="write JUnit XML")
    add("--history", type=Path, metavar="FILE", help="append to this history")
    add("--out", type=Path, metavar="FILE", help="write the whole record as JSON")


def main(options: argparse.Namespace) -> int:
    """Test for slow-downs, print the verdicts, and return the exit code.

    Raises:
        UsageError: The options name no base or several, or the input is bad.
    """
    mode = _mode(options)
    for path in (options.junit, options.history, options.out):
        check_writable(path)
    from bench import store
    from bench.guard import live, record, scope
    from bench.guard import settings as guard_settings

    if mode not in LIVE:
        from bench.guard import stored  # imports SciPy, which a live guard needs later

    settings = guard_settings.load(
        _config(options),
        threshold=None
        if options.threshold is None
        else guard_settings.parse_share(options.threshold),
        metrics=options.metric,
        live=mode in LIVE,
    )
    if mode == "folders":
        result = stored.folders(*options.folders, settings.thresholds)
        return _report(settings.note_unused_overrides(result), options)
    wanted = live.GuardRequest(
        sweep=_sweep(options),
        named=bool(options.workload),
        thresholds=settings.thresholds,
        budget_seconds=options.budget,
        seed=options.seed,
        data=values.data(options),
        reference=options.history is not None,
        report_progress=_print,
    )
    folder = store.new_folder(scope.GUARD)  # for runs that do not take turns
    if mode == "save_baseline":
        return _report_saved(
            *stored.save(options.save_baseline, wanted, folder), options
        )
    try:
        if mode == "against_ref":
            result = live.against_ref(options.repo, options.against_ref, wanted)
        elif mode == "against_python":
            result = live.against_python(options.against_python, wanted)
        else:
            result = stored.against_baseline(options.baseline, wanted, folder)
    except record.Interrupted as stopped:
        _print("Interrupted: open verdicts are unknown, and no history is written.")
        return _report(
            settings.note_unused_overrides(stopped.result), options, interrupted=True
        )
    return _report(settings.note_unused_overrides(result), options)


def _spelled(mode: str) -> str:
    return "two folders" if mode == "folders" else f"--{mode.replace('_', '-')}"


def _mode(options: argparse.Namespace) -> str:
    modes = [mode for mode in MODES if getattr(options, mode)]
    modes += ["folders"] if options.folders else []
    if len(modes) != 1:
        raise UsageError(
            "guard takes one of --against-ref REF, --against-python PATH, --baseline "
            "FILE, --save-baseline FILE, or two result folders A B; got "
            f"{' and '.join(map(_spelled, modes)) or 'none'}."
        )
    if options.folders and len(options.folders) != 2:
        raise UsageError(
            f"guard compares two result folders, A and B; got {len(options.folders)}."
        )
    names, why = REFUSED.get(modes[0], ((), ""))
    refused = [
        f"--{name.replace('_', '-')}" for name in names if getattr(options, name)
    ]
    if refused:
        raise UsageError(f"Leave out {' and '.join(refused)} with {why}.")
    return modes[0]


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


def _report_saved(
    baseline: Baseline, failed: Mapping[str, str], options: argparse.Namespace
) -> int:
    """Print which baseline was stored, or the first failure; return the exit code."""
    if failed:
        key, why = next(iter(failed.items()))
        _print_error(f"'{key}' failed, so no baseline is saved: {why}")
        return Exit.MISSING
    trials = plural(len(baseline.trials), "trial")
    print(f"Baseline of {trials}: {options.save_baseline}")
    return Exit.OK


def _report(
    result: GuardResult, options: argparse.Namespace, *, interrupted: bool = False
) -> int:
    """Write and print the result of a guard; return the exit code of its verdicts.

    Errors of writing are printed after the verdicts. They change the exit code only if
    no trial is slower, missing or unknown.
    """
    from bench.guard import output, record

    passes = options.unknown_passes and not interrupted
    code = record.exit_code(result, unknown_passes=passes)
    code = Exit.INTERRUPTED if interrupted else code
    errors = _write_files(result, code, options, passes)
    try:
        if options.json:
            print(output.as_json(result, code), flush=True)
        else:
            output.terminal(result, code)
    except OSError as error:  # the exit code and the other outputs stay
        shell.discard_output(sys.stdout)
        if not isinstance(error, BrokenPipeError):
            errors.append(f"Cannot write to standard output: {error.strerror}.")
    output.github(result, code, os.environ)
    if options.history and not interrupted:  # an interrupted guard has too few trios
        from bench.guard import history

        try:
            history.append(options.history, result)
        except UsageError as error:
            errors.append(str(error))
    for text in errors:
        _print_error(text)
    return Exit.BAD_USE if errors and code == Exit.OK else code


def _write_files(
    result: GuardResult, code: int, options: argparse.Namespace, passes: bool
) -> list[str]:
    """Write a guard's result into files; return a line for each file that failed."""
    from bench.guard import output

    contents: list[tuple[Path, bytes]] = []
    if options.out:
        contents.append((options.out, output.as_json(result, code).encode()))
    if options.junit:
        junit = output.junit(result, unknown_passes=passes)
        contents.append((options.junit, junit))
    errors = []
    for path, content in contents:
        try:
            path.write_bytes(content)
        except OSError as error:
            errors.append(f"Cannot write '{path}': {error.strerror}.")
    return errors


def _print_error(text: str) -> None:
    from bench.guard import output

    _print(f"error: {text}")
    output.annotate("error", "Feedrate", text, os.environ)


def _print(line: str) -> None:
    from bench.guard.sentences import one_line  # CI runners read standard error too

    print(one_line(line), file=sys.stderr, flush=True)
