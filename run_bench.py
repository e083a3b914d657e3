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

# By verb: what it does. Its options and its main function are in bench/commands/.
VERBS = {
    "list": "Print all layers, workloads, strategies, axes, sweeps and plots.",
    "run": "Measure a sweep, then write its report.",
    "report": "Write the report of result folders.",
    "compare": "Compare two result folders, trial by trial, as ratios with intervals.",
    "guard": "Test for slow-downs against a revision, interpreter or baseline.",
    "advise": "Propose changes to your own input pipeline, measured, as a diff.",
    "claims": "Compare published claims with result folders.",
    "doctor": "Check whether this machine is fit for measuring.",
}
# Takes three minutes with its report; the report names trials that the budget cut.
MAIN_JOB = ("run", "quick", "--budget", "160s")


def main(arguments: Sequence[str]) -> int:
    """Run a verb, or the quick sweep without arguments; return the exit code."""
    arguments = _joined(arguments or MAIN_JOB)
    try:
        return _run(arguments)
    except Exception as error:  # Python would exit with 1, the guard's "slower"
        import traceback  # late, to keep `list` fast

        traceback.print_exc()
        _annotate(f"{type(error).__name__}: {error}")
        return Exit.MISSING if arguments[0] == "guard" else Exit.FAULT


def _run(arguments: Sequence[str]) -> int:
    """Run the verb; report bad use, an interrupt or a closed pipe in a line."""
    try:
        options = parsed(arguments)
        code = options.main(options)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        shell.discard_output(sys.stdout)
        return Exit.READER_LEFT
    except ModuleNotFoundError as missing:  # this Python lacks the packages
        return shell.report_missing_package(missing)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        _annotate(str(error))
        return Exit.BAD_USE
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return Exit.INTERRUPTED


def _joined(arguments: Sequence[str]) -> list[str]:
    """Join `--budget -5m` to `--budget=-5m`; argparse would read -5m as an option."""
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
    """Parse the options of a verb; import the module of that verb only."""
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
    # Standard error is None if it is closed.
    sys.stderr = sys.stderr and shell.PipeSafeStream(sys.stderr)
    with shell.interrupted_once():
        sys.exit(main(sys.argv[1:]))
