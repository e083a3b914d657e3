"""The verb `report` shows result folders as a terminal table and as files."""

from __future__ import annotations

import argparse
import gc
from collections.abc import Sequence
from pathlib import Path

from bench import store
from bench.errors import Exit, check_folder


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command `report` to its parser."""
    from bench.report.formats import FORMATS, USUAL

    parser.add_argument("folders", nargs="+", type=Path, help="result folders")
    parser.add_argument(
        "--format",
        default=",".join(USUAL),
        help=f"formats of the files, separated by commas: {', '.join(FORMATS)}",
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="the folder of the files; default: the result folder, or a new folder in "
        "results/ for several",
    )


def main(options: argparse.Namespace) -> int:
    """Report result folders, or the history of a guard, and return the exit code.

    Raises:
        UsageError: No such format, or a folder that cannot be read or written to.
    """
    from bench.guard.history import holds_guards
    from bench.report import formats

    if len(options.folders) == 1 and holds_guards(options.folders[0]):
        from bench.commands import history

        return history.show(options.folders[0], out=options.out, as_json=options.json)
    names = options.format.split(",")
    formats.check(names)
    several = len(options.folders) > 1  # the report of none of them is replaced
    out = options.out or (store.new_folder("report") if several else options.folders[0])
    if not options.json:
        check_folder(out)
    show(options.folders, out, names, as_json=options.json)
    return Exit.OK


def show(
    folders: Sequence[Path], out: Path, names: Sequence[str], *, as_json: bool
) -> bool:
    """Print a report and write its files.

    Args:
        folders: Result folders.
        out: The folder of the files.
        names: The formats of the files.
        as_json: Print JSON and write no file.

    Returns:
        Whether any of the runs went well.
    """
    from bench.report import exports, formats

    gc.disable()  # the process ends soon; collecting takes a sixth of the time
    report = formats.gather(folders)
    if as_json:
        print(exports.report_json(report))
    else:
        formats.terminal(report, formats=names)
        show_files(formats.write(report, out, names))
    return any(run.measured.error is None for run in report.runs)


def show_files(paths: Sequence[Path]) -> None:
    """Print the paths of the written files; for figures, only their folder."""
    figures = [path for path in paths if path.suffix == ".png"]
    for path in sorted({figure.parent for figure in figures}):
        print(f"Figures: {path}")
    for path in paths:
        if path not in figures:
            kind = "Report" if path.suffix in (".html", ".md") else "Written"
            print(f"{kind}: {path}")
