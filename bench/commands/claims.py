"""The verb `claims`: the field's claims, judged by result folders."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from bench.errors import Exit


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `claims`."""
    parser.add_argument("--markdown", action="store_true", help="a table in Markdown")
    parser.add_argument("folders", nargs="+", type=Path, help="result folders")


def main(options: argparse.Namespace) -> int:
    """Print every claim with its verdict; returns the exit code.

    Raises:
        UsageError: A folder cannot be read.
    """
    from bench.analysis import table
    from bench.analysis.judge import judge
    from bench.report import claims

    judged = judge(table.load(*options.folders))
    if options.markdown:
        print(claims.markdown(judged))
    elif options.json:
        print(json.dumps(json.loads(judged.to_json(orient="records")), indent=2))
    else:
        claims.show(judged)
    return Exit.OK
