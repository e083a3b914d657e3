"""One case of a live guard while it is being settled, or why it cannot be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from bench import failures
from bench.data import identity
from bench.data.identity import InputIdentity
from bench.guard import estimate
from bench.guard.metrics import METRICS
from bench.guard.phase_test import PhaseTest
from bench.guard.record import Row, Verdict, without_figures
from bench.guard.sequential_test import CONFIRMING, RowTest
from bench.guard.settings import Settings
from bench.guard.trio import Side, Trio
from bench.run import turns

# To flag, to confirm, and again where a burst spoilt it: turns get shorter for these.
ENOUGH_TRIOS = estimate.LEAST_TRIOS + 2 * CONFIRMING
ENOUGH_FOR_PHASES = 12  # a trio tells a phase by one figure, however long its turns
LEAST_TURN_SECONDS = 0.7  # of each trio of processes
FIRST_TURN_SECONDS = 1.5
FIRST_SHARE = 0.1  # at most, of the time: in little of it three trios are to fit
MOST_TURN_SECONDS = 4.0
# Before a case is called unchanged, so many trios meet at least so many batches, or an
# epoch, at the same places: what comes once in 2,000 batches is then met by each.
COVERING_TRIOS = 4
COVERING_BATCHES = 2000
MOST_COVERING_SECONDS = 12.0  # of each
REACHING = 1.1  # times what a trio should need to come to a place
COVERING_SHARE = 0.9  # of the time that is left
NEARLY = 0.9  # of the rounds that are wanted
RESTLESS_SHARE = 0.1  # of the turns: what fewer disturbed is not in their middle fifth
RESTLESS = "a process did not become quiet between turns"


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


class CaseSession:
    """One case while it is being settled: its watches, or why it cannot be."""

    def __init__(self, case: Case, alpha: float) -> None:
        """Nothing heard yet; alpha is each of its rows' share."""
        self.case = case
        self.ended = _absent(case)  # by metric
        shared = case.base is None or case.base.control in (None, case.base.server)
        apart = 0.0 if shared else estimate.SERVERS
        wanted = {n: v for n, v in case.thresholds.items() if n not in self.ended}
        self.watches: list[RowTest | PhaseTest] = [
            PhaseTest(case.key, name, threshold)
            if METRICS[name].phases
            else RowTest(case.key, name, threshold, alpha, apart, placed=_placed(case))
            for name, threshold in wanted.items()
        ]
        self.setup = 0.0
        self.turn_lengths: list[float] = []
        self.head_seconds: list[float] = []
        self.cpu_seconds = 0.0
        self.turns = self.restless = 0
        self.met: list[int] = []  # batches that a process of each trio met
        self.covering = 0  # trios that met their goal, or had their share of the time
        self.round_seconds = 0.0  # of its first one
        self.goal = 0  # rounds that trios are to have; 0 before it is known
        self.warmed: dict[str, dict] = {}  # how its first trio got ready
        self.inputs: InputIdentity | None = None  # of base, in its first trio

    @property
    def open(self) -> bool:
        """Whether more trios are wanted."""
        return any(watch.open for watch in self.watches)

    @property
    def checks(self) -> bool:
        """Whether the outputs of its next trio are checked: of its first one."""
        sides = (self.case.base, self.case.head)
        each = any(side.server.protocol == turns.CHECKS_EACH for side in sides)
        return each or not self.turn_lengths

    @property
    def lasts(self) -> float:
        """How long one more trio takes at the least; seconds.

        Two say nothing, so that the third may run over the end of the budget: then 0.
        """
        if len(self.turn_lengths) in (0, estimate.LEAST_TRIOS - 1):
            return 0.0
        return self.setup + LEAST_TURN_SECONDS

    def turn_seconds(self, share: float) -> float:
        """How long the next trio takes turns, within this case's share of the time."""
        if not self.turn_lengths:
            return max(LEAST_TURN_SECONDS, min(FIRST_TURN_SECONDS, FIRST_SHARE * share))
        taken = float(np.mean(self.turn_lengths))
        by_turns = [one for one in self._by_turns() if one.open]
        if not by_turns:  # the phases alone are open, and are over before the turns
            return LEAST_TURN_SECONDS
        ratios = by_turns[0].ratios
        if len(ratios) >= estimate.LEAST_TRIOS and self._covers():
            return max(LEAST_TURN_SECONDS, self._covering_seconds(share))
        reaching = self._reaching_seconds()
        wanted = estimate.best_turn_seconds(ratios, taken, self.setup)
        enough = ENOUGH_FOR_PHASES if self.judges_phases else ENOUGH_TRIOS
        few = share / max(1, enough - len(ratios)) - self.setup
        wanted = min(wanted, few, MOST_TURN_SECONDS)
        return max(LEAST_TURN_SECONDS, wanted, min(reaching, share - self.setup))

    @property
    def judges_phases(self) -> bool:
        """Whether a phase is not settled yet."""
        return any(one.open and isinstance(one, PhaseTest) for one in self.watches)

    def hear(self, trio: Trio, turns: float, setup: float) -> None:
        """Take in one trio, its turns' length and what it took besides; seconds."""
        self.setup = max(setup, 0.001)
        self.warmed = self.warmed or trio.warmed
        self.turn_lengths.append(turns)
        self.cpu_seconds += sum(one.process_cpu_seconds for one in trio.measured)
        why = _why_ended(trio, self.inputs)
        if why:
            self.end(*why)
            return
        self.inputs = self.inputs or identity.input_identity(trio.measured[0])
        self.head_seconds += [row[2].seconds for row in trio.turns]
        self._cover(trio, turns)
        quiet = [turn.quiet for row in trio.turns for turn in row]
        self.turns += len(quiet)
        self.restless += quiet.count(False)
        for watch in self.watches:
            if watch.open:
                watch.add(trio)

    def _covers(self) -> bool:
        """Whether the next trio is to meet many places, and not only to be compared."""
        watches = [watch for watch in self._by_turns() if watch.open]
        return any(not (watch.flagged or watch.covered) for watch in watches)

    def _reaching_seconds(self) -> float:
        """How long a trio takes to the last place that is long, where one is flagged.

        Shorter ones would not confirm it.
        """
        flagged = [w for w in self._by_turns() if w.open and w.flagged]
        last = max((watch.last_long_place for watch in flagged), default=-1)
        return REACHING * (last + 1) * self.round_seconds

    def _by_turns(self) -> list[RowTest]:
        return [watch for watch in self.watches if isinstance(watch, RowTest)]

    def _covering_seconds(self, share: float) -> float:
        """How long the next trio takes turns to meet its goal, within this share."""
        left = COVERING_TRIOS - self.covering
        most = COVERING_SHARE * share / max(1, left) - self.setup
        return min(self.goal * self.round_seconds, most, MOST_COVERING_SECONDS)

    def _cover(self, trio: Trio, seconds: float) -> None:
        """Take note of how many places a trio met; its turns took these seconds."""
        head, rounds = trio.measured[2], len(trio.turns)
        self.met.append(rounds * head.batches_per_sample)
        # Slow batches take longer than was asked: whole rounds are taken.
        every = sum(turn.seconds for row in trio.turns for turn in row)
        taken = min(trio.seconds, every * head.batches_per_sample)
        if not self.goal:
            self.round_seconds = max(seconds, taken) / rounds
            batches = max(COVERING_BATCHES, head.epoch_batches)
            self.goal = -int(-batches // max(1, head.batches_per_sample))
        wanted = min(self.goal * self.round_seconds, MOST_COVERING_SECONDS)
        had_time = max(seconds, taken) >= NEARLY * wanted
        self.covering += had_time or rounds >= NEARLY * self.goal
        if self.covering >= COVERING_TRIOS:
            for watch in self._by_turns():
                watch.cover()

    @property
    def batches_met(self) -> int:
        """Batches that three trios met, among which stalls show; 0 if fewer ran."""
        longest = sorted(self.met, reverse=True)
        enough = len(longest) >= estimate.LEAST_TRIOS
        return longest[estimate.LEAST_TRIOS - 1] if enough else 0

    def end(self, verdict: Verdict, cause: str) -> None:
        """What is still open cannot be settled; what is settled stands."""
        case = self.case
        every = without_figures(case.key, case.thresholds, verdict, cause)
        ending = [watch.metric for watch in self.watches if watch.open]
        self.ended |= {metric: every[metric] for metric in ending}
        self.watches = [watch for watch in self.watches if not watch.open]

    def close(self) -> None:
        """No more trios: the last look at what there is."""
        for watch in self.watches:
            watch.finish()

    def interrupt(self) -> None:
        """No more trios, and no last look: who stops may do so for what he saw."""
        for watch in self.watches:
            watch.interrupt()

    def rows(self) -> list[Row]:
        """Its rows as they stand; without verdicts if turns disturbed one another."""
        rows = {watch.metric: watch.row() for watch in self.watches}
        if self.restless > RESTLESS_SHARE * self.turns:
            told = {"verdict": "unknown", "cause": RESTLESS}
            rows |= {n: replace(rows[n], **told) for n in rows if METRICS[n].turn}
        rows |= self.ended
        shown = (name for name in self.case.thresholds if name not in self.left_out)
        return [rows[name] for name in shown]

    @property
    def left_out(self) -> dict[str, str]:
        """By metric, why a phase has no row."""
        phases = (watch for watch in self.watches if isinstance(watch, PhaseTest))
        return {watch.metric: watch.left_out for watch in phases if watch.left_out}

    def progress(self) -> str:
        """Where it stands, one line."""
        if self.ended:
            row = next(iter(self.ended.values()))
            return f"{self.case.key}: {row.verdict}, {row.cause}"
        return next(
            (one for one in self.watches if one.open), self.watches[0]
        ).progress()

    def seconds_per_example(self) -> float:
        """The median of head's turns, for the history."""
        size = self.case.head.trial.pipeline.batch_size
        return float(np.median(self.head_seconds)) / size


def _placed(case: Case) -> bool:
    """Whether both sides meet the same examples in the same rounds of every trio."""
    sides = (case.base, case.head)
    return not any(side and side.server.protocol in turns.UNPLACED for side in sides)


def _absent(case: Case) -> dict[str, Row]:
    """Rows by metric of a case that is on one side only."""
    rows = partial(without_figures, case.key, case.thresholds)
    if case.head is None:
        return rows("missing", "it is in base and not in head")
    if case.base is None:
        return rows("not_comparable", "it is not in base")
    return {}


def _why_ended(trio: Trio, earlier: InputIdentity | None) -> tuple[Verdict, str] | None:
    """Verdict and cause of a case that its trio shows not to be comparable.

    Args:
        trio: The latest trio.
        earlier: The inputs of the first trio; None if this one is the first.
    """
    if "head" in trio.failures:
        return "failed", failures.sentence(trio.failures["head"])
    if trio.failures:
        failure = next(iter(trio.failures.values()))
        return "not_comparable", f"base failed: {failures.sentence(failure)}"
    base, control, head = map(identity.input_identity, trio.measured)
    if changed := identity.difference(
        base, control, ("one process of base", "another one")
    ) or identity.difference(earlier or base, base, ("the first trio", "a later trio")):
        return "not_comparable", f"the data changed while it was measured: {changed}"
    if differing := identity.difference(base, head):
        remedy = "let both sides make the same ones, or measure both on one --data"
        return "not_comparable", f"{differing}; {remedy}"
    return None
