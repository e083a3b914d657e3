"""What a scene's trials say in plain words: who won, how sure that is, what weakens it.

A trial is called by its strategy and by the settings that set it apart within the
scene; the rows of the tables have its whole label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

import pandas as pd

from bench.analysis.stats import UNSTABLE_SPREAD
from bench.analysis.verdicts import FEWEST_ROUNDS, MARGINS
from bench.flags import FLAGS, NOT_RANKED
from bench.report.labels import names
from bench.text import figure, triple

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
ERRORS = "The errors are listed below; run the command of the row to see one again."
SIMPLER = "take the simpler one."
ROUNDS = "Measure more rounds: --rounds 5."

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
    lost = sum(row["runs"] == 0 and row["failed"] > 0 for row in rows)
    tail = f" {lost} of {len(rows)} trials failed." if lost else ""
    if best is None:
        return f"No trial here can be ranked: see the cautions.{tail}"
    called = names([row["label"] for row in rows])
    others = [row for row in rows if row["ranked"] and not row["best"]]
    if not others:
        return f"{_alone(best, rows, called)}{_once(best)}{tail}"
    few = all(row["lead_pairs"] < FEWEST_ROUNDS for row in others)
    won = _won(best, rows, called, few)
    lead = _lead(best, others, called, compared(rows, "lead"))
    return f"{won}{lead}{_once(best)}{tail}"


def barred(row: Row) -> bool:
    """Whether a trial did other work than it is compared on, so has no rank."""
    return bool(row["runs"]) and not set(NOT_RANKED).isdisjoint(row["flags"].split(";"))


def compared(rows: Sequence[Row], name: str) -> int:
    """How many comparisons of a scene the verdicts on `factor` or `lead` count."""
    return sum(
        row[PAIRS[name]] >= FEWEST_ROUNDS and row[f"{name}_low"] < row[f"{name}_high"]
        for row in rows
    )


def jointly(rows: Sequence[Row]) -> str:
    """Why an interval beside 1 has no verdict, where a row of the scene is so."""
    if not any(
        row["verdict"] == "unknown"
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
    """What weakens the results of a scene, gravest first, each with its remedy."""
    called = names([row["label"] for row in rows])
    found = []

    def add(some: list[Row], what: str, remedy: str) -> None:
        if some:
            found.append(Caution(f"{_names(some, called)}: {what}", remedy))

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
        "Warm up for longer, or look at the spread figure for what drifts.",
    )
    add(
        [row for row in rows if row["runs"] and not row["pairs"]],
        "no round in common with the baseline, so there is no factor.",
        "Complete the sweep with --resume.",
    )
    return found


def _alone(best: Row, rows: Sequence[Row], called: Mapping[str, str]) -> str:
    """What is said where one trial may be ranked, and no other."""
    name, rate = called[best["label"]], _rate(best)
    unranked = [row for row in rows if row["runs"] and not row["ranked"]]
    if not unranked:
        return f"Only {name} was measured: {rate}; there is nothing to compare it with."
    one = len(unranked) == 1
    are = "was measured too, but is" if one else "were measured too, but are"
    return (
        f"Only {name} can be ranked: {rate}. {_names(unranked, called)} {are} not "
        "ranked: see the cautions."
    )


def _rate(row: Row) -> str:
    rate, interval = triple(row, "examples_per_second")
    return f"{rate} examples a second" + (f" ({interval})" if interval else "")


def _won(best: Row, rows: Sequence[Row], called: Mapping[str, str], few: bool) -> str:
    """Who is first by what factor; `few` if no lead has the rounds for a verdict."""
    name = called[best["label"]]
    if best["is_baseline"] and few:
        return f"{name} was fastest (two rounds or one: a hint and not a result)."
    if best["is_baseline"]:
        return f"{name} won: nothing {_faster(rows)}."
    factor, interval = triple(best, "factor")
    against, rounds = called[best["baseline"]], int(best["pairs"])
    if not rounds:
        return (
            f"{name} came first with {_rate(best)}. It shares no round with {against}, "
            "so there is no factor: complete the sweep with --resume."
        )
    if rounds < FEWEST_ROUNDS:
        how = f"{interval} from two rounds:" if interval else "one round: no interval,"
        how += " a hint and not a result" if few else " this factor is a hint"
        return f"{name} was fastest, {factor} times as fast as {against} ({how})."
    sure = f"95 % interval {interval}, {rounds} rounds"
    if best["verdict"] == "faster":
        return f"{name} won: {factor} times as fast as {against} ({sure})."
    count = compared(rows, "factor")
    if count > 1 and best["factor_low"] > 1 + MARGINS[best["consumer"]]:
        return (
            f"{name} came first: {factor} times as fast as {against} (95 % interval "
            f"{interval} by itself, {rounds} rounds), not yet certain once all {count} "
            f"comparisons are counted. More rounds settle it: --rounds {_more(rounds)}."
        )
    return (
        f"{name} came first, but is not shown to be faster than {against} by more than "
        f"{_margin(best)}: {factor} times as fast ({sure})."
    )


def _faster(rows: Sequence[Row]) -> str:
    seemed = [row for row in rows if row["factor"] > 1]
    if any(map(barred, seemed)):
        return "that may be ranked was shown to be faster"
    return "here was shown to be faster" if seemed else "here was faster"


def _lead(
    best: Row, others: Sequence[Row], called: Mapping[str, str], count: int
) -> str:
    met = [row for row in others if row["lead_pairs"]]
    if not met:
        return " No other shares a round with it."
    said = _runner_up(best, met, called, count)
    # That it shares none with the baseline has been said.
    apart = [o for o in others if not (o["lead_pairs"] or o["is_baseline"])]
    if apart:
        said += f" {called[best['label']]} shares no round with "
        said += f"{_names(apart, called)}: how far apart they are was not measured."
    return said


def _runner_up(
    best: Row, others: Sequence[Row], called: Mapping[str, str], count: int
) -> str:
    """Who comes next, and who cannot be told from the best; all have a lead."""
    others = sorted(others, key=itemgetter("lead"))
    # What has too few rounds for a verdict is no rival: a caution says so.
    many = [row for row in others if row["lead_pairs"] >= FEWEST_ROUNDS]
    rivals = [row for row in many if row["lead_verdict"] != "faster"]
    second = (many or others)[0]
    if second["is_baseline"]:
        second = others[0]
    lead, interval = triple(second, "lead")
    name = called[second["label"]]
    known = second["is_baseline"] and second["lead_verdict"] != "unchanged"
    if len(others) == 1 and known:
        return ""  # that has been said
    long = f"{lead} times as long" + (f" ({interval})" if interval else "")
    if not rivals and second["lead_pairs"] < FEWEST_ROUNDS:
        if second["lead"] < 1:
            return f" {name} took {long}, but in too few rounds to tell."
        return f" The runner-up was {name}, which took {long}."
    if not rivals and second["is_baseline"]:
        return " The runner-up is the baseline itself."
    if not rivals:
        return f" The runner-up is {name}, which takes {long}."
    nearest = rivals[0]
    name, interval = called[nearest["label"]], triple(nearest, "lead")[1]
    takes = f"takes {interval} times as long"
    if len(rivals) == 1 and nearest["lead_verdict"] == "unchanged":
        return f" {name} is as fast within {_margin(best)} (it {takes}): " + SIMPLER
    counted = nearest["lead_low"] > 1 + MARGINS[best["consumer"]] and count > 1
    joint = f", all {count} comparisons counted," if counted else ""
    whom = "it" if len(rivals) == 1 else name
    return (
        f" At a margin of {_margin(best)}{joint} it cannot be told from "
        f"{_names(rivals, called)} ({whom} {takes})."
    )


def _margin(row: Row) -> str:
    return f"{100 * MARGINS[row['consumer']]:.0f} %"


def _once(best: Row) -> str:
    seconds = best["offline_seconds"]
    if not seconds > 0:
        return ""
    return f" The {figure(seconds)} s it prepares once before are not in this."


def _more(rounds: int) -> int:
    return max(MANY_ROUNDS, 2 * rounds)


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
    rounds = _more(max((row["runs"] for row in rows), default=0))
    return f"Measure more rounds (--rounds {rounds}), or longer on a quiet machine."


def _most(rows: Sequence[Row], name: str) -> float:
    return max((row[name] for row in rows if not pd.isna(row[name])), default=0.0)


def _names(rows: Sequence[Row], called: Mapping[str, str]) -> str:
    return listed([called[row["label"]] for row in rows])


def listed(names: Sequence[str]) -> str:
    """The first of several names in a sentence, and how many more there are."""
    shown, rest = names[:MOST_NAMES], len(names[MOST_NAMES:])
    between = "; " if any("," in name for name in shown) else ", "
    return between.join(shown) + (f" and {rest} more" if rest else "")
