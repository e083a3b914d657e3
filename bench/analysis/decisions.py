"""This module decides whether head is slower than base, by stored measurements.

Base is the state to compare with, head the state that gets the verdict. `compare A B`
and a guard on stored values decide through `judge`, so that the same folders get the
same verdicts. A live guard, whose processes take turns, has a sequential test of its
own.
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
    """A side has the facts on one of two sets of runs to compare, without their times.

    One side is base, the state to compare with. The other side is head, the state that
    gets the verdict. Both have runs of one trial.

    Attributes:
        trial: The trial with all its settings.
        machine: The facts that identify the machine and the versions.
        inputs: The digests that identify the inputs.
        flags: The flags of the runs that exclude a trial from ranking.
        change: How the inputs of the runs differ from each other; empty if unknown.
        failure: Why a run failed; empty if every run went well.
    """

    trial: Trial
    machine: tuple
    inputs: InputIdentity
    flags: tuple[str, ...] = ()
    change: str = ""
    failure: str = ""


def side(runs: Sequence[Run], change: str = "") -> Side:
    """Return the facts on a trial's runs that decide whether the runs can be compared.

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
    """An obstacle is the reason why measured times give a trial no verdict.

    Attributes:
        verdict: One of `verdicts.STATES`, or `unknown`.
        reason: The reason, one line.
    """

    verdict: str
    reason: str


def obstacle(
    base: Side | None, head: Side | None, names: tuple[str, str] = ("base", "head")
) -> Obstacle | None:
    """Return why a trial of base and head gets no verdict; None if it can get one.

    The measured times play no part. A trial with one failed run counts as failed,
    because it may fail again. A failure in base is no evidence about head.

    Args:
        base: The facts on base, which head is compared with; None if base lacks the
            trial.
        head: The facts on head, which gets the verdict; None if head lacks the trial.
        names: The names of the two sides in the text of the reason.
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
    """Return why two sides cannot be compared; empty if they can."""
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
    """A comparison has the values of one trial and metric on two sides, base and head.

    Base is the state to compare with, head the state that gets the verdict. The two
    were measured independently, not by processes that took turns.

    Attributes:
        base: The values of base, one for each run; a larger value is worse.
        head: The values of head, one for each run.
        margin: The relative change from which a difference counts, such as 0.03.
        obstacle: The reason why the values give no verdict; None if there is no such
            reason.
        only_slower: Whether only a slow-down matters. Then a result that is certainly
            not slower is `unchanged`.
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
        reason: The reason for the verdict, one line; empty if the ratio shows it.
        ratio: Head over base, with a 95 % interval that ignores all other comparisons,
            while verdicts are corrected for their number; NaN if a side has no values.
    """

    verdict: str
    reason: str
    ratio: Interval


def judge(comparisons: Sequence[Comparison]) -> list[Decision]:
    """Return a decision for each comparison, corrected for the number of comparisons.

    A ratio compares geometric means over runs, with Welch's interval on the log scale.
    A change of the machine between the two measurements, such as heat, is part of the
    ratio but not of the interval. The correction is that of Holm (1979).
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
    """Return verdicts on ratios, corrected by Holm's method within each group.

    A verdict is `slower` or `faster` if the ratio is beyond the margin with a one-sided
    p value below 2.5 %, after Holm's correction. It is `unchanged` if the 95 % interval
    is within the margin, and `unknown` otherwise.

    Args:
        estimate: Logs of ratios of seconds, `[comparisons]`.
        error: Standard errors of these logs; NaN if there is a single run.
        freedom: The degrees of freedom of the errors.
        margin: The relative change from which a difference counts.
        enough: Whether there are enough runs for a verdict.
        group: The number of each comparison's group; None if all are one group.
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
    """Return the verdict on one ratio of seconds, without correction for other ratios.

    The verdict is `slower` if the whole interval is above 1 + margin, and `faster` if
    it is below 1 / (1 + margin), which is as far from 1 on the log scale. It is
    `unchanged` if the interval is between the two: the test of equivalence by two
    one-sided tests (Schuirmann 1987). Otherwise it is `unknown`, as for a single run,
    which has no interval.
    """
    if interval.low > 1 + margin:
        return "slower"
    if interval.high < 1 / (1 + margin):
        return "faster"
    if interval.low >= 1 / (1 + margin) and interval.high <= 1 + margin:
        return "unchanged"
    return "unknown"


def holm(p: np.ndarray) -> np.ndarray:
    """Return p values corrected for their number by Holm's method; NaN stays NaN.

    Of n known values the i-th smallest is multiplied by n - i + 1. A corrected value is
    at least as large as that of any smaller p value. Source: Holm (1979).
    """
    adjusted = np.full(len(p), np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known])]
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(steps))
    return adjusted
