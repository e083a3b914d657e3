#!/usr/bin/env python3
"""Measure where preprocessing should run and how the input pipeline should be built."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import sys
from collections.abc import Sequence

from bench import shell
from bench.errors import Exit, UsageError

# What each verb does. Its options and its main function are in bench/commands/.
VERBS = {
    "list": "Print what is there: layers, workloads, strategies, axes, sweeps, plots.",
    "run": "Make a sweep's runs, then its report.",
    "report": "Turn result folders into a terminal table and files.",
    "compare": "Compare two result folders, trial by trial, as ratios with intervals.",
    "guard": "Compare with a revision, interpreter or baseline; the exit code tells.",
    "claims": "Judge the field's claims by result folders.",
    "doctor": "Say whether this machine is fit to measure on.",
}
# Three minutes with its report, also where the machine is shared: what is cut, says so.
MAIN_JOB = ("run", "quick", "--budget", "160s")


def main(arguments: Sequence[str]) -> int:
    """Run one verb; the quick sweep if none is given. Returns the exit code."""
    arguments = _joined(arguments or MAIN_JOB)
    try:
        return _ended(arguments)
    except Exception as error:  # Python would leave with 1, which is a guard's verdict
        import traceback  # late: it takes milliseconds that `list` has not

        traceback.print_exc()
        _annotate(f"{type(error).__name__}: {error}")
        return Exit.MISSING if arguments[0] == "guard" else Exit.FAULT


def _ended(arguments: Sequence[str]) -> int:
    """Run the verb, and say in a line how it ended where that was not by itself."""
    try:
        options = parsed(arguments)
        code = options.main(options)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        shell.reader_left(sys.stdout)
        return Exit.READER_LEFT
    except ModuleNotFoundError as missing:  # another Python than that of the packages
        return shell.report_missing_package(missing)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        _annotate(str(error))
        return Exit.BAD_USE
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return Exit.INTERRUPTED


def _joined(arguments: Sequence[str]) -> list[str]:
    """`--budget -5m` as `--budget=-5m`: else -5m is taken for an option."""
    joined: list[str] = []
    for word in arguments:
        before = joined[-1] if joined else ""
        if re.match(r"-\.?\d", word) and re.fullmatch(r"--[a-z-]+", before):
            joined[-1] = f"{before}={word}"
        else:
            joined.append(word)
    return joined


def _annotate(error: str) -> None:
    if os.environ.get("GITHUB_ACTIONS") == "true":
        from bench.guard import output

        output.annotate("error", "Feedrate", error, os.environ)


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The verb's `main` and its options; only the module of that verb is imported."""
    parser = argparse.ArgumentParser(prog="run_bench.py", description=__doc__)
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    for name, summary in VERBS.items():
        verb = verbs.add_parser(name, help=summary, description=summary)
        verb.add_argument("--json", action="store_true", help="print JSON instead")
        if name in arguments:
            command = importlib.import_module(f"bench.commands.{name}")
            command.add_options(verb)
            verb.set_defaults(main=command.main)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    # Standard error is None where it is closed.
    sys.stderr = sys.stderr and shell.PipeSafeStream(sys.stderr)
    with shell.interrupted_once():
        sys.exit(main(sys.argv[1:]))
