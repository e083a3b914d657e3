"""A record of a guard holds a row for each trial and metric, and how they compare."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from bench.analysis.intervals import Interval
from bench.analysis.verdicts import GRAVEST_FIRST, OUTCOMES
from bench.errors import Exit

BUDGET_SECONDS = 300.0  # of a live guard

Verdict = Literal[
    "failed",
    "missing",
    "slower",
    "not_comparable",
    "unknown",
    "faster",
    "unchanged",
]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row is the verdict on one trial and one metric.

    Attributes:
        key: The trial's spelled identity.
        metric: A name of `metrics.METRICS`.
        verdict: The verdict on head against base.
        ratio: Head over base, more than 1 where head is worse; None if unknown.
        low: The lower bound of the ratio's interval, at the confidence that the verdict
            needs; None if there is no interval.
        high: The upper bound.
        threshold: The relative change from which a slow-down counts, such as 0.03.
        count: How many trios of processes, or runs of a side, the ratio comes from.
        turns: How many rounds of turns the ratio comes from; 0 for stored figures.
        log_ratios: The log-ratio of each trio, in the order in which the trios ran.
        output_changed: Whether a deterministic trial's outputs differ.
        cause: Why the verdict is what it is, one line; empty if the figures show it.
        stalls: How much time stalls take, one line; empty if time flows evenly.
    """

    key: str
    metric: str
    verdict: Verdict
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    threshold: float = 0.03
    count: int = 0
    turns: int = 0
    log_ratios: list[float] = field(default_factory=list)
    output_changed: bool = False
    cause: str = ""
    stalls: str = ""


@dataclass(frozen=True, kw_only=True)
class GuardResult:
    """A guard's result holds what was compared, how, and each verdict.

    Attributes:
        base: What head was compared with, such as `ref 1a2b3c4`, a file, or a folder.
        head: What was under test.
        how: `lockstep` for live processes that took turns, or `stored`.
        rows: The rows, one a trial and metric.
        control: The rows of the A/A control, base against base by the same turns;
            empty if nothing ran live.
        reference: Seconds an example of the pinned reference workload, measured in the
            same run; None if it was not measured.
        seconds_per_example: Head's seconds an example by key, for the history; empty
            for stored figures.
        false_alarms: The expected rate of false alarms of all rows together; None for
            stored figures, where the rate is unknown.
        started: When the guard started, UTC, ISO 8601.
        seconds: How long the guard took.
        seed: The seed of the processes.
        machine: What identifies the machine and the versions.
        conditions: Load, steal and other processes' CPU during the guard.
        notes: What a reader has to know, one line each.
        not_looked_at: What the verdicts do not cover, one line each.
    """

    base: str
    head: str
    how: Literal["lockstep", "stored"]
    rows: list[Row]
    control: list[Row] = field(default_factory=list)
    reference: float | None = None
    seconds_per_example: dict[str, float] = field(default_factory=dict)
    false_alarms: float | None = 0.05
    started: str = ""
    seconds: float = 0.0
    seed: int = 0
    machine: dict[str, object] = field(default_factory=dict)
    conditions: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    not_looked_at: list[str] = field(default_factory=list)


class Interrupted(KeyboardInterrupt):
    """This error means that Ctrl-C interrupted a guard; it holds the verdicts so far.

    Attributes:
        result: The result. A row that had no verdict yet is `unknown`, and its cause is
            the interrupt.
    """

    def __init__(self, result: GuardResult) -> None:
        """Store the result."""
        super().__init__("the guard was interrupted")
        self.result = result


def without_figures(
    key: str, thresholds: Mapping[str, float], verdict: Verdict, cause: str
) -> dict[str, Row]:
    """Return the rows, by metric, of a trial that was not compared, with the cause."""
    return {
        metric: Row(
            key=key, metric=metric, verdict=verdict, threshold=threshold, cause=cause
        )
        for metric, threshold in thresholds.items()
    }


def ratio_figures(interval: Interval) -> dict[str, float | None]:
    """Return an interval as the fields `ratio`, `low` and `high` of a row.

    A number that is not known, NaN in the interval, is None in the row.
    """
    values = (interval.estimate, interval.low, interval.high)
    known = (None if math.isnan(value) else value for value in values)
    return dict(zip(("ratio", "low", "high"), known, strict=True))


def outputs_differ(base: str, head: str) -> bool:
    """Return whether two fingerprints of outputs differ; False if one is empty.

    Random and unchecked outputs have an empty fingerprint.
    """
    return bool(base and head) and base != head


def exit_code(guarded: GuardResult, *, unknown_passes: bool = False) -> Exit:
    """Return the exit code of the gravest verdict; a guard without rows never passes.

    Args:
        guarded: The result.
        unknown_passes: Whether `unknown` counts as `unchanged`.
    """
    verdicts = {row.verdict for row in guarded.rows}
    if not verdicts:
        return Exit.MISSING
    if unknown_passes:
        verdicts -= {"unknown"}
    gravest = next((one for one in GRAVEST_FIRST if one in verdicts), "unchanged")
    return OUTCOMES[gravest].exit
