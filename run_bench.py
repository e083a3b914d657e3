#!/usr/bin/env python3
"""Measure where preprocessing should run and how the input pipeline should be built."""

from __future__ import annotations

import argparse
import gc
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import shell
from bench.errors import UsageError, check_folder, unknown

try:
    from bench.commands import guard as guarding
    from bench.trial import CONSUMERS, UNITS, Effort
except ModuleNotFoundError as missing:  # another Python than that of the packages
    sys.exit(shell.report_missing_package(missing))

# Three minutes with its report, also where the machine is shared: what is cut, says so.
MAIN_JOB = ("run", "quick", "--budget", "160s")
RUN_EXITS = (
    "exit codes: 0 something was measured; 1 every run failed, or none was made; 2 bad "
    "use; 70 a fault of the program; 130 interrupted, what was measured is kept"
)
NOTHING_MEASURED = 1
BAD_USE = 2
INTERRUPTED = 130
UNEXPECTED = 70  # EX_SOFTWARE of sysexits.h; of a guard it is 5, as it did not look
READER_LEFT = 141  # as a shell tells SIGPIPE


def main(arguments: Sequence[str]) -> int:
    """Run one verb; the quick sweep if none is given. Returns the exit code."""
    options = _parser().parse_args(_joined(arguments or MAIN_JOB))
    try:
        return _ended(options)
    except Exception as error:  # Python would leave with 1, which is a guard's verdict
        import traceback  # late: it takes milliseconds that `list` has not

        from bench.guard.record import MISSING

        traceback.print_exc()
        _annotate(f"{type(error).__name__}: {error}")
        return MISSING if options.verb is guard else UNEXPECTED


def _ended(options: argparse.Namespace) -> int:
    """Run the verb, and say in a line how it ended where that was not by itself."""
    try:
        code = options.verb(options)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        shell.reader_left(sys.stdout)
        return READER_LEFT
    except ModuleNotFoundError as missing:
        return shell.report_missing_package(missing)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        _annotate(str(error))
        return BAD_USE
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return INTERRUPTED


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


def list_(options: argparse.Namespace) -> int:
    """Print what is there: layers, workloads, strategies, axes, sweeps, plots."""
    from bench.commands import list

    gc.disable()  # 50 files are parsed: looking for cycles takes a seventh of the time
    try:
        return list.main(as_json=options.json)
    finally:
        gc.enable()


def run(options: argparse.Namespace) -> int:
    """Make a sweep's runs, then its report."""
    from bench.commands import run

    folder = run.main(options)
    if folder is None:
        return INTERRUPTED
    usual = ("html", "md", "csv", "png")
    went_well = _report([folder], folder, usual, as_json=options.json)
    return 0 if went_well else NOTHING_MEASURED


def report(options: argparse.Namespace) -> int:
    """Turn result folders into a terminal table and files."""
    from bench.commands import history
    from bench.guard.history import holds_guards
    from bench.report.formats import FORMATS

    if len(options.folders) == 1 and holds_guards(options.folders[0]):
        return history.main(options.folders[0], out=options.out, as_json=options.json)
    formats = options.format.split(",")
    for name in formats:
        if name not in FORMATS:
            raise unknown("report format", name, FORMATS)
    out = options.out or options.folders[0]
    if not options.json:
        check_folder(out)
    _report(options.folders, out, formats, as_json=options.json)
    return 0


def compare(options: argparse.Namespace) -> int:
    """Compare two result folders, trial by trial, as ratios with intervals."""
    from bench.report import compare

    if not options.json:
        check_folder(options.out or options.b)
    return compare.main(options.a, options.b, out=options.out, as_json=options.json)


def guard(options: argparse.Namespace) -> int:
    """Compare with a revision, interpreter or baseline; the exit code tells."""
    from bench.commands import guard

    return guard.main(options)


def claims(options: argparse.Namespace) -> int:
    """Judge the field's claims by result folders."""
    from bench.commands import claims

    return claims.main(
        options.folders, as_json=options.json, as_markdown=options.markdown
    )


def doctor(options: argparse.Namespace) -> int:
    """Say whether this machine is fit to measure on."""
    if options.selftest:
        from bench.selftest import selftest

        return selftest.main(options.minutes, options.out, as_json=options.json)
    if options.out:
        raise UsageError("Leave out --out, which keeps what --selftest compared.")
    from bench.commands import doctor

    return doctor.main(as_json=options.json)


def _report(
    folders: Sequence[Path], out: Path, formats: Sequence[str], *, as_json: bool
) -> bool:
    """Print a report and write its files; whether any of its runs went well."""
    from bench.report import formats as report

    gc.disable()  # the end is near: looking for cycles takes a sixth of the time
    found = report.gather(folders)
    if as_json:
        print(report.as_json(found))
    else:
        report.terminal(found, formats=formats)
        _name(report.write(found, out, formats))
    return any(run.measured.error is None for run in found.runs)


def _name(paths: Sequence[Path]) -> None:
    """Say which files were written; of figures, only in which folder."""
    figures = [path for path in paths if path.suffix == ".png"]
    for path in sorted({figure.parent for figure in figures}):
        print(f"Figures: {path}")
    for path in paths:
        if path not in figures:
            reads = path.suffix in (".html", ".md")
            print(f"{'Report' if reads else 'Written'}: {path}")


def _duration(text: str) -> float:
    matched = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h)?", text)
    if not matched or not float(matched[1]):
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


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not 0 < minutes < float("inf"):
        raise argparse.ArgumentTypeError(f"minutes above 0, such as 5, got '{text}'")
    return minutes


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
    added.epilog = RUN_EXITS
    added.add_argument(
        "sweep",
        nargs="?",
        help="a named sweep, see list, or a FILE.toml; left out only with --resume "
        f"(run_bench.py alone means {' '.join(MAIN_JOB)})",
    )
    for name, text in (
        ("workload", "a workload or layer, name:variant, or your own file's path"),
        ("strategy", "a named strategy"),
        ("axis", "name=value,value: an axis of the pipeline; see list"),
    ):
        added.add_argument(f"--{name}", action="append", default=[], help=text)
    added.add_argument("--consumer", choices=CONSUMERS, help="what pulls the batches")
    added.add_argument("--unit", choices=UNITS, help="what a sample covers")
    added.add_argument(
        "--rounds",
        type=_positive,
        help="how often each trial is run; default: as the sweep says, else "
        f"{Effort.rounds}, and fewer where --budget is short; with --precision it is "
        "the least for each, where no more than 32 are compared",
    )
    added.add_argument(
        "--budget",
        type=_duration,
        default=0.0,
        help="stop after this time, as 10m; default: none, all runs are made",
    )
    added.add_argument("--limit", type=_duration, default=0.0, help=guarding.LIMIT)
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
        "--minutes",
        type=_minutes,
        default=30.0,
        help="to compare for; about ten more follow; default 30",
    )
    added.add_argument("--out", type=Path, help="write each comparison as JSON")
    return parser


if __name__ == "__main__":
    sys.stderr = sys.stderr and shell.PipeSafeStream(
        sys.stderr
    )  # None where it is closed
    with shell.interrupted_once():
        sys.exit(main(sys.argv[1:]))
