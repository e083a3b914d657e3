"""Verdicts from live processes: is head slower than base? Both take turns.

Each trial gets trios of processes (see `lockstep`) until its verdict is settled or the
time is up. `slower` needs the whole interval beyond the threshold, and two fresh trios
that agree, if need be over the budget; a control that wanders makes it `unknown`, which
blames nobody. Intervals hold jointly: alpha is shared among the rows (Bonferroni; Dunn
1961), and within a row over its looks (`watch.Watch`).
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from bench import evidence, lockstep, machine, turns
from bench.guard_settings import Settings
from bench.guarded import Guarded, Row
from bench.lockstep import Side, Trio
from bench.trial import Effort, Failure
from bench.watch import Watch

BUDGET_SECONDS = 300.0
FALSE_ALARMS = 0.05
LEAST_TURN_SECONDS = 0.7  # of each trio of processes
FIRST_TURN_SECONDS = 1.5
MOST_TURN_SECONDS = 4.0
MOST_TRIOS = 100
EFFORT = Effort(
    window_seconds=0.002, warmup_seconds=0.4, limit_seconds=120.0, facts=False
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One trial to be guarded.

    Attributes:
        key: The trial's spelled identity, on head.
        base: Where it runs on base; None if it is not there.
        head: Where it runs on head; None if it is not there.
        thresholds: By metric, the relative change from which it counts.
    """

    key: str
    base: Side | None
    head: Side | None
    thresholds: Mapping[str, float] = field(
        default_factory=lambda: Settings().thresholds("")
    )


class Interrupted(KeyboardInterrupt):
    """Ctrl-C in the middle of a guard, with what was known by then.

    Attributes:
        found: The record; what was not settled is `unknown`, and its cause says why.
    """

    def __init__(self, found: Guarded) -> None:
        """With the record."""
        super().__init__("the guard was interrupted")
        self.found = found


def live(
    cases: Iterable[Case],
    *,
    base: str,
    head: str,
    budget_seconds: float = BUDGET_SECONDS,
    effort: Effort = EFFORT,
    seed: int = 0,
    clock: Callable[[], float] = time.monotonic,
    trio: Callable[..., Trio] = lockstep.trio,
    said: Callable[[str], None] = lambda line: None,
    notes: Iterable[str] = (),
) -> Guarded:
    """Guard cases by processes that take turns.

    Args:
        cases: What to compare; their servers are started.
        base: What is compared with, in words.
        head: What is judged, in words.
        budget_seconds: When to stop, settled or not.
        effort: Of calibration and warm-up.
        seed: Of the processes.
        clock: Seconds, monotonic.
        trio: Makes one trio; `lockstep.trio` but in tests.
        said: Told what is being settled.
        notes: To put on the record.

    Returns:
        The record. A case that failed, or is on one side only, is a row as well.

    Raises:
        Interrupted: Ctrl-C, with the record as it stands.
    """
    conditions, start = machine.Conditions(), clock()
    started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    cases = list(cases)
    alpha = FALSE_ALARMS / max(1, sum(len(case.thresholds) for case in cases))
    hearings = [_Hearing(case, alpha) for case in cases]
    interrupted = False
    try:
        _hear(hearings, trio, effort, seed, start + budget_seconds, clock, said)
    except KeyboardInterrupt:
        interrupted = True
        for hearing in hearings:
            hearing.interrupt()
    watches = [watch for hearing in hearings for watch in hearing.watches]
    found = Guarded(
        base=base,
        head=head,
        how="lockstep",
        rows=[row for hearing in hearings for row in hearing.rows()],
        control=[watch.control_row() for watch in watches if watch.controls],
        seconds_per_example={
            hearing.case.key: hearing.seconds_per_example()
            for hearing in hearings
            if hearing.head_seconds
        },
        false_alarms=FALSE_ALARMS,
        started=started,
        seconds=clock() - start,
        seed=seed,
        machine=machine.fingerprint(),
        conditions=conditions.read(sum(hearing.cpu_seconds for hearing in hearings)),
        notes=list(notes),
    )
    if interrupted:
        raise Interrupted(found)
    return found


def _hear(
    hearings: Sequence[_Hearing],
    trio: Callable[..., Trio],
    effort: Effort,
    seed: int,
    deadline: float,
    clock: Callable[[], float],
    said: Callable[[str], None],
) -> None:
    """Trios of each in turn until all are settled or the time is up, then the end."""
    for number in range(MOST_TRIOS):
        pending = [hearing for hearing in hearings if hearing.open]
        for place, hearing in enumerate(pending):
            left = deadline - clock()
            share = left / (len(pending) - place)
            if left < hearing.lasts:
                hearing.close()
                if not hearing.open:
                    continue
            begun, seconds = clock(), hearing.turn_seconds(share)
            one = trio(
                hearing.case.base,
                hearing.case.head,
                replace(effort, check=effort.check and hearing.checks),
                seconds=seconds,
                seed=seed,
                number=number,
            )
            hearing.hear(one, seconds, clock() - begun - seconds)
            said(hearing.progress())
    for hearing in hearings:
        hearing.close()


class _Hearing:
    """One case while it is being settled: its watches, or why it cannot be."""

    def __init__(self, case: Case, alpha: float) -> None:
        """Nothing heard yet; alpha is each of its rows' share."""
        self.case = case
        self.ended = _absent(case)
        self.watches = [
            Watch(case.key, metric, threshold, alpha)
            for metric, threshold in case.thresholds.items()
            if not self.ended
        ]
        self.setup = 0.0
        self.turn_lengths: list[float] = []
        self.head_seconds: list[float] = []
        self.cpu_seconds = 0.0
        self.closed = False

    @property
    def open(self) -> bool:
        """Whether more trios are wanted."""
        settled = all(watch.settled for watch in self.watches)
        if self.closed:  # what the last look flagged is confirmed all the same
            settled = not any(w.flagged_at and not w.settled for w in self.watches)
        return not (self.ended or settled)

    @property
    def checks(self) -> bool:
        """Whether the outputs of its next trio are checked: of its first one."""
        sides = (self.case.base, self.case.head)
        each = any(side.server.protocol == turns.CHECKS_EACH for side in sides)
        return each or not self.turn_lengths

    @property
    def lasts(self) -> float:
        """How long one more trio takes at the least; seconds."""
        return self.setup + LEAST_TURN_SECONDS if self.setup else 0.0

    def turn_seconds(self, share: float) -> float:
        """How long the next trio takes turns, within this case's share of the time."""
        if not self.turn_lengths:
            return FIRST_TURN_SECONDS
        taken = float(np.mean(self.turn_lengths))
        ratios = self.watches[0].ratios
        wanted = evidence.best_turn_seconds(ratios, taken, self.setup)
        few = share / max(1, evidence.LEAST_TRIOS - len(ratios)) - self.setup
        wanted = min(wanted, few, MOST_TURN_SECONDS)
        return max(LEAST_TURN_SECONDS, wanted)

    def hear(self, trio: Trio, turns: float, setup: float) -> None:
        """Take in one trio, its turns' length and what it took besides; seconds."""
        self.setup = max(setup, 0.001)
        self.turn_lengths.append(turns)
        self.cpu_seconds += sum(one.process_cpu_seconds for one in trio.measured)
        self.ended = _ended(self.case, trio)
        if self.ended:
            self.watches = []
            return
        self.head_seconds += [row[2].seconds for row in trio.turns]
        for watch in self.watches:
            if not watch.settled:
                watch.add(trio)

    def close(self) -> None:
        """No more trios: the last look at what there is."""
        if not self.closed:
            self.closed = True
            for watch in self.watches:
                watch.finish()

    def interrupt(self) -> None:
        """No more trios, and no last look: who stops may do so for what he saw."""
        if not self.closed:
            self.closed = True
            for watch in self.watches:
                watch.interrupt()

    def rows(self) -> list[Row]:
        """Its rows as they stand."""
        return self.ended or [watch.row() for watch in self.watches]

    def progress(self) -> str:
        """Where it stands, one line."""
        if self.ended:
            return f"{self.case.key}: {self.ended[0].verdict}, {self.ended[0].cause}"
        return self.watches[0].progress()

    def seconds_per_example(self) -> float:
        """The median of head's turns, for the history."""
        size = self.case.head.trial.pipeline.batch_size
        return float(np.median(self.head_seconds)) / size


def _absent(case: Case) -> list[Row]:
    """Rows of a case that is on one side only."""
    if case.head is None:
        return _rows(case, "missing", "it is in base and not in head")
    if case.base is None:
        return _rows(case, "not_comparable", "it is not in base")
    return []


def _ended(case: Case, trio: Trio) -> list[Row]:
    """Rows of a case that cannot be compared, from what its trio brought back."""
    if "head" in trio.failures:
        return _rows(case, "failed", _spelled(trio.failures["head"]))
    if trio.failures:
        failure = next(iter(trio.failures.values()))
        return _rows(case, "not_comparable", f"base failed: {_spelled(failure)}")
    base, head = trio.measured[0], trio.measured[2]
    if base.input_fingerprint != head.input_fingerprint:
        cause = "base and head make different inputs; compare on the same --data"
        return _rows(case, "not_comparable", cause)
    return []


def _rows(case: Case, verdict: str, cause: str) -> list[Row]:
    return [
        Row(
            key=case.key,
            metric=metric,
            verdict=verdict,
            threshold=threshold,
            cause=cause,
        )
        for metric, threshold in case.thresholds.items()
    ]


def _spelled(failure: Failure) -> str:
    where = f" in {failure.phase}" if failure.phase else ""
    return f"{failure.type}{where}: {failure.message}"
