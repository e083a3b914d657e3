"""A sequential test decides one row of a live guard: looks, confirmation, control."""

from __future__ import annotations

import numpy as np

from bench.analysis import decisions, intervals
from bench.guard import estimate
from bench.guard.estimate import LogRatio
from bench.guard.metrics import find
from bench.guard.places import Places
from bench.guard.record import Row, outputs_differ, ratio_figures
from bench.guard.trio import Trio
from bench.text import plural

CONFIRMING = 2  # trios that must agree before a row is called slower, or faster
NOTABLE_STALLS = 0.05  # of the time
NEXT_LOOK = 0.7  # times the interval's width at the look before
OUTWEIGHS = 4.0  # times the fault: so far beyond the threshold a change stands
FIRST_SHARE, NEXT_SHARE = 1 / 4, 1 / 2  # of the alpha that is left, for a look


class RowTest:
    """A test of one metric of one case, trio by trio, until its verdict is settled.

    A look computes the interval over all trios so far. It settles the verdict
    `unchanged`, or it flags the row as `slower` or `faster`. A flag is settled when the
    trios before the latest two, the latest two, and all together agree with it; or at
    once when every single trio is beyond `estimate.LARGE` on the same side.

    The first look comes at three trios. A later look comes when half the expected width
    of the interval is at most half the threshold and 30 % smaller than at the look
    before, or when `cover` reports enough places. The last look comes at the end. The
    expected width depends on the errors within trios alone. It ignores where the
    interval lies and how the trios scatter.

    The first look spends a quarter of alpha, each later look half of what is left, and
    the last look all of it. Together they never exceed alpha (Bonferroni's inequality;
    looks by information: Lan and DeMets 1983). A confirmation spends no alpha, because
    it needs a flag first. It may be tried as often as new trios arrive.
    """

    def __init__(
        self,
        key: str,
        metric: str,
        threshold: float,
        alpha: float,
        apart: float = 0.0,
    ) -> None:
        """Start without any trio.

        Args:
            key: The trial's key.
            metric: A name of `metrics.METRICS`.
            threshold: The relative change from which a slow-down counts.
            alpha: This row's share of the false alarms.
            apart: As in `estimate.interval`.
        """
        self.key, self.metric, self.threshold = key, metric, threshold
        self.alpha, self.apart = alpha, apart
        self.due_half_width = np.log1p(threshold) / 2  # of the next look
        self.ratios: list[LogRatio] = []
        self.controls: list[LogRatio] = []
        self.logs: list[np.ndarray] = []  # of each trio's turns
        self.errors: list[float] = []  # within each trio
        self.whole: list[bool] = []  # whether each trio met all long places
        self.places: Places | None = None  # what the trios have in common
        row = find(metric)
        self.covered = not (row.by_place or row.longest)
        self.turns = 0
        self.interval = intervals.Interval(np.nan, np.nan, np.nan, 0)
        self.verdict = "unknown"
        self.flagged, self.flagged_at = "", 0
        self.settled = False
        self.closed = False
        self.output_changed = False
        self.cause = "the budget ended before three trios of processes had run"

    def add(self, trio: Trio) -> None:
        """Add one trio, and look at all trios if a look is due."""
        self.turns += len(trio.turns)
        base, head = (trio.measured[i].output_fingerprint for i in (0, 2))
        self.output_changed = self.output_changed or outputs_differ(base, head)
        self.logs.append(estimate.turn_logs(trio, self.metric))
        self.errors.append(estimate.bootstrap_error(self.logs[-1]))
        self.ratios, self.controls, self.places = estimate.trio_log_ratios(
            self.logs, self.errors, self.metric
        )
        self.whole = self.places.whole if self.places else [True] * len(self.ratios)
        self._confirm_or_look()

    def add_log_ratios(self, ratio: LogRatio, control: LogRatio) -> None:
        """Add one trio by its log-ratios of head and control, and look if it is due."""
        self.ratios.append(ratio)
        self.controls.append(control)
        self.whole.append(True)
        self._confirm_or_look()

    def _counted(self) -> list[int]:
        """Return the numbers of the trios that count: those that met all long places.

        Any other trio ended before a long place. The stalls there are filled in from
        the other trios, so this trio is no evidence of its own.
        """
        whole = [number for number, one in enumerate(self.whole) if one]
        every = list(range(len(self.ratios)))
        return whole if len(whole) >= estimate.LEAST_TRIOS else every

    @property
    def last_long_place(self) -> int:
        """Return the last round, from 0, that takes long in most trios, as at a refill.

        The result is -1 if there is no such round, or if places are not compared yet.
        """
        if self.places is None:
            return -1
        return int(np.flatnonzero(self.places.long).max(initial=-1))

    def cover(self) -> None:
        """Note that the trios met enough places, so that `unchanged` may be settled."""
        if not self.covered and self.open:
            self.covered, self.due_half_width = True, float("inf")

    def _confirm_or_look(self) -> None:
        if self.flagged:
            if sum(self.whole[self.flagged_at :]) < CONFIRMING:
                return
            self._confirm(self._interval())
        if self.settled:
            return
        first = len(self.ratios) == estimate.LEAST_TRIOS
        share = FIRST_SHARE if first else NEXT_SHARE
        half_width = estimate.expected_half_width(
            self.ratios, self.alpha * share, self.apart
        )
        if first or half_width <= self.due_half_width:
            self.due_half_width = min(self.due_half_width, half_width * NEXT_LOOK)
            interval = self._interval(share)
            self.alpha *= 1 - share
            self._look(interval)

    @property
    def open(self) -> bool:
        """Whether the test needs more trios."""
        return not (self.settled or self.closed)

    def finish(self) -> None:
        """Take the last look when the time is up.

        The row is `unchanged` if the interval over all trios shows that. Otherwise a
        flag is confirmed if the earlier half of the trios and the later half each agree
        with it. So two separate sets of processes must agree.
        """
        if not self.open:
            return
        self.closed = True
        if len(self.ratios) < estimate.LEAST_TRIOS:
            return
        interval = self._interval()
        unchanged = decisions.verdict(interval, self.threshold) == "unchanged"
        if unchanged or not self.flagged:
            self._look(interval)
        count = len(self._counted())
        enough = count >= estimate.LEAST_TRIOS + CONFIRMING
        if self.flagged and not unchanged and enough:
            self._confirm(interval, count // 2)

    def interrupt(self) -> None:
        """Stop without a last look: a row that is not settled stays unknown."""
        if self.open:
            self.interval, self.verdict = self._interval(), "unknown"
            self.cause = (
                "interrupted before it was settled, after "
                f"{plural(len(self.ratios), 'trio')} of processes"
            )

    def control_fault(self, interval: intervals.Interval | None = None) -> str:
        """Return why the control rules out a verdict; empty if it does not.

        The control rules out a verdict if base differs from itself by more than half
        the threshold, and by more than chance explains. A change of head that is far
        larger than this difference keeps its verdict.

        Args:
            interval: The interval of head; without it no change outweighs the fault.
        """
        control = self.control()
        fault = abs(np.log(control.estimate))
        within = fault <= np.log1p(self.threshold / 2)
        if np.isnan(control.estimate) or within or control.low <= 1 <= control.high:
            return ""
        if interval is not None:
            nearest = max(np.log(interval.low), -np.log(interval.high))
            if nearest > np.log1p(self.threshold) + OUTWEIGHS * fault:
                return ""
        return (
            "the machine is too noisy: base differs from itself by "
            f"{100 * (control.estimate - 1):+.2f} %, more than half the threshold"
        )

    def control(self) -> intervals.Interval:
        """Return the ratio of base to itself with its interval."""
        alpha = 1 - intervals.CONFIDENCE
        return estimate.interval(self.controls, alpha, apart=self.apart)

    def row(self) -> Row:
        """Return the row as it stands."""
        return Row(
            key=self.key,
            metric=self.metric,
            verdict=self.verdict,
            **ratio_figures(self.interval),
            threshold=self.threshold,
            count=len(self.ratios),
            turns=self.turns,
            log_ratios=[ratio for ratio, _ in self.ratios],
            output_changed=self.output_changed,
            cause=self.cause if self.verdict == "unknown" else "",
            stalls=self._stalls(),
        )

    def _stalls(self) -> str:
        """Return one line on the time that stalls take; empty if they take little."""
        if self.places is None or len(self.logs) < estimate.LEAST_TRIOS:
            return ""
        base, head = self.places.stall_shares
        if max(base, head) < NOTABLE_STALLS and head - base < self.threshold / 2:
            return ""
        long, windows = int(self.places.long.sum()), self.places.met
        return (
            f"stalls take {100 * head:.1f} % of head's time and {100 * base:.1f} % of "
            f"base's: {long:,} of {windows:,} windows, up to "
            f"{max(self.places.stall_factors):.3g} times as long as usual"
        )

    def control_row(self) -> Row:
        """Return the row of base against base, with half the threshold as its limit."""
        interval = self.control()
        verdict = "unknown"
        if interval.count >= estimate.LEAST_TRIOS:
            changed = "slower" if interval.estimate > 1 else "faster"
            verdict = changed if self.control_fault() else "unchanged"
        return Row(
            key=self.key,
            metric=self.metric,
            verdict=verdict,
            **ratio_figures(interval),
            threshold=self.threshold / 2,
            count=interval.count,
            turns=self.turns,
            log_ratios=[ratio for ratio, _ in self.controls],
        )

    def progress(self) -> str:
        """Return one line on how far the test is."""
        if not self.ratios:
            return self.key
        interval = self._interval()
        now = f"{100 * (interval.estimate - 1):+.1f} %"
        if not np.isnan(interval.low):
            low, high = (100 * (v - 1) for v in (interval.low, interval.high))
            now = f"{now} ({low:+.1f} to {high:+.1f})"
        state = self.verdict if self.settled else "in progress"
        return f"{self.key}: {plural(len(self.ratios), 'trio')}, {now}, {state}"

    def _interval(self, share: float = 1.0) -> intervals.Interval:
        """Return the interval so far, for a share of the alpha that is left."""
        counted = self._counted()
        ratios, controls = (
            [values[number] for number in counted]
            for values in (self.ratios, self.controls)
        )
        return estimate.interval(ratios, self.alpha * share, controls, self.apart)

    def _look(self, interval: intervals.Interval) -> None:
        """Settle the row, flag it, or record why it is still unknown."""
        self.interval, verdict = interval, decisions.verdict(interval, self.threshold)
        self.verdict = "unknown"
        if np.isnan(interval.estimate):
            self.cause = "it could not be measured in every process"
            return
        fault = self.control_fault(interval)
        self.cause = fault or self._straddles()
        if fault or verdict == "unknown":
            return
        if verdict == "unchanged":
            # Before enough places were met, this stands only if the time ends.
            self.verdict, self.settled = verdict, self.covered
            return
        if estimate.all_large([self.ratios[number][0] for number in self._counted()]):
            self.verdict, self.settled = verdict, True
            return
        if verdict != self.flagged:
            self.flagged, self.flagged_at = verdict, len(self.ratios)
        self.cause = "beyond the threshold, not yet confirmed by fresh processes"

    def _confirm(self, interval: intervals.Interval, latest: int = CONFIRMING) -> None:
        """Settle the flag if the latest trios, the earlier ones and all together agree.

        Args:
            interval: The interval over all trios.
            latest: How many trios are the latest ones.
        """
        self.interval = interval
        counted = [self.ratios[number] for number in self._counted()]
        sets = [counted[:-latest], counted[-latest:]]
        logs = [np.log(estimate.interval(s, self.alpha).estimate) for s in sets]
        sign = 1 if self.flagged == "slower" else -1
        beyond = min(sign * log for log in logs) > np.log1p(self.threshold)
        agreed = decisions.verdict(interval, self.threshold) == self.flagged
        fault = self.control_fault(interval)
        if agreed and beyond and not fault:
            self.verdict, self.settled = self.flagged, True
            return
        self.cause = fault or "fresh processes did not confirm a change"

    def _straddles(self) -> str:
        low, high = (100 * (v - 1) for v in (self.interval.low, self.interval.high))
        return (
            f"the interval, {low:+.1f} to {high:+.1f} %, is neither within nor beyond "
            f"{100 * self.threshold:.3g} %"
        )
