"""This module is the verb `claims`: it compares published claims with results."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bench import shell
from bench.commands import values
from bench.errors import Exit, UsageError, unknown
from bench.plan import claims as published
from bench.plan.claims import Claim
from bench.text import plural

if TYPE_CHECKING:
    import pandas as pd

BUDGET_SECONDS = 3600.0
MOST_NAMED = 3  # cells that are left out for one reason


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command `claims` to its parser."""
    add = parser.add_argument
    add("--markdown", action="store_true", help="print Markdown")
    add(
        "--settle",
        action="store_true",
        help="first let processes take turns on each claim until it is settled; needs "
        "one folder, of `run claims`, and continues there",
    )
    add(
        "--budget",
        type=values.duration,
        help="with --settle: stop after this time, such as 10m; default: 60m",
    )
    add(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help="with --settle: a claim or a workload; may be repeated",
    )
    add("folders", nargs="+", type=Path, help="result folders")


def main(options: argparse.Namespace) -> int:
    """Print every claim with its verdict; return 0 whatever the verdicts are.

    Raises:
        UsageError: Bad input, or a folder that cannot be read or written to.
    """
    from bench.report import claims

    if options.settle:
        if len(options.folders) > 1:
            raise UsageError(
                f"--settle writes to one folder, got {len(options.folders)}. Name the "
                "folder of `run claims`."
            )
        if not _settle(options.folders[0], options):
            return Exit.INTERRUPTED
    elif options.budget or options.only:
        raise UsageError("--budget and --only belong to --settle, which is missing.")
    verdicts = _judged(options.folders)
    if options.markdown:
        print(claims.markdown(verdicts))
    elif options.json:
        print(json.dumps(json.loads(verdicts.to_json(orient="records")), indent=2))
    else:
        claims.show(verdicts)
    return Exit.OK


def _judged(folders: Sequence[Path]) -> pd.DataFrame:
    """Return the table of claims with their verdicts, by rounds and by turns."""
    from bench.analysis import settlements, table
    from bench.analysis.claim_verdicts import evaluate

    runs, names, _ = table.read(folders)
    samples = table.from_runs(runs, names)
    return evaluate(samples, turns=settlements.by_turns(folders, runs))


def _settle(folder: Path, options: argparse.Namespace) -> bool:
    """Settle the claims of a result folder by turns; return False after Ctrl-C.

    Raises:
        UsageError: A name is unknown, or the folder cannot be read or written to.
    """
    from bench import machine, store
    from bench.analysis import settlements
    from bench.race import settling
    from bench.run import executors

    chosen = _chosen(published.load(), options.only)
    judged = _judged([folder])
    earlier = settlements.of_machine(settlements.load(folder), machine.fingerprint())
    agenda = settling.agenda(chosen, judged, earlier, datetime.now(UTC))
    for reason, names in _by_reason(agenda.left_out).items():
        some = "; ".join(names[:MOST_NAMED]) + ("; ..." * (len(names) > MOST_NAMED))
        cells = plural(len(names), "cell")
        print(f"left as they are, {cells}, {reason}: {some}", file=sys.stderr)
    server = executors.executor()
    with store.locked(folder, "Copy it to a place that you may write to."):
        try:
            settled = settling.settle(
                agenda, folder, server, options.budget or BUDGET_SECONDS
            )
        except KeyboardInterrupt:
            again = shell.command("claims", "--settle", folder)
            print(
                f"\nInterrupted; all trios are stored. Continue with\n  {again}",
                file=sys.stderr,
            )
            return False
        except OSError as error:
            raise UsageError(
                f"Cannot write to '{folder}': {error.strerror}. What was measured "
                "before is stored; correct this, then start again."
            ) from error
        finally:
            server.stop()
    print(f"{settled} of {len(agenda.cells)} cells settled.", file=sys.stderr)
    return True


def _by_reason(left_out: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the names of cells by the reason for which they are left out."""
    reasons: dict[str, list[str]] = {}
    for name, reason in left_out.items():
        reasons.setdefault(reason, []).append(name)
    return reasons


def _chosen(every: Sequence[Claim], only: Sequence[str]) -> list[Claim]:
    """Return the claims that have one of these names, or a case of such a workload.

    Args:
        every: All claims.
        only: Names of claims or workloads; all claims if there is none.

    Raises:
        UsageError: No claim and no workload of a claim has such a name.
    """
    names = {claim.id for claim in every}
    names |= {case.workload for claim in every for case in claim.cases}
    for name in only:
        if name not in names:
            raise unknown("claim or workload of a claim", name, names)
    chosen = []
    for claim in every:
        cases = tuple(
            case
            for case in claim.cases
            if not only or {claim.id, case.workload} & set(only)
        )
        if cases:
            chosen.append(replace(claim, cases=cases))
    return chosen
