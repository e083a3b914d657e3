"""A pair test compares two different pipelines by trios of processes that take turns.

A guard compares two states of one pipeline and looks for a change beyond a threshold. A
claim predicts a ratio of two pipelines, such as more than 1.05. So this test estimates
the ratio and its interval, and leaves the decision to its caller. The trios and the
estimates are those of a guard.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from bench.analysis.intervals import CONFIDENCE, Interval
from bench.analysis.settlements import Trios
from bench.data.identity import InputIdentity, input_identity
from bench.flags import NOT_RANKED
from bench.guard import estimate, session
from bench.guard.case_session import (
    DISTURBED,
    DISTURBED_SHARE,
    LEAST_TURN_SECONDS,
    MOST_COVERING_SECONDS,
    MOST_TURN_SECONDS,
    why_ended,
)
from bench.guard.estimate import LogRatio
from bench.guard.metrics import TIME
from bench.guard.sequential_test import OUTWEIGHS
from bench.guard.trio import Side, Trio, run_trio
from bench.run.protocol import Executor
from bench.trial import Trial

EFFORT = replace(session.EFFORT, window_seconds=0.03)
# Where one trial has turns of whole epochs and the other of windows: a short window
# next to a long turn compares the middle of one with the mean of the other.
UNEVEN_WINDOW_SECONDS = 0.2
FIRST_TURN_SECONDS = 1.5


class PairTest:
    """A pair test gathers trios of two trials, and estimates the ratio of their times.

    Attributes:
        trial: The trial that is run twice in each trio, once as the control.
        than: The trial that it is compared with.
        reason: Why the trios so far give no ratio; empty if they do.
        ended: Whether a further trio would fail like the last one.
        cpu_seconds: CPU seconds of all processes of this sitting.
    """

    def __init__(
        self,
        trial: Trial,
        than: Trial,
        server: Executor,
        earlier: Trios | None = None,
    ) -> None:
        """Start with the trios of an earlier sitting, if there are any.

        Args:
            trial: The trial that a claim favours.
            than: The trial that it is compared with.
            server: The started executor of both.
            earlier: The trios of an earlier sitting on the same machine.
        """
        self.trial, self.than = trial, than
        self.reason, self.ended, self.cpu_seconds = "", False, 0.0
        self._sides = Side(server, trial), Side(server, than)
        self._ratios = _known(earlier.ratios) if earlier else []
        self._controls = _known(earlier.controls) if earlier else []
        self._before = len(self._ratios)
        self._logs: list[np.ndarray] = []
        self._errors: list[float] = []
        self._preparation: dict[str, dict] = {}
        self._inputs: InputIdentity | None = None  # of the first trio
        self._turns = self._disturbed = 0
        self._partly = False  # whether the latest trio timed a part of an epoch
        self._turn_seconds: list[float] = []
        self._setup_seconds = 0.0

    @property
    def count(self) -> int:
        """Return the number of trios, earlier ones included."""
        return len(self._ratios)

    @property
    def fresh(self) -> int:
        """Return the number of trios of this sitting."""
        return len(self._logs)

    @property
    def least_seconds(self) -> float:
        """Return how many seconds one more trio takes at least."""
        return self._setup_seconds + LEAST_TURN_SECONDS if self._logs else 0.0

    def run(
        self,
        seed: int = 0,
        clock: Callable[[], float] = time.monotonic,
        run_trio: Callable[..., Trio] = run_trio,
    ) -> None:
        """Run one more trio, and estimate the ratio anew.

        Args:
            seed: The seed of the processes.
            clock: Returns seconds; monotonic.
            run_trio: Runs one trio; tests replace it.
        """
        effort = replace(EFFORT, check=not self._logs)
        if self.trial.unit != self.than.unit:
            effort = replace(effort, window_seconds=UNEVEN_WINDOW_SECONDS)
        start, seconds = clock(), self._next_turn_seconds()
        trio = run_trio(
            *self._sides,
            effort,
            seconds=seconds,
            seed=seed,
            number=self.count,
            preparation=self._preparation,
        )
        self._setup_seconds = max(clock() - start - seconds, 0.001)
        self._turn_seconds.append(seconds)
        self._add(trio)

    def interval(self, alpha: float) -> Interval:
        """Return the ratio of `than`'s time to `trial`'s, with its interval.

        A control that differs from its twin by more than chance shows that processes
        differ for other reasons than their trials, so the interval then grows by four
        times that difference, as a guard demands.

        Args:
            alpha: The probability that the interval may miss, both sides together.
        """
        ratio = estimate.interval(self._ratios, alpha, self._controls)
        control = estimate.interval(self._controls, 1 - CONFIDENCE)
        if control.low <= 1 <= control.high or math.isnan(control.low):
            return ratio
        wider = math.exp(OUTWEIGHS * abs(math.log(control.estimate)))
        return replace(ratio, low=ratio.low / wider, high=ratio.high * wider)

    def control(self) -> Interval:
        """Return the ratio of the control to its twin, with its 95 % interval."""
        return estimate.interval(self._controls, 1 - CONFIDENCE)

    def trios(self) -> Trios:
        """Return the record of all trios, earlier ones included."""
        return Trios(
            trial=self.trial.key,
            than=self.than.key,
            ratios=_stored(self._ratios),
            controls=_stored(self._controls),
        )

    def _next_turn_seconds(self) -> float:
        """Return how many seconds the next trio takes turns."""
        if not self._turn_seconds:
            return FIRST_TURN_SECONDS
        if self._partly:  # longer turns may meet what comes once an epoch
            return min(2 * self._turn_seconds[-1], MOST_COVERING_SECONDS)
        own, mean = self._ratios[self._before :], float(np.mean(self._turn_seconds))
        best = estimate.best_turn_seconds(own, mean, self._setup_seconds)
        return min(max(best, LEAST_TURN_SECONDS), MOST_TURN_SECONDS)

    def _add(self, trio: Trio) -> None:
        self.cpu_seconds += sum(one.process_cpu_seconds for one in trio.measured)
        if end := why_ended(trio, self._inputs):
            self.reason, self.ended = end[1], True
            return
        self._inputs = self._inputs or input_identity(trio.measured[0])
        self._preparation = self._preparation or trio.preparation
        quiet = [turn.quiet for row in trio.turns for turn in row]
        self._turns += len(quiet)
        self._disturbed += quiet.count(False)
        self._logs.append(estimate.turn_logs(trio, TIME))
        self._errors.append(estimate.bootstrap_error(self._logs[-1]))
        ratios, controls, _ = estimate.trio_log_ratios(self._logs, self._errors, TIME)
        self._ratios = self._ratios[: self._before] + ratios
        self._controls = self._controls[: self._before] + controls
        self._partly = any("partly_timed" in one.flags for one in trio.measured)
        self.reason = self._doubt(trio)

    def _doubt(self, trio: Trio) -> str:
        """Return why the trios so far cannot be trusted; empty if they can."""
        roles = (self.trial, self.trial, self.than)
        for trial, measured in zip(roles, trio.measured, strict=True):
            for flag in measured.flags:
                if flag in NOT_RANKED:
                    return f"{trial.key} is flagged {flag}"
        if self._disturbed > DISTURBED_SHARE * self._turns:
            return DISTURBED
        return ""


def _stored(values: Sequence[LogRatio]) -> list[tuple[float, float | None]]:
    return [(ratio, None if math.isnan(error) else error) for ratio, error in values]


def _known(values: Sequence[tuple[float, float | None]]) -> list[LogRatio]:
    return [(ratio, math.nan if error is None else error) for ratio, error in values]
