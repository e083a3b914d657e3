"""This program tests whether the guard catches rare stalls without false alarms.

    python -m bench.selftest.guard_on_stalls [--minutes M] [--only NAME ...]

Batches take 1 ms. Rare batches take longer, in head alone or on both sides alike. Each
guard has 60 s. The verdicts go to stalls.jsonl, a line each, and the table to
stalls.md. The program continues with the lines that the file holds already, and takes
the kind with the fewest guards first.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.errors import Exit
from bench.guard.trio import Side
from bench.pipeline import Pipeline
from bench.run.protocol import Executor
from bench.selftest import comparison, guards_by_kind
from bench.selftest.guards_by_kind import count
from bench.shell import ROOT
from bench.trial import Trial

WORKLOAD = ROOT / "bench" / "selftest" / "workloads" / "counted.py"
USUAL, BATCH = 1040.0, 32  # microseconds a batch, and examples a batch
SECONDS = 60.0


@dataclass(frozen=True)
class Kind:
    """A kind of test has stalls of a known size in base, in head, or in both.

    Attributes:
        every: The number of batches from one stall to the next.
        base: The time that stalls add to base, as a share of its time without stalls.
        head: The time that stalls add to head, as a share of its time without stalls.
        wanted: The number of guards to run.
        least: The least number of these guards that must call head `slower`.
        most: The largest number of these guards that may call head `slower`.
        neighbour: Whether a noisy process runs beside the guard.
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
    """Run guards until the time is over, then write the table; return 1 on failure.

    A guard is a test whether head is slower than base.
    """
    options = guards_by_kind.parse(__doc__.partition("\n")[0], "stalls.jsonl")
    wanted = {name: kind.wanted for name, kind in KINDS.items()}
    rows = guards_by_kind.run(wanted, guard, SECONDS, options)
    options.out.with_suffix(".md").write_text(markdown(rows))
    failed = any(passed(rows, name) is False for name in KINDS)
    return Exit.NO if failed else Exit.OK


def guard(server: Executor, name: str, seed: int) -> dict[str, object]:
    """Run one guard on base and head with stalls; return its verdict and ratio."""
    kind = KINDS[name]
    beside = comparison.neighbour(seed) if kind.neighbour else contextlib.nullcontext()
    with tempfile.TemporaryDirectory(dir=ROOT / "results", prefix=".stalls-") as folder:
        sides = [
            side(server, Path(folder) / role, kind.every, share)
            for role, share in (("base", kind.base), ("head", kind.head))
        ]
        with beside:
            return guards_by_kind.guard(name, *sides, SECONDS, seed)


def side(server: Executor, folder: Path, every: int, share: float) -> Side:
    """Write a workload whose stalls take a share of its usual time; return its side.

    A side is the executor and the trial of base or of head.
    """
    folder.mkdir()
    path = folder / WORKLOAD.name
    path.write_text(WORKLOAD.read_text())
    path.with_suffix(".stall").write_text(f"{every} {share * every * USUAL}")
    trial = Trial(
        workload=str(path), pipeline=Pipeline(order="batch_map", batch_size=BATCH)
    )
    return Side(server, trial)


def passed(rows: list[dict], name: str) -> bool | None:
    """Return whether a kind's guards gave the right verdicts; None if too few."""
    kind, done = KINDS[name], count(rows, name)
    slower = count(rows, name, "slower")
    if slower > kind.most or done - slower > kind.wanted - kind.least:
        return False
    return True if done >= kind.wanted else None


def markdown(rows: list[dict]) -> str:
    """Return the table of verdicts, with its explanation, as Markdown."""
    words = {True: "yes", False: "**no**", None: "too few"}
    marks = {name: words[passed(rows, name)] for name in KINDS}
    table = [
        f"| {name} | {count(rows, name)} | {count(rows, name, 'slower')} "
        f"| {count(rows, name, 'unchanged')} | {count(rows, name, 'unknown')} "
        f"| {kind.least} to {kind.most} of {kind.wanted} | {marks[name]} |"
        for name, kind in KINDS.items()
    ]
    return "\n".join(
        [
            "# Stalls: verdicts of the guard after 60 s",
            "",
            "By `python -m bench.selftest.guard_on_stalls`, at a threshold of 3 %. "
            "Batches take 1 ms. The column `allowed` has how many guards must and may "
            "call head slower. Raw: stalls.jsonl.",
            "",
            "| stalls | guards | slower | unchanged | unknown | allowed | passed |",
            "| :-- | --: | --: | --: | --: | --: | :-- |",
            *table,
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
