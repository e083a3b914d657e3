#!/usr/bin/env python3
"""Measure where preprocessing should run and how the input pipeline should be built."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import catalog, guarding, sweeps
from bench.errors import UsageError
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
        _annotate(str(error))
        return BAD_USE
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return INTERRUPTED


def _annotate(error: str) -> None:
    if os.environ.get("GITHUB_ACTIONS") == "true":
        from bench import guard_output

        guard_output.annotate("error", "Feedrate", error, os.environ)


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
    from bench import sweeping

    folder = sweeping.main(options)
    if folder is None:
        return INTERRUPTED
    return _report([folder], folder, ("html", "md", "csv", "png"), as_json=options.json)


def report(options: argparse.Namespace) -> int:
    """Turn result folders into a terminal table and files."""
    from bench import history

    if len(options.folders) == 1 and history.holds_guards(options.folders[0]):
        return history.main(options.folders[0], out=options.out, as_json=options.json)
    formats = tuple(options.format.split(","))
    out = options.out or options.folders[0]
    return _report(options.folders, out, formats, as_json=options.json)


def compare(options: argparse.Namespace) -> int:
    """Compare two result folders, trial by trial, as ratios with intervals."""
    from bench import compare

    return compare.main(options.a, options.b, out=options.out, as_json=options.json)


def guard(options: argparse.Namespace) -> int:
    """Compare with a revision, interpreter or baseline; the exit code tells."""
    from bench import guarding

    return guarding.main(options)


def claims(options: argparse.Namespace) -> int:
    """Judge the field's claims by result folders."""
    from bench import claims

    return claims.main(
        options.folders, as_json=options.json, as_markdown=options.markdown
    )


def doctor(options: argparse.Namespace) -> int:
    """Say whether this machine is fit to measure on."""
    if options.selftest:
        from bench import selftest

        return selftest.main(options.minutes, options.out, as_json=options.json)
    from bench import doctor

    return doctor.main(as_json=options.json)


def _report(
    folders: Sequence[Path], out: Path, formats: Sequence[str], *, as_json: bool
) -> int:
    from bench import report

    found = report.gather(folders)
    if as_json:
        print(report.as_json(found))
        return 0
    report.terminal(found)
    for path in report.write(found, out, formats):
        if path.suffix in (".html", ".md"):
            print(f"Report: {path}")
    return 0


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


def _precision(text: str) -> float:
    matched = re.fullmatch(r"(\d+(?:\.\d+)?)(%)?", text)
    share = float(matched[1]) / (100 if matched[2] else 1) if matched else 0.0
    if not 0.001 <= share <= 0.5:
        raise argparse.ArgumentTypeError(
            f"a share from 0.1% to 50%, such as 2% or 0.02, got '{text}'"
        )
    return share


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
    added.add_argument(
        "--rounds", type=_positive, help="runs of each trial; of a race, at least"
    )
    added.add_argument(
        "--budget", type=_duration, default=0.0, help="stop after this time, as 10m"
    )
    added.add_argument(
        "--precision",
        type=_precision,
        default=0.0,
        help="more rounds until what could be the best is known to this, as 2%%",
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

    guarding.add_options(verb("guard", guard), _duration)

    added = verb("claims", claims)
    added.add_argument("--markdown", action="store_true", help="a table for a README")
    added.add_argument("folders", nargs="+", type=Path, help="result folders")

    added = verb("doctor", doctor)
    added.add_argument(
        "--selftest", action="store_true", help="inject slow-downs and look for them"
    )
    added.add_argument(
        "--minutes", type=float, default=30.0, help="of the self-test; default 30"
    )
    added.add_argument("--out", type=Path, help="write each comparison as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
