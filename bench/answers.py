"""What a scene's trials say in plain words: who won, how sure that is, what weakens it.

A trial is called by its strategy and by the settings that set it apart within the
scene; the rows of the tables have its whole label.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from bench.stats import MARGINS, UNSTABLE_SPREAD
from bench.words import figure, triple, visible

FEW_ROUNDS = 3
BUSY_SHARE = 0.10
LONGEST = 60  # characters of a name within a sentence
MOST_NAMES = 4
QUANTITIES = ("factor", "lead", "examples_per_second")
NEEDED = [
    *("label", "baseline", "consumer", "runs", "failed", "pairs", "verdict"),
    *("lead_verdict", "is_baseline", "best", "ranked", "unstable", "not_steady"),
    *("spread", "flags", "offline_seconds", "foreign_cpu_share", "steal_share"),
    *(f"{name}{end}" for name in QUANTITIES for end in ("", "_low", "_high")),
]
ERRORS = "The errors are listed below; run the command of the row to see one again."
ROUNDS = "Measure more rounds: --rounds 5."
FLAGS = {
    "retraced": "a function was traced again inside the timed windows, so they hold "
    "compilation; not ranked. Give the model one shape: look for a changing batch.",
    "frozen_random": "a random layer's output was stored once and repeated, so the "
    "augmentation never changes; not ranked. Put the cache before the random layer.",
    "cache_not_filled": "the cache was never read to its end, so nothing came from it; "
    "not ranked. Let nothing before the consumer cut an epoch short.",
    "xla_off": "one layer cannot be compiled, which switched XLA off for the whole "
    "model. Move that layer into the dataset, or compare with jit=off.",
}

Row = Mapping[str, object]


@dataclass(frozen=True)
class Caution:
    """Something that weakens a result, and what to do about it."""

    what: str
    remedy: str


def sentence(rows: Sequence[Row]) -> str:
    """Which strategy won, by what factor, against what, and how sure; plain text.

    Args:
        rows: The rows of `stats.trials` of one scene, with all of `NEEDED`.
    """
    if not any(row["runs"] for row in rows):
        failed = sum(row["failed"] for row in rows)
        return f"Nothing could be measured: {failed} of {failed} runs failed."
    best = next((row for row in rows if row["best"]), None)
    if best is None:
        return "No trial here can be ranked: see the cautions."
    called = names([row["label"] for row in rows])
    others = [row for row in rows if row["ranked"] and not row["best"]]
    if not others:
        rate, interval = triple(best, "examples_per_second")
        interval = f" ({interval})" if interval else ""
        return (
            f"Only {called[best['label']]} was measured: {rate} examples a second"
            f"{interval}; there is nothing to compare it with."
        )
    lost = sum(row["runs"] == 0 and row["failed"] > 0 for row in rows)
    tail = f" {lost} of {len(rows)} trials failed." if lost else ""
    return f"{_won(best, called)} {_lead(best, others, called)}{_once(best)}{tail}"


def cautions(rows: Sequence[Row]) -> list[Caution]:
    """What weakens the results of a scene, gravest first, each with its remedy."""
    called = names([row["label"] for row in rows])
    found = []

    def add(some: list[Row], what: str, remedy: str) -> None:
        if some:
            found.append(Caution(f"{_names(some, called)}: {what}", remedy))

    failed = sum(row["failed"] for row in rows)
    what = f"{failed} run{'s' if failed > 1 else ''} failed."
    add([row for row in rows if row["failed"] > 0], what, ERRORS)
    for flag, text in FLAGS.items():
        what, _, remedy = text.partition(". ")
        add([row for row in rows if flag in row["flags"]], f"{what}.", remedy)
    add([row for row in rows if row["runs"] == 1], "one run: no interval.", ROUNDS)
    few = [row for row in rows if 1 < row["runs"] < FEW_ROUNDS]
    add(few, "two runs give very wide intervals.", ROUNDS)
    unstable = [row for row in rows if row["unstable"]]
    worst = 100 * _most(unstable, "spread")
    add(
        unstable,
        f"unstable: runs differ by {worst:.0f} % (standard deviation), more than "
        f"{100 * UNSTABLE_SPREAD:.0f} %.",
        _calm(unstable),
    )
    add(
        [row for row in rows if row["not_steady"]],
        "not steady: the samples still rose or fell while they were timed.",
        "Warm up for longer, or look at the spread figure for what drifts.",
    )
    add(
        [row for row in rows if row["runs"] and not row["pairs"]],
        "no round in common with the baseline, so there is no factor.",
        "Complete the sweep with --resume.",
    )
    return found


def names(labels: Sequence[str]) -> dict[str, str]:
    """Each label short enough for a sentence, without what all of them share.

    Of what is left those settings come first that fewest others have.
    """
    parts = {label: label.split(",") for label in labels}
    held = Counter(part for some in parts.values() for part in dict.fromkeys(some))
    shared = {p for p, n in held.items() if n == len(parts) > 1 and "=" in p}
    short = {
        label: _short([part for part in some if part not in shared], held)
        for label, some in parts.items()
    }
    alike = Counter(short.values())
    return {
        label: name if alike[name] == 1 else visible(label, 2 * LONGEST)
        for label, name in short.items()
    }


def _short(parts: Sequence[str], held: Mapping[str, int]) -> str:
    whole = ",".join(parts) or "naive"
    if len(whole) <= LONGEST:
        return visible(whole)
    order = sorted(parts, key=lambda part: ("=" in part, held[part]))
    kept = [visible(order[0], LONGEST)]
    for part in order[1:]:
        if len(",".join([*kept, part])) <= LONGEST - 15:
            kept.append(visible(part))
    rest = len(parts) - len(kept)
    more = f" and {rest} more setting{'s' if rest > 1 else ''}" if rest else ""
    return ",".join(kept) + more


def _won(best: Row, called: Mapping[str, str]) -> str:
    name = called[best["label"]]
    if best["is_baseline"]:
        return f"{name} won: nothing here was faster."
    factor, interval = triple(best, "factor")
    against = called[best["baseline"]]
    if not interval:
        return (
            f"{name} was fastest, {factor} times as fast as {against} (one run: no "
            "interval, a hint and not a result)."
        )
    sure = f"95 % interval {interval}, {int(best['pairs'])} rounds"
    if best["verdict"] == "faster":
        return f"{name} won: {factor} times as fast as {against} ({sure})."
    return (
        f"{name} came first, but is not shown to be faster than {against}: {factor} "
        f"times as fast ({sure})."
    )


def _lead(best: Row, others: Sequence[Row], called: Mapping[str, str]) -> str:
    margin = f"{100 * MARGINS[best['consumer']]:.0f} %"
    # A trial without a round in common has no lead.
    others = sorted(others, key=lambda row: (pd.isna(row["lead"]), row["lead"]))
    second = others[0]
    rivals = [row for row in others if row["lead_verdict"] != "faster"]
    lead, interval = triple(second, "lead")
    name = called[second["label"]]
    if not interval:
        return f"The runner-up was {name}, which took {lead} times as long."
    if not rivals:
        return (
            f"The runner-up is {name}, which takes {lead} times as long ({interval})."
        )
    if len(rivals) == 1 and second["lead_verdict"] == "unchanged":
        return f"{name} is as fast within {margin} ({interval}): take the simpler one."
    whom = "" if len(rivals) == 1 else f"{name}: "
    return (
        f"At a margin of {margin} it cannot be told from {_names(rivals, called)} "
        f"({whom}{interval})."
    )


def _once(best: Row) -> str:
    seconds = best["offline_seconds"]
    if not seconds > 0:
        return ""
    return f" The {figure(seconds)} s it prepares once before are not in this."


def _calm(rows: Sequence[Row]) -> str:
    foreign, steal = (_most(rows, n) for n in ("foreign_cpu_share", "steal_share"))
    if foreign > BUSY_SHARE:
        return (
            f"Other processes took {100 * foreign:.0f} % of the CPU: stop them, "
            "measure again."
        )
    if steal > BUSY_SHARE / 2:
        return (
            f"The hypervisor took {100 * steal:.0f} % of the CPU: use a dedicated "
            "machine."
        )
    return "Measure more rounds (--rounds 9), or longer on a quiet machine."


def _most(rows: Sequence[Row], name: str) -> float:
    return max((row[name] for row in rows if not pd.isna(row[name])), default=0.0)


def _names(rows: Sequence[Row], called: Mapping[str, str]) -> str:
    shown = [called[row["label"]] for row in rows[:MOST_NAMES]]
    rest = len(rows) - len(shown)
    return ", ".join(shown) + (f" and {rest} more" if rest else "")
