"""This module describes a scene's results in sentences: the best trial, and cautions.

A scene is a set of trials that may be compared. A sentence names a trial by its
strategy and by the settings in which it differs within the scene. The rows of the
tables have the whole label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

import pandas as pd

from bench.analysis.decisions import FEWEST_ROUNDS, MARGINS
from bench.analysis.stats import UNSTABLE_SPREAD
from bench.analysis.verdicts import FASTER, UNCHANGED, UNKNOWN
from bench.flags import FLAGS, NOT_RANKED
from bench.report.labels import names
from bench.text import figure, rounded_with_bounds

BUSY_SHARE = 0.10
MANY_ROUNDS = 9
MOST_NAMES = 4
QUANTITIES = ("factor", "lead", "examples_per_second")
PAIRS = {"factor": "pairs", "lead": "lead_pairs"}  # the rounds behind each
NEEDED = [
    *("label", "baseline", "consumer", "runs", "failed", "verdict", "lead_verdict"),
    *("is_baseline", "best", "ranked", "unstable", "not_steady", "spread", "flags"),
    *("offline_seconds", "foreign_cpu_share", "steal_share", *PAIRS.values()),
    *(f"{name}{end}" for name in QUANTITIES for end in ("", "_low", "_high")),
]
ERRORS = "The errors are listed below; run the command of a row to see its error again."
SIMPLER = "take the simpler one."
ROUNDS = "Measure more rounds: --rounds 5."

Row = Mapping[str, object]


@dataclass(frozen=True)
class Caution:
    """A caution is a sentence on something that weakens a result, with a remedy."""

    what: str
    remedy: str


def sentence(rows: Sequence[Row]) -> str:
    """Return a sentence on which trial is fastest, by what factor, and how certainly.

    Args:
        rows: The rows of one scene from `stats.trials`, with all columns of `NEEDED`.
    """
    if not any(row["runs"] for row in rows):
        failed = sum(row["failed"] for row in rows)
        return f"Nothing could be measured: {failed} of {failed} runs failed."
    best = next((row for row in rows if row["best"]), None)
    lost = sum(row["runs"] == 0 and row["failed"] > 0 for row in rows)
    tail = f" {lost} of {len(rows)} trials failed." if lost else ""
    if best is None:
        return f"No trial here can be ranked: see the cautions.{tail}"
    name_of = names([row["label"] for row in rows])
    others = [row for row in rows if row["ranked"] and not row["best"]]
    if not others:
        return f"{_alone(best, rows, name_of)}{_once(best)}{tail}"
    few = all(row["lead_pairs"] < FEWEST_ROUNDS for row in others)
    won = _won(best, rows, name_of, few)
    lead = _lead(best, others, name_of, compared(rows, "lead"))
    return f"{won}{lead}{_once(best)}{tail}"


def barred(row: Row) -> bool:
    """Return whether a measured trial has a flag that excludes it from ranking."""
    return bool(row["runs"]) and not set(NOT_RANKED).isdisjoint(row["flags"].split(";"))


def compared(rows: Sequence[Row], name: str) -> int:
    """Return how many comparisons of a scene the joint verdicts are corrected for.

    A scene is a set of comparable trials. They are compared with the baseline
    (`factor`) or with the best trial (`lead`).
    """
    return sum(
        row[PAIRS[name]] >= FEWEST_ROUNDS and row[f"{name}_low"] < row[f"{name}_high"]
        for row in rows
    )


def jointly(rows: Sequence[Row]) -> str:
    """Return why a verdict is unknown although its interval excludes 1.

    The text is empty if no verdict of the scene needs this explanation.
    """
    if not any(
        row["verdict"] == UNKNOWN
        and row["pairs"] >= FEWEST_ROUNDS
        and (row["factor_low"] > 1 or row["factor_high"] < 1)
        for row in rows
    ):
        return ""
    return (
        f"Verdicts count all {compared(rows, 'factor')} comparisons together (Holm), "
        f"at a margin of {_margin(rows[0])}; each interval is for one alone."
    )


def cautions(rows: Sequence[Row]) -> list[Caution]:
    """Return cautions about what weakens a scene's results, the worst first.

    A caution has a sentence and a remedy. A scene is a set of comparable trials.
    """
    name_of = names([row["label"] for row in rows])
    warnings: list[Caution] = []

    def add(some: list[Row], what: str, remedy: str) -> None:
        if some:
            warnings.append(Caution(f"{_names(some, name_of)}: {what}", remedy))

    failed = sum(row["failed"] for row in rows)
    what = f"{failed} run{'s' if failed > 1 else ''} failed."
    add([row for row in rows if row["failed"] > 0], what, ERRORS)
    for name, flag in FLAGS.items():
        flagged = [row for row in rows if name in row["flags"].split(";")]
        add(flagged if flag.caution else [], flag.caution, flag.remedy)
    add([row for row in rows if row["runs"] == 1], "one run: no interval.", ROUNDS)
    few = [row for row in rows if 1 < row["runs"] < FEWEST_ROUNDS]
    add(few, "two runs: an interval, but too few for a verdict.", ROUNDS)
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
        "Warm up for longer; the spread figure shows what drifts.",
    )
    add(
        [row for row in rows if row["runs"] and not row["pairs"]],
        "no round in common with the baseline, so there is no factor.",
        "Complete the sweep with --resume.",
    )
    return warnings


def _alone(best: Row, rows: Sequence[Row], name_of: Mapping[str, str]) -> str:
    """Return the sentence for a scene in which only one trial may be ranked."""
    name, rate = name_of[best["label"]], _rate(best)
    unranked = [row for row in rows if row["runs"] and not row["ranked"]]
    if not unranked:
        return f"Only {name} was measured: {rate}; there is nothing to compare it with."
    one = len(unranked) == 1
    are = "was measured too, but is" if one else "were measured too, but are"
    return (
        f"Only {name} can be ranked: {rate}. {_names(unranked, name_of)} {are} not "
        "ranked: see the cautions."
    )


def _rate(row: Row) -> str:
    rate, interval = rounded_with_bounds(row, "examples_per_second")
    return f"{rate} examples a second" + (f" ({interval})" if interval else "")


def _won(best: Row, rows: Sequence[Row], name_of: Mapping[str, str], few: bool) -> str:
    """Return a sentence on which trial is fastest, and by what factor.

    Args:
        best: The row of the best trial.
        rows: All rows of the scene.
        name_of: The short name of each trial, by its label.
        few: Whether no other trial shares enough rounds with the best for a verdict.
    """
    name = name_of[best["label"]]
    if best["is_baseline"] and few:
        return f"{name} was fastest (two rounds or one: a hint, not a result)."
    if best["is_baseline"]:
        return f"{name} won: nothing {_faster(rows)}."
    factor, interval = rounded_with_bounds(best, "factor")
    against, rounds = name_of[best["baseline"]], int(best["pairs"])
    if not rounds:
        return (
            f"{name} came first with {_rate(best)}. It shares no round with {against}, "
            "so there is no factor: complete the sweep with --resume."
        )
    if rounds < FEWEST_ROUNDS:
        how = f"{interval} from two rounds:" if interval else "one round: no interval,"
        how += " a hint, not a result" if few else " this factor is a hint"
        return f"{name} was fastest, {factor} times as fast as {against} ({how})."
    sure = f"95 % interval {interval}, {rounds} rounds"
    if best["verdict"] == FASTER:
        return f"{name} won: {factor} times as fast as {against} ({sure})."
    count = compared(rows, "factor")
    if count > 1 and best["factor_low"] > 1 + MARGINS[best["consumer"]]:
        return (
            f"{name} came first: {factor} times as fast as {against} (95 % interval "
            f"{interval} by itself, {rounds} rounds). With all {count} comparisons "
            f"counted the verdict is {UNKNOWN}. More rounds settle it: --rounds "
            f"{_more(rounds)}."
        )
    return (
        f"{name} came first, but its verdict against {against} is {best['verdict']} "
        f"at a margin of {_margin(best)}: {factor} times as fast ({sure})."
    )


def _faster(rows: Sequence[Row]) -> str:
    seemed = [row for row in rows if row["factor"] > 1]
    if any(map(barred, seemed)):
        return "that may be ranked was shown to be faster"
    return "here was shown to be faster" if seemed else "here was faster"


def _lead(
    best: Row, others: Sequence[Row], name_of: Mapping[str, str], count: int
) -> str:
    """Return sentences on how far the best trial is ahead of the others."""
    met = [row for row in others if row["lead_pairs"]]
    if not met:
        return " No other trial shares a round with it."
    lead = _runner_up(best, met, name_of, count)
    # `_won` reports a baseline that shares no round with the best.
    apart = [o for o in others if not (o["lead_pairs"] or o["is_baseline"])]
    if apart:
        lead += f" {name_of[best['label']]} shares no round with "
        lead += f"{_names(apart, name_of)}: how far apart they are was not measured."
    return lead


def _runner_up(
    best: Row, others: Sequence[Row], name_of: Mapping[str, str], count: int
) -> str:
    """Return a sentence on the second trial, or on all that may be as fast as the best.

    Args:
        best: The row of the best trial.
        others: Rows of trials that share a round with the best.
        name_of: The short name of each trial, by its label.
        count: How many comparisons the verdicts are corrected for.
    """
    others = sorted(others, key=itemgetter("lead"))
    # A trial with too few rounds for a verdict is no rival; a caution names it.
    many = [row for row in others if row["lead_pairs"] >= FEWEST_ROUNDS]
    rivals = [row for row in many if row["lead_verdict"] != FASTER]
    second = (many or others)[0]
    if second["is_baseline"]:
        second = others[0]
    lead, interval = rounded_with_bounds(second, "lead")
    name = name_of[second["label"]]
    known = second["is_baseline"] and second["lead_verdict"] != UNCHANGED
    if len(others) == 1 and known:
        return ""  # `_won` compares the two
    long = f"{lead} times as long" + (f" ({interval})" if interval else "")
    if not rivals and second["lead_pairs"] < FEWEST_ROUNDS:
        if second["lead"] < 1:
            return f" {name} took {long}, but in too few rounds for a verdict."
        return f" The runner-up was {name}, which took {long}."
    if not rivals and second["is_baseline"]:
        return " The runner-up is the baseline itself."
    if not rivals:
        return f" The runner-up is {name}, which takes {long}."
    nearest = rivals[0]
    name, interval = name_of[nearest["label"]], rounded_with_bounds(nearest, "lead")[1]
    takes = f"takes {interval} times as long"
    if len(rivals) == 1 and nearest["lead_verdict"] == UNCHANGED:
        return (
            f" Against {name} the verdict is {UNCHANGED} within {_margin(best)} "
            f"({name} {takes}): {SIMPLER}"
        )
    counted = nearest["lead_low"] > 1 + MARGINS[best["consumer"]] and count > 1
    joint = f", all {count} comparisons counted" if counted else ""
    return (
        f" Against {_names(rivals, name_of)} the verdict is {UNKNOWN} at a margin of "
        f"{_margin(best)}{joint} ({name} {takes})."
    )


def _margin(row: Row) -> str:
    return f"{100 * MARGINS[row['consumer']]:.0f} %"


def _once(best: Row) -> str:
    seconds = best["offline_seconds"]
    if not seconds > 0:
        return ""
    return f" The {figure(seconds)} s of its preparation beforehand are not counted."


def _more(rounds: int) -> int:
    return max(MANY_ROUNDS, 2 * rounds)


def _calm(rows: Sequence[Row]) -> str:
    foreign, steal = (_most(rows, n) for n in ("foreign_cpu_share", "steal_share"))
    if foreign > BUSY_SHARE:
        return (
            f"Other processes took {100 * foreign:.0f} % of the CPU: stop them and "
            "measure again."
        )
    if steal > BUSY_SHARE / 2:
        return (
            f"The hypervisor took {100 * steal:.0f} % of the CPU: use a dedicated "
            "machine."
        )
    rounds = _more(max((row["runs"] for row in rows), default=0))
    return f"Measure more rounds (--rounds {rounds}), or longer on a quiet machine."


def _most(rows: Sequence[Row], name: str) -> float:
    return max((row[name] for row in rows if not pd.isna(row[name])), default=0.0)


def _names(rows: Sequence[Row], name_of: Mapping[str, str]) -> str:
    return listed([name_of[row["label"]] for row in rows])


def listed(names: Sequence[str]) -> str:
    """Join the first names for a sentence, and add the number of names left out."""
    shown, rest = names[:MOST_NAMES], len(names[MOST_NAMES:])
    between = "; " if any("," in name for name in shown) else ", "
    return between.join(shown) + (f" and {rest} more" if rest else "")
