"""Decisions: the margins, and the one function that gives stored figures a verdict.

`compare A B` and a guard on stored figures decide through `judge`, so that the same
folders get the same verdicts. A live guard, whose processes take turns, spends its
errors over time and decides by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import stats as distributions

from bench import failures
from bench.analysis.intervals import CONFIDENCE, Interval, as_ratio, between, bounds
from bench.data.identity import CHANGED, InputIdentity, difference, input_identity
from bench.flags import NOT_RANKED
from bench.machine import identity
from bench.text import plural
from bench.trial import CONSUMER_ROWS, Run, Trial

FEWEST_ROUNDS = 3  # two rounds agree by chance so often that a verdict would mislead
MARGINS = {name: row.margin for name, row in CONSUMER_ROWS.items()}


@dataclass(frozen=True, kw_only=True)
class Side:
    """A side is one of the two measurements of a trial, without its figures.

    Attributes:
        trial: The whole trial.
        machine: What identifies the machine and the versions.
        inputs: What identifies the inputs.
        flags: The flags of its runs that bar a trial from ranking.
        change: How the inputs of its runs differ from each other; empty if unknown.
        failure: Why a run failed; empty if every run went well.
    """

    trial: Trial
    machine: tuple
    inputs: InputIdentity
    flags: tuple[str, ...] = ()
    change: str = ""
    failure: str = ""


def side(runs: Sequence[Run], change: str = "") -> Side:
    """Return the side that some runs of one trial make.

    Args:
        runs: The runs that count, at least one; see `store.without_repeats`.
        change: How the inputs of the runs differ from each other; empty if unknown.
    """
    errors = [run.measured.error for run in runs if run.measured.error]
    first = next((run for run in runs if not run.measured.error), runs[0])
    flags = {flag for run in runs for flag in run.measured.flags}
    return Side(
        trial=first.trial,
        machine=identity(first.machine),
        inputs=input_identity(first.measured),
        flags=tuple(flag for flag in NOT_RANKED if flag in flags),
        change=change,
        failure=failures.sentence(errors[-1]) if errors else "",
    )


class Obstacle(NamedTuple):
    """An obstacle is why a trial gets no verdict from its figures.

    Attributes:
        verdict: One of `verdicts.STATES`, or `unknown`.
        reason: The reason, one line.
    """

    verdict: str
    reason: str


def obstacle(
    base: Side | None, head: Side | None, names: tuple[str, str] = ("base", "head")
) -> Obstacle | None:
    """Return why a trial gets no verdict, whatever its figures are.

    A trial of which one run failed counts as failed: it may fail again. A failure in
    base says nothing of head.

    Args:
        base: The side to compare with; None if the trial is not in it.
        head: The side that is judged; None likewise.
        names: What the reason calls the two sides.
    """
    ours, theirs = names
    if head is not None and head.failure:
        return Obstacle("failed", head.failure)
    if base is not None and base.failure:
        return Obstacle("not_comparable", f"{ours} failed: {base.failure}")
    if base is None:
        return Obstacle("not_comparable", f"it is not in {ours}")
    if head is None:
        return Obstacle("missing", f"it is in {ours} and not in {theirs}")
    if reason := _unlike(base, head, names):
        return Obstacle("not_comparable", reason)
    flags = [
        f"{flag} in {name}"
        for name, one in zip(names, (base, head), strict=True)
        for flag in one.flags
    ]
    return Obstacle("unknown", ", ".join(flags)) if flags else None


def _unlike(base: Side, head: Side, names: tuple[str, str]) -> str:
    """Return in what two sides differ that both have the trial; empty if they agree."""
    if base.machine != head.machine:
        return f"{names[0]} has another machine, container limit or version"
    if base.trial != head.trial:
        return "the whole pipeline behind this key differs"
    for one in (base, head):
        if CHANGED in one.flags:
            changed = "its data changed between rounds"
            return f"{changed}. {one.change}" if one.change else changed
    return difference(base.inputs, head.inputs, names)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A comparison is one trial and metric on two sides that took no turns.

    Attributes:
        base: The figures of base, one a run; more is worse.
        head: The figures of head.
        margin: The relative change from which a difference counts, such as 0.03.
        obstacle: Why there is no verdict whatever the figures are; None for no reason.
        only_slower: Whether only a slow-down matters, so that what is not slower is
            unchanged.
    """

    base: Sequence[float]
    head: Sequence[float]
    margin: float
    obstacle: Obstacle | None = None
    only_slower: bool = False


@dataclass(frozen=True)
class Decision:
    """A decision is the verdict on one comparison.

    Attributes:
        verdict: One of `verdicts.OUTCOMES`.
        reason: Why, one line; empty if the figures show it.
        ratio: Head over base; NaN where a side has no figures. Each interval holds
            95 % by itself, while verdicts hold jointly.
    """

    verdict: str
    reason: str
    ratio: Interval


def judge(comparisons: Sequence[Comparison]) -> list[Decision]:
    """Decide comparisons together, so that their verdicts hold jointly.

    A ratio is that of geometric means over runs, with Welch's interval on the log
    scale. What changed between the two times, such as heat, is in the ratio and not in
    the interval.
    """
    if not comparisons:
        return []
    differences = [between(one.head, one.base) for one in comparisons]
    counts = [min(len(one.head), len(one.base)) for one in comparisons]
    enough = np.array(
        [
            one.obstacle is None and count >= FEWEST_ROUNDS
            for one, count in zip(comparisons, counts, strict=True)
        ]
    )
    margins = np.array([one.margin for one in comparisons])
    words = joint(*np.array(differences).T, margins, enough)
    decisions = []
    for number, one in enumerate(comparisons):
        ratio = as_ratio(differences[number], counts[number])
        verdict, reason = str(words[number]), ""
        alone = ratio.low > 1 + one.margin or ratio.high < 1 / (1 + one.margin)
        if one.obstacle is not None:
            verdict, reason = one.obstacle
        elif not enough[number]:
            runs = plural(counts[number], "run")
            reason = f"{runs} of a side: a verdict needs {FEWEST_ROUNDS}"
        elif verdict == "unknown" and one.only_slower and ratio.high <= 1 + one.margin:
            verdict = "unchanged"
        elif verdict == "unknown" and alone:
            reason = (
                f"beyond {100 * one.margin:.3g} % by itself, but not certain once all "
                f"{enough.sum()} comparisons are counted (Holm)"
            )
        decisions.append(Decision(verdict, reason, ratio))
    return decisions


def joint(
    estimate: np.ndarray,
    error: np.ndarray,
    freedom: np.ndarray,
    margin: np.ndarray,
    enough: np.ndarray,
    group: np.ndarray | None = None,
) -> np.ndarray:
    """Return verdicts that hold jointly within each group, by Holm's method.

    Slower and faster: the p value against a ratio within the margin is below 2.5 % on
    one side, after Holm's adjustment. Unchanged: the 95 % interval is in the margin.

    Args:
        estimate: Logs of ratios of seconds, `[comparisons]`.
        error: Their standard errors; NaN where one run gives none.
        freedom: The degrees of freedom of the errors.
        margin: The relative change from which a difference counts.
        enough: Whether there are enough runs for a verdict.
        group: The number of each comparison's group; None for one group.
    """
    edge = np.log1p(margin)
    with np.errstate(divide="ignore", invalid="ignore"):
        above = distributions.t.sf((estimate - edge) / error, freedom)
        below = distributions.t.cdf((estimate + edge) / error, freedom)
    p = np.fmin(above, below)
    itself = (estimate == 0) & (error == 0)  # a trial with itself is no comparison
    p[itself | ~enough] = np.nan
    group = np.zeros(len(p), int) if group is None else group
    adjusted = np.full(len(p), np.nan)
    for number in np.unique(group):
        adjusted[group == number] = holm(p[group == number])
    certain = adjusted < (1 - CONFIDENCE) / 2
    low, high = bounds(estimate, error, freedom)
    return np.select(
        [
            certain & (estimate > 0),
            certain & (estimate < 0),
            enough & (low >= -edge) & (high <= edge),
        ],
        ["slower", "faster", "unchanged"],
        "unknown",
    )


def verdict(interval: Interval, margin: float) -> str:
    """Return the verdict on one ratio of seconds by itself.

    Slower: the whole interval is above 1 + margin. Faster: below 1 / (1 + margin), the
    same distance on the log scale. Unchanged: between the two, which is the test of
    equivalence by two one-sided tests (Schuirmann 1987). Unknown: anything else, such
    as a single run, which has no interval.
    """
    if interval.low > 1 + margin:
        return "slower"
    if interval.high < 1 / (1 + margin):
        return "faster"
    if interval.low >= 1 / (1 + margin) and interval.high <= 1 + margin:
        return "unchanged"
    return "unknown"


def holm(p: np.ndarray) -> np.ndarray:
    """Return p values adjusted for their number; NaN stays NaN and does not count.

    p(i) * (n - i + 1) for the i-th smallest of n, never falling. Source: Holm (1979).
    """
    adjusted = np.full(len(p), np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known])]
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(steps))
    return adjusted
