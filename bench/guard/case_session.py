"""A case session guards one trial live, trio by trio, until its verdicts settle."""

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

# To flag, to confirm, and to confirm again after a burst: turns get shorter for these.
ENOUGH_TRIOS = estimate.LEAST_TRIOS + 2 * CONFIRMING
ENOUGH_FOR_PHASES = 12  # a trio has one figure of a phase, however long its turns
LEAST_TURN_SECONDS = 0.7  # of each trio of processes
FIRST_TURN_SECONDS = 1.5
FIRST_SHARE = 0.1  # of the time, at most: three trios are to fit into little time
MOST_TURN_SECONDS = 4.0
# Before a case is called unchanged, so many trios meet an epoch, or at least so many
# batches, at the same places: each trio then meets what comes once in 2,000 batches.
COVERING_TRIOS = 4
COVERING_BATCHES = 2000
MOST_COVERING_SECONDS = 12.0  # of each trio
REACHING = 1.1  # times the seconds that a trio should need to reach a place
COVERING_SHARE = 0.9  # of the time that is left
NEARLY = 0.9  # of the rounds, or of the time, that a trio should have
DISTURBED_SHARE = 0.1  # of the turns: fewer are outside the middle fifth
DISTURBED = "a process could not be stopped between turns"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A case is one trial to be guarded.

    Attributes:
        key: The trial's spelled identity on head.
        base: Where the trial runs on base; None if base lacks the trial.
        head: Where the trial runs on head; None if head lacks the trial.
        thresholds: By metric, the relative change from which a slow-down counts.
    """

    key: str
    base: Side | None
    head: Side | None
    thresholds: Mapping[str, float] = field(
        default_factory=lambda: Settings().thresholds("")
    )


class CaseSession:
    """A session of one case holds the tests of its metrics and plans its trios.

    Attributes:
        case: The case.
        tests: The tests of its metrics, except those that ended without a verdict.
        preparation: How the first trio prepared itself, for later trios to repeat.
        head_seconds: The seconds a batch of head's turns.
        cpu_seconds: CPU seconds of all processes.
    """

    def __init__(self, case: Case, alpha: float) -> None:
        """Start without any trio.

        Args:
            case: The case.
            alpha: The probability of a false alarm that each row of turns may have.
        """
        self.case = case
        self._ended = _absent(case)  # rows without a test, by metric
        shared = case.base is None or case.base.control in (None, case.base.server)
        apart = 0.0 if shared else estimate.BETWEEN_SERVERS
        self.tests: list[RowTest | PhaseTest] = [
            PhaseTest(case.key, name, threshold)
            if METRICS[name].phases
            else RowTest(case.key, name, threshold, alpha, apart)
            for name, threshold in case.thresholds.items()
            if name not in self._ended
        ]
        self.preparation: dict[str, dict] = {}
        self.head_seconds: list[float] = []
        self.cpu_seconds = 0.0
        self._setup_seconds = 0.0  # of the latest trio, besides its turns
        self._turn_seconds: list[float] = []  # of each trio
        self._turns = self._disturbed_turns = 0
        self._batches_met: list[int] = []  # by a process of each trio
        self._covering_trios = 0  # that met the goal, or had their share of the time
        self._goal_rounds = 0  # that a trio is to take; 0 before the first trio
        self._round_seconds = 0.0  # of the first trio
        self._inputs: InputIdentity | None = None  # of base, in the first trio

    @property
    def open(self) -> bool:
        """Whether the case needs more trios."""
        return any(test.open for test in self.tests)

    @property
    def checks_next(self) -> bool:
        """Whether the next trio checks the outputs of the layers.

        The first trio of a case does.
        """
        return not self._turn_seconds

    @property
    def least_seconds(self) -> float:
        """The least number of seconds that must be left for the next trio to begin.

        The number is 0 for the first trio and for the third one. These may exceed the
        budget, because fewer than three trios give no verdict.
        """
        if len(self._turn_seconds) in (0, estimate.LEAST_TRIOS - 1):
            return 0.0
        return self._setup_seconds + LEAST_TURN_SECONDS

    def turn_seconds(self, share: float) -> float:
        """Return for how many seconds the processes of the next trio take turns.

        Args:
            share: This case's share of the time that is left, in seconds.
        """
        if not self._turn_seconds:
            return max(LEAST_TURN_SECONDS, min(FIRST_TURN_SECONDS, FIRST_SHARE * share))
        open_tests = self._open_row_tests()
        if not open_tests:  # phases alone are open, and are over before the turns
            return LEAST_TURN_SECONDS
        ratios = open_tests[0].ratios
        if len(ratios) >= estimate.LEAST_TRIOS and self._needs_covering():
            return max(LEAST_TURN_SECONDS, self._covering_seconds(share))
        mean = float(np.mean(self._turn_seconds))
        best = estimate.best_turn_seconds(ratios, mean, self._setup_seconds)
        enough = ENOUGH_FOR_PHASES if self.judges_phases else ENOUGH_TRIOS
        missing = max(1, enough - len(ratios))
        affordable = share / missing - self._setup_seconds
        wanted = min(best, affordable, MOST_TURN_SECONDS)
        reaching = min(self._reaching_seconds(), share - self._setup_seconds)
        return max(LEAST_TURN_SECONDS, wanted, reaching)

    @property
    def judges_phases(self) -> bool:
        """Whether the test of at least one phase needs more trios."""
        return any(test.open and isinstance(test, PhaseTest) for test in self.tests)

    def add(self, trio: Trio, turn_seconds: float, setup_seconds: float) -> None:
        """Add one trio to all open tests, or end the case if the trio cannot count.

        Args:
            trio: The trio.
            turn_seconds: How many seconds the trio was to take turns.
            setup_seconds: How many seconds the trio took besides.
        """
        self._setup_seconds = max(setup_seconds, 0.001)
        self.preparation = self.preparation or trio.preparation
        self._turn_seconds.append(turn_seconds)
        self.cpu_seconds += sum(one.process_cpu_seconds for one in trio.measured)
        if end := why_ended(trio, self._inputs):
            self.end(*end)
            return
        self._inputs = self._inputs or identity.input_identity(trio.measured[0])
        self.head_seconds += [row[2].seconds for row in trio.turns]
        self._count_coverage(trio, turn_seconds)
        quiet = [turn.quiet for row in trio.turns for turn in row]
        self._turns += len(quiet)
        self._disturbed_turns += quiet.count(False)
        for test in self.tests:
            if test.open:
                test.add(trio)

    def _row_tests(self) -> list[RowTest]:
        return [test for test in self.tests if isinstance(test, RowTest)]

    def _open_row_tests(self) -> list[RowTest]:
        return [test for test in self._row_tests() if test.open]

    def _needs_covering(self) -> bool:
        """Return whether the next trio should last long enough to meet many places."""
        tests = self._open_row_tests()
        return any(not (test.flagged or test.covered) for test in tests)

    def _reaching_seconds(self) -> float:
        """Return how many seconds a trio needs to reach the last long place.

        The place is the last one of any flagged row. A trio that ends before it could
        not confirm the flag.
        """
        flagged = [test for test in self._open_row_tests() if test.flagged]
        last = max((test.last_long_place for test in flagged), default=-1)
        return REACHING * (last + 1) * self._round_seconds

    def _covering_seconds(self, share: float) -> float:
        """Return how many seconds the next trio needs to meet enough places.

        Args:
            share: The seconds that this case may still use; the result fits into them.
        """
        missing = max(1, COVERING_TRIOS - self._covering_trios)
        affordable = COVERING_SHARE * share / missing - self._setup_seconds
        goal = self._goal_rounds * self._round_seconds
        return min(goal, affordable, MOST_COVERING_SECONDS)

    def _count_coverage(self, trio: Trio, seconds: float) -> None:
        """Count the places that a trio met, and note when enough trios met enough.

        Args:
            trio: The trio.
            seconds: How many seconds it was to take turns.
        """
        head, rounds = trio.measured[2], len(trio.turns)
        self._batches_met.append(rounds * head.batches_per_sample)
        # Slow batches take longer than planned, because rounds are taken whole.
        total = sum(turn.seconds for row in trio.turns for turn in row)
        seconds = max(seconds, min(trio.seconds, total * head.batches_per_sample))
        if not self._goal_rounds:
            self._round_seconds = seconds / rounds
            batches = max(COVERING_BATCHES, head.epoch_batches)
            self._goal_rounds = -int(-batches // max(1, head.batches_per_sample))
        goal = min(self._goal_rounds * self._round_seconds, MOST_COVERING_SECONDS)
        had_time = seconds >= NEARLY * goal
        self._covering_trios += had_time or rounds >= NEARLY * self._goal_rounds
        if self._covering_trios >= COVERING_TRIOS:
            for test in self._row_tests():
                test.cover()

    @property
    def batches_met(self) -> int:
        """The number of batches that at least three trios met; 0 before that.

        A stall that comes at least once in so many batches has shown itself.
        """
        longest = sorted(self._batches_met, reverse=True)
        enough = len(longest) >= estimate.LEAST_TRIOS
        return longest[estimate.LEAST_TRIOS - 1] if enough else 0

    def end(self, verdict: Verdict, cause: str) -> None:
        """End all open tests with this verdict; settled verdicts stand."""
        case = self.case
        rows = without_figures(case.key, case.thresholds, verdict, cause)
        self._ended |= {t.metric: rows[t.metric] for t in self.tests if t.open}
        self.tests = [test for test in self.tests if not test.open]

    def close(self) -> None:
        """Take the last look at all tests; no more trios follow."""
        for test in self.tests:
            test.finish()

    def interrupt(self) -> None:
        """Stop all tests without a last look.

        A user who interrupts may do so because of the figures so far.
        """
        for test in self.tests:
            test.interrupt()

    def rows(self) -> list[Row]:
        """Return the rows so far.

        Where too many turns were disturbed, rows of turns are `unknown`. A change that
        is too large for any disturbance keeps its verdict.
        """
        rows = {test.metric: test.row() for test in self.tests}
        if self._disturbed_turns > DISTURBED_SHARE * self._turns:
            rows |= {
                metric: replace(row, verdict="unknown", cause=DISTURBED)
                for metric, row in rows.items()
                if METRICS[metric].turn and not estimate.all_large(row.log_ratios)
            }
        rows |= self._ended
        shown = (name for name in self.case.thresholds if name not in self.left_out)
        return [rows[name] for name in shown]

    @property
    def left_out(self) -> dict[str, str]:
        """The reasons, by metric, why some phases have no row."""
        tests = (test for test in self.tests if isinstance(test, PhaseTest))
        return {test.metric: test.left_out for test in tests if test.left_out}

    def progress(self) -> str:
        """Return one line on how far the case is."""
        if self._ended:
            row = next(iter(self._ended.values()))
            return f"{self.case.key}: {row.verdict}, {row.cause}"
        test = next((test for test in self.tests if test.open), self.tests[0])
        return test.progress()

    def seconds_per_example(self) -> float:
        """Return the median of head's turns, for the history."""
        size = self.case.head.trial.pipeline.batch_size
        return float(np.median(self.head_seconds)) / size


def _absent(case: Case) -> dict[str, Row]:
    """Return the rows by metric of a case that only one side has."""
    rows = partial(without_figures, case.key, case.thresholds)
    if case.head is None:
        return rows("missing", "it is in base and not in head")
    if case.base is None:
        return rows("not_comparable", "it is not in base")
    return {}


def why_ended(trio: Trio, first: InputIdentity | None) -> tuple[Verdict, str] | None:
    """Return the verdict and the cause if a trio shows that its case cannot go on.

    None if the case can go on.

    Args:
        trio: The latest trio.
        first: The inputs of the first trio; None if the latest trio is the first.
    """
    if "head" in trio.failures:
        return "failed", failures.sentence(trio.failures["head"])
    if trio.failures:
        failure = next(iter(trio.failures.values()))
        return "not_comparable", f"base failed: {failures.sentence(failure)}"
    base, control, head = map(identity.input_identity, trio.measured)
    within = ("one process of base", "another process of base")
    since = ("the first trio", "a later trio")
    if changed := identity.difference(base, control, within) or identity.difference(
        first or base, base, since
    ):
        return "not_comparable", f"the data changed while it was measured: {changed}"
    if differing := identity.difference(base, head):
        remedy = "make the same inputs on both sides, or measure both on one --data"
        return "not_comparable", f"{differing}; {remedy}"
    return None
