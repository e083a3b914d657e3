"""This module is the verb `claims`: it compares published claims with results."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from bench.errors import Exit


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command `claims` to its parser."""
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    parser.add_argument("folders", nargs="+", type=Path, help="result folders")


def main(options: argparse.Namespace) -> int:
    """Print every claim with its verdict; return 0 whatever the verdicts are.

    Raises:
        UsageError: A folder cannot be read.
    """
    from bench.analysis import table
    from bench.analysis.claim_verdicts import evaluate
    from bench.report import claims

    verdicts = evaluate(table.load(*options.folders))
    if options.markdown:
        print(claims.markdown(verdicts))
    elif options.json:
        print(json.dumps(json.loads(verdicts.to_json(orient="records")), indent=2))
    else:
        claims.show(verdicts)
    return Exit.OK
