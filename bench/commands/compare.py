"""The verb `compare` compares two result folders, trial by trial."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from bench import text
from bench.errors import Exit, check_folder


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command `compare` to its parser."""
    parser.add_argument("a", type=Path, help="result folder to compare with")
    parser.add_argument("b", type=Path, help="result folder that gets the verdicts")
    parser.add_argument("--out", type=Path, help="folder of the page; default B")


def main(options: argparse.Namespace) -> int:
    """Print the comparison, write its page, and return the exit code.

    Raises:
        UsageError: A folder cannot be read, has no runs, or cannot be written to.
    """
    from bench.report import compare

    out = options.out or options.b
    if not options.json:
        check_folder(out)
    (a, notes_a), (b, notes_b) = compare.read(options.a), compare.read(options.b)
    compared = compare.comparison(a, b)
    compared["notes"] += [text.visible(note) for note in (*notes_a, *notes_b)]
    compared |= {"a": text.visible(options.a), "b": text.visible(options.b)}
    if options.json:
        rows = compare.records(compared["rows"])
        print(json.dumps({**compared, "rows": rows}, indent=2))
        return Exit.OK
    compare.show(compared)
    path = out / "compare.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(compare.html(compared), encoding="utf-8")
    print(f"Page: {path}")
    return Exit.OK
