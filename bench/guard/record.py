"""The nouns of the guard: a row a trial and metric, and the record of a whole guard."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from bench.errors import Exit

BUDGET_SECONDS = 300.0  # of a live guard

Verdict = Literal[
    "slower",
    "faster",
    "unchanged",
    "unknown",
    "not_comparable",
    "missing",
    "failed",
]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One trial and metric, judged. More is worse for every metric.

    Attributes:
        key: The trial's spelled identity.
        metric: A name of `guard_metrics.METRICS`.
        verdict: Of head against base.
        ratio: Head over base; None where there is none.
        low: Of its interval, as wide as the verdict needs; None with fewer than two.
        high: The same.
        threshold: The relative change from which a slow-down counts, such as 0.03.
        count: Pairs of processes (or of runs) behind the ratio.
        turns: Pairs of turns behind them, 0 where there were none.
        log_ratios: One a pair of processes, in the order in which they ran.
        output_changed: Whether a deterministic trial's outputs differ.
        cause: Why the verdict is what it is, one line; empty where figures say it.
        stalls: What takes long only now and then, one line; empty where time flows
            evenly.
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
    """A whole guard: what was compared, how, and each verdict.

    Attributes:
        base: What was compared with, such as `ref 1a2b3c4`, a file, or a folder.
        head: What was judged.
        how: `lockstep` of live processes, or `stored`.
        rows: One a trial and metric.
        control: The A/A control: base against base, by the same turns, a row a trial
            that was its control; empty where nothing ran live.
        reference: Seconds an example of the pinned reference workload, measured in the
            same run; None where it was not.
        seconds_per_example: Of head by key, for the history; empty where not live.
        false_alarms: Expected false alarms of the whole family, as a rate; None for
            stored figures, where none is known.
        started: When, UTC, ISO 8601.
        seconds: How long it took.
        seed: Of the processes.
        machine: What identifies the machine and the versions.
        conditions: Load, steal and other processes' CPU during it.
        notes: What a reader has to know, one line each.
        not_looked_at: What the verdicts say nothing of, one line each.
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
    """Ctrl-C in the middle of a guard, with what was known by then.

    Attributes:
        found: The record; what was not settled is `unknown`, and its cause says why.
    """

    def __init__(self, found: GuardResult) -> None:
        """With the record."""
        super().__init__("the guard was interrupted")
        self.found = found


def without_figures(
    key: str, thresholds: Mapping[str, float], verdict: Verdict, cause: str
) -> dict[str, Row]:
    """A trial's rows by metric where there is nothing to compare, with the cause."""
    return {
        metric: Row(
            key=key, metric=metric, verdict=verdict, threshold=threshold, cause=cause
        )
        for metric, threshold in thresholds.items()
    }


def figure(value: float) -> float | None:
    """A row's figure; None for NaN, which JSON does not have."""
    return None if math.isnan(value) else float(value)


def differ(base: str, head: str) -> bool:
    """Whether two outputs' fingerprints differ; random or unchecked ones have none."""
    return bool(base and head) and base != head


def exit_code(guarded: GuardResult, *, unknown_passes: bool = False) -> Exit:
    """The worst of the rows; nothing judged is never a pass.

    Missing or failed (5) comes before all, since such a guard did not look; then a
    regression (1), not comparable (4), could not tell (3), held (0).
    """
    verdicts = {row.verdict for row in guarded.rows}
    if not verdicts or verdicts & {"missing", "failed"}:
        return Exit.MISSING
    if "slower" in verdicts:
        return Exit.NO
    if "not_comparable" in verdicts:
        return Exit.NOT_COMPARABLE
    if "unknown" in verdicts and not unknown_passes:
        return Exit.COULD_NOT_TELL
    return Exit.OK
