"""This program tests guards of each kind of pipeline that can take turns.

    python -m bench.selftest.guard_on_pairs [--minutes M] [--only KIND ...]

Some pipelines prepare batches ahead, some train, some serve later epochs from a cache.
Base and head are equal, or each batch of head takes 5 % longer. The verdicts go to
pairs.jsonl, a line each, and the table to pairs.md. The program continues with the
lines that the file holds already.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from bench.errors import Exit
from bench.pipeline import STRATEGIES
from bench.run.protocol import Executor
from bench.selftest import comparison, guards_by_kind, injection
from bench.selftest.comparison import Case
from bench.shell import ROOT

SLOWER = 0.05
SECONDS = 20.0
WANTED, LEAST = 12, 11
# By kind of pipeline: the case, and how many calls of its layers run at a time.
PAIRS = {
    "plain": (Case("prose", {"order": "batch_map", "batch_size": 256, "cpus": 1}), 1),
    "prefetching": (
        Case(
            "prose",
            {"order": "batch_map", "batch_size": 256, "cpus": 1, "prefetch": 2},
        ),
        1,
    ),
    "parallel": (
        Case(
            "prose", {"order": "batch_map", "batch_size": 256, "map_parallel_calls": 2}
        ),
        2,
    ),
    "AUTOTUNE": (Case("prose", STRATEGIES["autotuned"] | {"batch_size": 256}), 2),
    "AUTOTUNE on one processor": (
        Case("prose", STRATEGIES["autotuned"] | {"batch_size": 256, "cpus": 1}),
        1,
    ),
    "training": (
        Case(
            "cifar_augmentation",
            {"order": "batch_map", "batch_size": 16, "cpus": 1},
            "train",
        ),
        1,
    ),
    "layers in the model": (
        Case(
            "cifar_augmentation",
            {"placement": "model", "prefetch": 2, "batch_size": 16, "cpus": 1},
            "train",
        ),
        1,
    ),
    "later epochs of a cache": (
        Case(
            "prose",
            {"order": "batch_map", "batch_size": 256, "cpus": 1, "cache": "raw"},
        ),
        1,
    ),
}
EQUAL, SLOWED = "equal", f"{SLOWER:.0%} slower"
KINDS = {
    f"{name}, {change}": (name, share)
    for name in PAIRS
    for change, share in ((EQUAL, 0.0), (SLOWED, SLOWER))
}


def main() -> int:
    """Run guards until the time is over, then write the table; return 1 on failure."""
    options = guards_by_kind.parse(__doc__.partition("\n")[0], "pairs.jsonl")
    rows = guards_by_kind.run(dict.fromkeys(KINDS, WANTED), guard, SECONDS, options)
    options.out.with_suffix(".md").write_text(markdown(rows))
    failed = any(passed(rows, kind) is False for kind in KINDS)
    return Exit.NO if failed else Exit.OK


def guard(server: Executor, kind: str, seed: int) -> dict[str, object]:
    """Run one guard of a kind; return its verdict, ratio and interval.

    The slow-down is a share of the time that a batch takes now, so a trio of equal
    processes measures that time first.
    """
    name, share = KINDS[kind]
    case, calls = PAIRS[name]
    with tempfile.TemporaryDirectory(dir=ROOT / "results", prefix=".pairs-") as folder:
        base, head = (
            comparison.side(server, case, Path(folder) / role)
            for role in ("base", "head")
        )
        if share:
            seconds = calls * share * comparison.batch_seconds(base)
            injection.lengthen(Path(head.trial.workload), seconds)
        return guards_by_kind.guard(kind, base, head, SECONDS, seed)


def covers(row: dict[str, object]) -> bool:
    """Return whether the interval of a guard of equal sides holds a ratio of 1."""
    return row["low"] is not None and row["low"] <= 1 <= row["high"]


def right(rows: guards_by_kind.Rows, kind: str) -> int:
    """Return how many guards of a kind were right.

    Equal sides are right if the interval covers 1, and unequal ones if head is slower.
    """
    own = [row for row in rows if row["kind"] == kind]
    if KINDS[kind][1]:
        return sum(row["verdict"] == "slower" for row in own)
    return sum(map(covers, own))


def passed(rows: guards_by_kind.Rows, kind: str) -> bool | None:
    """Return whether enough guards of a kind were right; None if too few were run."""
    done, good = guards_by_kind.count(rows, kind), right(rows, kind)
    if done - good > WANTED - LEAST:
        return False
    return True if done >= WANTED else None


def markdown(rows: guards_by_kind.Rows) -> str:
    """Return the table of verdicts, with its explanation, as Markdown."""
    words = {True: "yes", False: "**no**", None: "too few"}
    table = []
    for kind in KINDS:
        ratios = sorted(r["ratio"] for r in rows if r["kind"] == kind and r["ratio"])
        middle = f"{ratios[len(ratios) // 2]:.3f}" if ratios else ""
        table.append(
            f"| {kind} | {guards_by_kind.count(rows, kind)} | {right(rows, kind)} "
            f"| {guards_by_kind.count(rows, kind, 'slower')} | {middle} "
            f"| {words[passed(rows, kind)]} |"
        )
    return "\n".join(
        [
            f"# Pairs of pipelines: verdicts of the guard after {SECONDS:.0f} s",
            "",
            "By `python -m bench.selftest.guard_on_pairs`, at a threshold of "
            f"{guards_by_kind.THRESHOLD:.0%}. A guard of equal sides is right if its "
            "interval covers a ratio of 1, one of unequal sides if it calls head "
            f"slower. At least {LEAST} of {WANTED} must be right. Serving cannot take "
            "turns. "
            "Raw: pairs.jsonl.",
            "",
            "| pipeline and head | guards | right | slower | median ratio | passed |",
            "| :-- | --: | --: | --: | --: | :-- |",
            *table,
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
