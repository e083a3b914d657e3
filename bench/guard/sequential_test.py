"""One row of a guard while it is being settled: looks, confirmation, control."""

from __future__ import annotations

import numpy as np

from bench.analysis import intervals, verdicts
from bench.guard import estimate
from bench.guard.metrics import find
from bench.guard.places import Places
from bench.guard.record import Row, differ, figure
from bench.guard.trio import Trio
from bench.run.progress import plural

CONFIRMING = 2  # trios that must agree before a row is called slower, or faster
WORTH_SAYING = 0.05  # of the time, in stalls
NEXT_LOOK = 0.7  # of the interval's width at the look before


class RowTest:
    """One metric of one case, while it is being settled.

    When to look is told by how narrow the interval should have become by the errors
    within trios, never by where it lies or how the trios scatter: when there are three,
    when half its width is half the threshold, then each time that it is a third
    narrower, and once more at the end. The first look spends a quarter of alpha, each
    further one half of what is left, the last one all of it; together they never exceed
    the whole, and so miss no more than alpha (Bonferroni's inequality; looks by
    information: Lan and DeMets 1983). What a look flags, later trios may confirm, as
    often as it takes: that spends nothing, as nothing is confirmed without a flag.
    """

    def __init__(
        self,
        key: str,
        metric: str,
        threshold: float,
        alpha: float,
        apart: float = 0.0,
        *,
        placed: bool = True,
    ) -> None:
        """Nothing known yet; alpha is this row's own share, `apart` as in evidence.

        Places are told apart only where both sides are `placed`: where a round of turns
        meets the same examples in every trio.
        """
        self.key, self.metric, self.threshold = key, metric, threshold
        self.alpha, self.apart, self.placed = alpha, apart, placed
        self.due = np.log1p(threshold) / 2
        self.ratios: list[tuple[float, float]] = []
        self.controls: list[tuple[float, float]] = []
        self.logs: list[np.ndarray] = []  # of each trio's turns
        self.errors: list[float] = []  # within each
        self.whole: list[bool] = []  # whether it met all long places
        self.places: Places | None = None  # what they have in common
        known = find(metric)
        self.covered = not (known.by_place or known.longest)
        self.turns = 0
        self.interval = intervals.Interval(np.nan, np.nan, np.nan, 0)
        self.verdict = "unknown"
        self.flagged, self.flagged_at = "", 0
        self.settled = False
        self.closed = False
        self.changed = False
        self.cause = "the budget ended before three trios of processes had run"

    def add(self, trio: Trio) -> None:
        """Take in one trio, and look at what there is if a look is due."""
        self.turns += len(trio.turns)
        outputs = (trio.measured[i].output_fingerprint for i in (0, 2))
        self.changed = self.changed or differ(*outputs)
        self.logs.append(estimate.turn_logs(trio, self.metric))
        self.errors.append(estimate.error(self.logs[-1]))
        known = estimate.over_trios(
            self.logs, self.errors, self.metric, placed=self.placed
        )
        self.ratios, self.controls, self.places = known
        self.whole = self.places.whole if self.places else [True] * len(self.ratios)
        self._taken()

    def take(self, ratio: tuple[float, float], control: tuple[float, float]) -> None:
        """The same from a trio's log-ratios of head and control, with their errors."""
        self.ratios.append(ratio)
        self.controls.append(control)
        self.whole.append(True)
        self._taken()

    def _counted(self) -> list[int]:
        """The trios that say what they met: those that met all long places.

        Another one's share of stalls is what the others have, and so no evidence.
        """
        whole = [number for number, one in enumerate(self.whole) if one]
        every = list(range(len(self.ratios)))
        return whole if len(whole) >= estimate.LEAST_TRIOS else every

    @property
    def last_long_place(self) -> int:
        """The last round in which something takes long; -1 if none does."""
        if self.places is None:
            return -1
        return int(np.flatnonzero(self.places.long).max(initial=-1))

    def cover(self) -> None:
        """The trios have met what they should: now the verdict may be `unchanged`."""
        if not self.covered and self.open:
            self.covered, self.due = True, float("inf")

    def _taken(self) -> None:
        if self.flagged:
            if sum(self.whole[self.flagged_at :]) < CONFIRMING:
                return
            self._confirm(self._known())
        if self.settled:
            return
        first = len(self.ratios) == estimate.LEAST_TRIOS
        share = 1 / 4 if first else 1 / 2
        foreseen = estimate.foreseen(self.ratios, self.alpha * share, self.apart)
        if first or foreseen <= self.due:
            self.due = min(self.due, foreseen * NEXT_LOOK)
            found = self._known(share)
            self.alpha *= 1 - share
            self._look(found)

    @property
    def open(self) -> bool:
        """Whether more trios are wanted."""
        return not (self.settled or self.closed)

    def finish(self) -> None:
        """The last look, when time is up.

        What it flags is confirmed if the later half of the trios say so by themselves
        and the earlier half do, too: two sets of processes, of which neither decided
        alone. Or it is unchanged after all, by the same interval.
        """
        if not self.open:
            return
        self.closed = True
        if len(self.ratios) < estimate.LEAST_TRIOS:
            return
        found = self._known()
        back = verdicts.verdict(found, self.threshold) == "unchanged"
        if back or not self.flagged:
            self._look(found)
        enough = len(self._counted()) >= estimate.LEAST_TRIOS + CONFIRMING
        if self.flagged and not back and enough:
            self._confirm(found, len(self._counted()) // 2)

    def interrupt(self) -> None:
        """No more trios, and no look: what is not settled stays unknown."""
        if not (self.settled or self.closed):
            self.interval, self.verdict = self._known(), "unknown"
            self.cause = (
                "interrupted before it was settled, after "
                f"{plural(len(self.ratios), 'trio')} of processes"
            )

    def wandered(self) -> str:
        """Why nobody can be blamed: the control left half the margin, not by chance."""
        control = self.control()
        edge = np.log1p(self.threshold / 2)
        within = abs(np.log(control.estimate)) <= edge
        if np.isnan(control.estimate) or within or control.low <= 1 <= control.high:
            return ""
        return (
            f"too noisy to blame anybody: base against itself differs by "
            f"{100 * (control.estimate - 1):+.2f} %, more than half the threshold"
        )

    def control(self) -> intervals.Interval:
        """Base against base."""
        alpha = 1 - intervals.CONFIDENCE
        return estimate.interval(self.controls, alpha, apart=self.apart)

    def row(self) -> Row:
        """What is known now."""
        return Row(
            key=self.key,
            metric=self.metric,
            verdict=self.verdict,
            ratio=figure(self.interval.estimate),
            low=figure(self.interval.low),
            high=figure(self.interval.high),
            threshold=self.threshold,
            count=len(self.ratios),
            turns=self.turns,
            log_ratios=[ratio for ratio, _ in self.ratios],
            output_changed=self.changed,
            cause="" if self.verdict != "unknown" else self.cause,
            stalls=self._stalls(),
        )

    def _stalls(self) -> str:
        """What the places have in common that are long, one line."""
        if self.places is None or len(self.logs) < estimate.LEAST_TRIOS:
            return ""
        base, head = self.places.lumps
        if max(base, head) < WORTH_SAYING and head - base < self.threshold / 2:
            return ""
        long, windows = int(self.places.long.sum()), self.places.met
        return (
            f"stalls take {100 * head:.1f} % of head's time and {100 * base:.1f} % of "
            f"base's: {long:,} of {windows:,} windows, up to "
            f"{max(self.places.factors):.3g} times as long as usual"
        )

    def control_row(self) -> Row:
        """Base against base; beyond half the threshold it is `slower` or `faster`."""
        found = self.control()
        verdict = "unknown"
        if found.count >= estimate.LEAST_TRIOS:
            away = "slower" if found.estimate > 1 else "faster"
            verdict = away if self.wandered() else "unchanged"
        return Row(
            key=self.key,
            metric=self.metric,
            verdict=verdict,
            ratio=figure(found.estimate),
            low=figure(found.low),
            high=figure(found.high),
            threshold=self.threshold / 2,
            count=found.count,
            turns=self.turns,
            log_ratios=[ratio for ratio, _ in self.controls],
        )

    def progress(self) -> str:
        """Where it stands, one line."""
        if not self.ratios:
            return self.key
        found = self._known()
        now = f"{100 * (found.estimate - 1):+.1f} %"
        if not np.isnan(found.low):
            low, high = (100 * (v - 1) for v in (found.low, found.high))
            now = f"{now} ({low:+.1f} to {high:+.1f})"
        state = self.verdict if self.settled else "going on"
        return f"{self.key}: {plural(len(self.ratios), 'trio')}, {now}, {state}"

    def _known(self, share: float = 1.0) -> intervals.Interval:
        """The interval by now, for a share of what is left of alpha."""
        alpha = self.alpha * share
        counted = self._counted()
        ratios, controls = (
            [values[number] for number in counted]
            for values in (self.ratios, self.controls)
        )
        return estimate.interval(ratios, alpha, controls, self.apart)

    def _look(self, found: intervals.Interval) -> None:
        self.interval, verdict = found, verdicts.verdict(found, self.threshold)
        self.verdict = "unknown"
        noisy = self.wandered()
        if np.isnan(found.estimate):
            self.cause = "it could not be measured in every process"
            return
        self.cause = noisy or self._straddles()
        if noisy or verdict == "unknown":
            return
        if verdict == "unchanged":
            # Before enough places were met it stands only if the time ends.
            self.verdict, self.settled = verdict, self.covered
            return
        if verdict != self.flagged:
            self.flagged, self.flagged_at = verdict, len(self.ratios)
        self.cause = "beyond the threshold, not yet confirmed by fresh processes"

    def _confirm(self, found: intervals.Interval, latest: int = CONFIRMING) -> None:
        """The latest trios and those before say so by themselves, and all together."""
        self.interval = found
        counted = [self.ratios[number] for number in self._counted()]
        sets = [counted[:-latest], counted[-latest:]]
        logs = [np.log(estimate.interval(s, self.alpha).estimate) for s in sets]
        sign = 1 if self.flagged == "slower" else -1
        beyond = min(sign * one for one in logs) > np.log1p(self.threshold)
        agreed = verdicts.verdict(found, self.threshold) == self.flagged
        noisy = self.wandered()
        if agreed and beyond and not noisy:
            self.verdict, self.settled = self.flagged, True
            return
        self.cause = noisy or "not the same when measured again with fresh processes"

    def _straddles(self) -> str:
        low, high = (100 * (v - 1) for v in (self.interval.low, self.interval.high))
        return (
            f"not settled: {low:+.1f} to {high:+.1f} % is neither within nor beyond "
            f"{100 * self.threshold:.3g} %"
        )
