"""The guard's bars for stalls: caught at their size, and no false alarms.

    python -m results.method.stalls [--minutes M] [--only NAME ...]

Batches take 1 ms, and one in so many is longer in head by a share of all the time, or
on both sides alike. Each guard has 60 s. Its verdicts go to stalls.jsonl, one line
each, and the table to stalls.md; what is there already is gone on with, the kind with
the fewest first.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.catalog import ROOT
from bench.guard import session
from bench.guard.case_session import Case
from bench.guard.trio import Side
from bench.pipeline import Pipeline
from bench.run import executors
from bench.run.protocol import Executor
from bench.selftest import comparison
from bench.trial import Trial

HERE = Path(__file__).resolve().parent
WORKLOAD = HERE / "lump_cases" / "counted.py"
USUAL, BATCH = 1040.0, 32  # microseconds a batch, with the clock's own spread
THRESHOLD = 0.03
SECONDS = 60.0


@dataclass(frozen=True)
class Kind:
    """What is compared, how often, and how many may be called slower.

    Attributes:
        every: Batches between stalls.
        base: The share of all time that stalls take in base.
        head: The same in head.
        wanted: Guards.
        least: How many of them must say `slower`.
        most: How many may.
        neighbour: Whether a noisy process runs beside.
    """

    every: int
    base: float
    head: float
    wanted: int
    least: int = 0
    most: int = 0
    neighbour: bool = False


KINDS = {
    "5 % by 1 in 200": Kind(200, 0.0, 0.05, 20, least=18, most=20),
    "10 % by 1 in 2,000": Kind(2000, 0.0, 0.10, 20, least=16, most=20),
    "0 %, 1 in 200 on both sides": Kind(200, 0.05, 0.05, 20, most=1),
    "0 %, 1 in 2,000 on both sides": Kind(2000, 0.10, 0.10, 20, most=1),
    "0 % beside a neighbour": Kind(200, 0.05, 0.05, 20, most=1, neighbour=True),
}


def main() -> int:
    """Guard until the time is over, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--out", type=Path, default=HERE / "stalls.jsonl")
    options = parser.parse_args()
    deadline = time.monotonic() + 60 * options.minutes
    rows = read(options.out)
    server = executors.executor()
    server.start()
    try:
        for name in pending(rows, options.only):
            if time.monotonic() + SECONDS > deadline:
                break
            rows.append(judged(server, name, len(rows)))
            with options.out.open("a") as file:
                file.write(json.dumps(rows[-1]) + "\n")
            print(json.dumps(rows[-1]), flush=True)
    finally:
        server.stop()
    options.out.with_suffix(".md").write_text(markdown(rows))
    return 0 if all(held(rows, name) is not False for name in KINDS) else 1


def pending(rows: list[dict], only: list[str]) -> Iterator[str]:
    """The kind of which there are fewest, until there are enough of each."""
    names = [name for name in KINDS if not only or name in only]
    while True:
        left = {
            name: done
            for name in names
            if (done := count(rows, name)) < KINDS[name].wanted
        }
        if not left:
            return
        yield min(left, key=left.get)


def judged(server: Executor, name: str, seed: int) -> dict[str, object]:
    """One guard of a kind."""
    kind = KINDS[name]
    beside = comparison.neighbour(seed) if kind.neighbour else contextlib.nullcontext()
    with tempfile.TemporaryDirectory(dir=ROOT / "results", prefix=".stalls-") as folder:
        sides = [
            side(server, Path(folder) / role, kind.every, share)
            for role, share in (("base", kind.base), ("head", kind.head))
        ]
        case = Case(
            key=name,
            base=sides[0],
            head=sides[1],
            thresholds={"seconds_per_example": THRESHOLD},
        )
        with beside:
            record = session.live(
                [case], base="base", head="head", budget_seconds=SECONDS, seed=seed
            )
    (row,) = record.rows
    return {
        "kind": name,
        "verdict": row.verdict,
        "ratio": row.ratio,
        "low": row.low,
        "high": row.high,
        "trios": row.count,
        "turns": row.turns,
        "seconds": record.seconds,
        "cause": row.cause,
    }


def side(server: Executor, folder: Path, every: int, share: float) -> Side:
    """The workload whose stalls take this share of the usual time."""
    folder.mkdir()
    path = folder / WORKLOAD.name
    path.write_text(WORKLOAD.read_text())
    path.with_suffix(".stall").write_text(f"{every} {share * every * USUAL}")
    trial = Trial(
        workload=str(path), pipeline=Pipeline(order="batch_map", batch_size=BATCH)
    )
    return Side(server, trial)


def read(path: Path) -> list[dict]:
    """The guards that were made before."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def count(rows: list[dict], name: str, verdict: str = "") -> int:
    """Guards of a kind, with this verdict where one is given."""
    own = [row for row in rows if row["kind"] == name]
    return sum(row["verdict"] == verdict for row in own) if verdict else len(own)


def held(rows: list[dict], name: str) -> bool | None:
    """Whether a kind's bar holds; None where there are too few guards to say."""
    kind, done = KINDS[name], count(rows, name)
    slower = count(rows, name, "slower")
    if slower > kind.most or done - slower > kind.wanted - kind.least:
        return False
    return True if done >= kind.wanted else None


def markdown(rows: list[dict]) -> str:
    """The page."""
    words = {True: "yes", False: "**no**", None: "too few yet"}
    table = [
        f"| {name} | {count(rows, name)} | {count(rows, name, 'slower')} "
        f"| {count(rows, name, 'unchanged')} | {count(rows, name, 'unknown')} "
        f"| {kind.least} to {kind.most} of {kind.wanted} | {words[held(rows, name)]} |"
        for name, kind in KINDS.items()
    ]
    return "\n".join(
        [
            "# Stalls: what the guard says of them in 60 s",
            "",
            "By `python -m results.method.stalls`, at a threshold of 3 %; batches take "
            "1 ms. The bar is how many guards must say slower, and how many may. "
            "Raw: stalls.jsonl.",
            "",
            "| stalls | guards | slower | unchanged | unknown | bar | holds |",
            "| :-- | --: | --: | --: | --: | --: | :-- |",
            *table,
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
