"""Self-tests that run many guards of several kinds, for as long as there is time.

The record of each guard is a line of a file, written at once. A program goes on with
the lines that its file holds already, and takes the kind with the fewest guards first.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from bench.guard import session
from bench.guard.case_session import Case
from bench.guard.trio import Side
from bench.run import executors
from bench.run.protocol import Executor
from bench.selftest import RESULTS
from bench.selftest.criteria import METRIC

THRESHOLD = 0.03  # from which a slow-down counts
Rows = list[dict[str, object]]


def parse(description: str, out: str) -> argparse.Namespace:
    """Return the options of such a program: `minutes`, `only` and `out`.

    Args:
        description: The first line of the help.
        out: The name of the file of records, in the folder of results.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--only", action="append", default=[], metavar="KIND")
    parser.add_argument("--out", type=Path, default=RESULTS / out)
    return parser.parse_args()


def run(
    wanted: Mapping[str, int],
    guard: Callable[[Executor, str, int], dict[str, object]],
    seconds: float,
    options: argparse.Namespace,
) -> Rows:
    """Run guards until each kind has enough or the time is over; return all records.

    Args:
        wanted: By kind, how many guards to run.
        guard: Runs one guard of a kind with a seed, and returns its record with `kind`.
        seconds: How long a guard takes.
        options: From `parse`.
    """
    deadline = time.monotonic() + 60 * options.minutes
    rows = read(options.out)
    server = executors.executor()
    server.start()
    try:
        for name in pending(rows, wanted, options.only):
            if time.monotonic() + seconds > deadline:
                break
            rows.append(guard(server, name, len(rows)))
            with options.out.open("a") as file:
                file.write(json.dumps(rows[-1]) + "\n")
            print(json.dumps(rows[-1]), flush=True)
    finally:
        server.stop()
    return rows


def guard(
    kind: str, base: Side, head: Side, seconds: float, seed: int
) -> dict[str, object]:
    """Run one live guard of the time; return its record.

    Args:
        kind: The kind of guard.
        base: The side that head is compared with.
        head: The side under test.
        seconds: How long the guard may take.
        seed: The seed of the order of turns.
    """
    case = Case(key=kind, base=base, head=head, thresholds={METRIC: THRESHOLD})
    record = session.live(
        [case], base="base", head="head", budget_seconds=seconds, seed=seed
    )
    (row,) = record.rows
    return {
        "kind": kind,
        "verdict": row.verdict,
        "ratio": row.ratio,
        "low": row.low,
        "high": row.high,
        "trios": row.count,
        "turns": row.turns,
        "seconds": record.seconds,
        "cause": row.cause,
    }


def pending(rows: Rows, wanted: Mapping[str, int], only: list[str]) -> Iterator[str]:
    """Yield the kind of guard to run next, until each kind has enough guards.

    It is the kind with the fewest guards so far.
    """
    names = [name for name in wanted if not only or name in only]
    while True:
        counts = {name: count(rows, name) for name in names}
        open_kinds = [name for name in names if counts[name] < wanted[name]]
        if not open_kinds:
            return
        yield min(open_kinds, key=counts.get)


def read(path: Path) -> Rows:
    """Return the records of guards that a file holds already."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def count(rows: Rows, name: str, verdict: str = "") -> int:
    """Return how many guards of a kind were run or, with `verdict`, ended with it."""
    own = [row for row in rows if row["kind"] == name]
    return sum(row["verdict"] == verdict for row in own) if verdict else len(own)
