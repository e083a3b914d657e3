"""This module settles the cases of claims: processes of their trials take turns.

Rounds measure whole runs, so the state of the machine at two different times is part of
their ratios. Turns exclude it, and settle most cases in a minute. Each case gets trios
of each of its pairs of trials, until the interval of the claim's ratio is wholly within
or wholly beyond the prediction, or until the case's share of the time is over.

A case is a family of looks and of pairs: look k spends the share 1 / (k (k + 1)) of
`ALPHA`, and all pairs share that equally (Bonferroni's inequality). Looks come at fixed
numbers of trios, whatever the ratio is, and when the time is over.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from bench import machine, store
from bench.analysis import settlements
from bench.analysis.claim_verdicts import FAILS, HOLDS, NOTHING, UNSETTLED, verdict
from bench.analysis.intervals import CONFIDENCE, Interval
from bench.analysis.settlements import APART, FILE, Settlement, combined
from bench.guard.pair_test import PairTest
from bench.guard.trio import Trio, run_trio
from bench.plan import claim_pairs
from bench.plan.claims import Case, Claim, Prediction
from bench.run.protocol import CannotStart, Executor
from bench.text import duration_text, plural

ALPHA = 1 - CONFIDENCE
LOOKS = (3, 5, 8, 12, 18, 27, 40)  # trios of each pair
JUDGEMENTS = 2  # of each case, at different times


@dataclass(frozen=True)
class Cell:
    """A cell is a case of a claim that is to be settled.

    Attributes:
        claim: The claim.
        case: The case: one workload with its trials.
        open: The latest settlement of this machine if it left the case open.
    """

    claim: Claim
    case: Case
    open: Settlement | None = None

    @property
    def name(self) -> str:
        """Return the names of the claim and of the workload."""
        return f"{self.claim.id}, {self.case.workload}"


@dataclass(frozen=True)
class Agenda:
    """An agenda lists the cells to settle, in order, and why others are left out.

    Attributes:
        cells: The cells; those that rounds left open come first, and among these the
            ones whose ratio is farthest from the limit of the prediction.
        left_out: By a cell's name, why it is left out.
    """

    cells: list[Cell]
    left_out: dict[str, str] = field(default_factory=dict)


def agenda(
    claims: Sequence[Claim],
    judged: pd.DataFrame,
    earlier: Sequence[Settlement],
    now: datetime,
) -> Agenda:
    """Return which cells to settle now, and in which order.

    A cell is judged twice, at least an hour apart. It is left out meanwhile, and after.

    Args:
        claims: The claims.
        judged: Their verdicts so far on this machine, from `claim_verdicts.evaluate`.
        earlier: The settlements of this machine in the folder, oldest first.
        now: The present time.
    """
    rows = {
        (row["claim"], row["workload"]): row
        for row in judged.to_dict("records")
        if not row["data"]
    }
    ranked: list[tuple[tuple[int, float], Cell]] = []
    left_out: dict[str, str] = {}
    for claim in claims:
        for case in claim.cases:
            lines = settlements.of_case(earlier, claim.id, case.workload)
            last = lines[-1] if lines else None
            cell = Cell(claim, case, last if last and not last.settled else None)
            counted = settlements.judgements(lines)
            reason = claim_pairs.refusal(claim, case) or _waits(counted, now)
            if reason:
                left_out[cell.name] = reason
                continue
            row = rows.get((claim.id, case.workload))
            settled = row is not None and row["verdict"] in (HOLDS, FAILS)
            far = _distance(row["factor"], claim.predict) if row is not None else 0.0
            ranked.append(((len(counted) * 2 + settled, -far), cell))
    ranked.sort(key=lambda one: one[0])
    return Agenda([cell for _, cell in ranked], left_out)


def _waits(counted: Sequence[Settlement], now: datetime) -> str:
    """Return why a cell is not measured now; empty if it is.

    Args:
        counted: The settlements that judged it.
        now: The present time.
    """
    if len(counted) >= JUDGEMENTS:
        return f"settled {JUDGEMENTS} times"
    if counted:
        next_ = datetime.fromisoformat(counted[-1].started) + APART
        if now < next_:
            return f"settled; to be confirmed after {next_:%H:%M} UTC"
    return ""


def _distance(factor: float, predict: Prediction) -> float:
    """Return how far a ratio is from the prediction's nearest limit, by its log.

    0 where the ratio is unknown: such a case may be the hardest.
    """
    if not factor > 0:
        return 0.0
    limits = [limit for limit in (predict.low, predict.high) if 0 < limit < math.inf]
    return min((abs(math.log(factor / limit)) for limit in limits), default=0.0)


def settle(
    agenda: Agenda,
    folder: Path,
    server: Executor,
    budget_seconds: float,
    *,
    seed: int = 0,
    clock: Callable[[], float] = time.monotonic,
    run_trio: Callable[..., Trio] = run_trio,
    report_progress: Callable[[str], None] = lambda line: print(line, file=sys.stderr),
) -> int:
    """Settle cells in order until the budget is over; append a line for each of them.

    Every cell has an equal share of the time that is left. What a cell leaves over goes
    to the later ones. An interrupt stores the cell that was being measured.

    Args:
        agenda: The cells.
        folder: The result folder.
        server: The executor of the processes; each cell starts it anew.
        budget_seconds: When to stop.
        seed: The seed of the processes.
        clock: Returns seconds; monotonic.
        run_trio: Runs one trio; tests replace it.
        report_progress: Receives one line after each cell.

    Returns:
        How many cells were settled.
    """
    deadline, settled = clock() + budget_seconds, 0
    for number, cell in enumerate(agenda.cells):
        left = deadline - clock()
        if left <= 0:
            rest = plural(len(agenda.cells) - number, "cell")
            report_progress(f"The budget ended before {rest}; start again to go on.")
            break
        server.start()
        sitting = Sitting(cell, server, seed=seed, clock=clock, run_trio=run_trio)
        try:
            sitting.measure(left / (len(agenda.cells) - number), deadline)
        finally:
            outcome = sitting.outcome()
            if sitting.went_on:
                store.append(folder, outcome, FILE)
        settled += outcome.settled
        report_progress(_line(cell, outcome))
    return settled


class Sitting:
    """A sitting measures one cell, trio by trio, and decides when it is settled."""

    def __init__(
        self,
        cell: Cell,
        server: Executor,
        *,
        seed: int = 0,
        clock: Callable[[], float] = time.monotonic,
        run_trio: Callable[..., Trio] = run_trio,
    ) -> None:
        """Start with the trios of the earlier sitting that left the cell open, if any.

        Args:
            cell: The cell.
            server: The started executor of the processes.
            seed: The seed of the processes.
            clock: Returns seconds; monotonic.
            run_trio: Runs one trio; tests replace it.
        """
        earlier = {(t.trial, t.than): t for t in cell.open.trios} if cell.open else {}
        self._cell, self._clock = cell, clock
        self._run = {"seed": seed, "clock": clock, "run_trio": run_trio}
        self._tests = [
            PairTest(trial, than, server, earlier.get((trial.key, than.key)))
            for trial, than in claim_pairs.pairs(cell.case)
        ]
        self._looks = cell.open.looks if cell.open else 0
        self._interval = cell.open.interval if cell.open else NOTHING
        self._looked_at = self._count  # trios at the latest look
        self._reason = ""
        self._settled = False
        self._start, self._started = clock(), datetime.now(UTC)
        self._conditions = machine.Conditions()

    @property
    def went_on(self) -> bool:
        """Whether this sitting knows more than the earlier one: a trio, or a reason."""
        return bool(self._reason) or any(test.fresh for test in self._tests)

    @property
    def _count(self) -> int:
        return min(test.count for test in self._tests)

    def measure(self, seconds: float, deadline: float) -> None:
        """Run trios of all pairs in turn until the cell is settled or its time is over.

        Fewer than three trios give no interval, so the first three may take more than
        the share, up to the deadline.

        Args:
            seconds: The cell's share of the time.
            deadline: When the whole budget ends, by the clock.
        """
        end = self._start + seconds
        try:
            while not self._settled and self._count < LOOKS[-1]:
                few = self._count < LOOKS[0]
                least = sum(test.least_seconds for test in self._tests)
                if self._clock() + least > (deadline if few else min(end, deadline)):
                    break
                if not self._run_row():
                    return
                if self._count in LOOKS:
                    self._look()
        except CannotStart as error:
            self._reason = str(error)
            return
        if not self._settled and self._looked_at < self._count >= LOOKS[0]:
            self._look()

    def _run_row(self) -> bool:
        """Run a trio of each pair; return False if a pair cannot be measured."""
        fewest = self._count
        for test in self._tests:
            if test.count > fewest:  # an interrupted sitting left it ahead
                continue
            test.run(**self._run)
            if test.ended:
                self._reason = test.reason
                return False
        return True

    def _look(self) -> None:
        """Look at the interval, and settle the cell if it decides the prediction."""
        self._looks += 1
        self._looked_at = self._count
        share = ALPHA / (self._looks * (self._looks + 1)) / len(self._tests)
        case, scale = self._cell.case, self._cell.claim.scale
        ratios = [test.interval(share) for test in self._tests]
        whole = combined(case.trial, case.than, ratios)
        ends = (scale * value for value in (whole.estimate, whole.low, whole.high))
        self._interval = Interval(*ends, whole.count)
        reasons = (test.reason for test in self._tests if test.reason)
        self._reason = next(reasons, "")
        decided = verdict(self._interval, self._cell.claim.predict) != UNSETTLED
        self._settled = decided and not self._reason

    def outcome(self) -> Settlement:
        """Return the record of the cell as it stands."""
        values = (self._interval.estimate, self._interval.low, self._interval.high)
        factor, low, high = (None if math.isnan(v) else v for v in values)
        return Settlement(
            claim=self._cell.claim.id,
            workload=self._cell.case.workload,
            started=self._started.isoformat(timespec="seconds"),
            seconds=self._clock() - self._start,
            settled=self._settled,
            factor=factor,
            low=low,
            high=high,
            looks=self._looks,
            reason=self._reason,
            trios=[test.trios() for test in self._tests if test.count],
            machine=machine.fingerprint(),
            conditions=self._conditions.read(
                sum(test.cpu_seconds for test in self._tests)
            ),
        )


def _line(cell: Cell, outcome: Settlement) -> str:
    """Return one line on a cell that was measured."""
    took = f"{plural(outcome.count, 'trio')}, {duration_text(outcome.seconds)}"
    if outcome.low is None:
        return f"{cell.name}: {outcome.reason or 'no interval yet'}; {took}"
    word = verdict(outcome.interval, cell.claim.predict)
    why = f" ({outcome.reason})" if outcome.reason else ""
    return f"{cell.name}: {outcome.interval}, {word}{why}; {took}"
