"""A phase test decides one phase of a guarded trial, such as adapting or filling.

A phase happens once in each process, so a trio of processes gives one figure each for
base, control and head. The figure is the phase's seconds, less those in which the
process waited for a free processor, because other work on the machine changes those
most: see results/method/README.md. Seconds by the clock are a second criterion: a head
that lost its parallelism works as much as before, but takes longer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats as distributions

from bench.analysis.intervals import Interval
from bench.guard import estimate
from bench.guard.metrics import FLOOR_SECONDS, find
from bench.guard.record import Row, ratio_figures
from bench.guard.trio import Trio
from bench.text import plural

LEAST_TRIOS = 5
LOOKS = 1.4  # a look has so many times the trios of the look before
# Of one look, both sides together. A false alarm takes the whole interval beyond a
# limit that is as far away as the interval is wide.
ALPHA = 0.01

Figures = list[list[float]]  # seconds of base, control and head, a row a trio


@dataclass(frozen=True)
class Look:
    """A look holds the estimates over all trios so far, and the limit.

    Attributes:
        work: The ratio of head to base, by seconds less waits for a processor.
        elapsed: The ratio of head to base, by the clock.
        control: The ratio of base to itself, by seconds less waits.
        limit: The relative change that counts, as the scatter of the control allows.
    """

    work: Interval
    elapsed: Interval
    control: Interval
    limit: float


class PhaseTest:
    """A test of one phase of one case, trio by trio, until its verdict is settled.

    The limit is the slow-down that counts. It is half the threshold where the control
    scatters little, rises to the whole threshold where the control scatters more, and
    is at least `FLOOR_SECONDS`. Head is slower if the whole interval is beyond the
    limit and both halves of the trios agree. Head is unchanged if the whole interval is
    below the limit, even if head may be much faster.
    """

    def __init__(self, key: str, metric: str, threshold: float) -> None:
        """Start without any trio."""
        self.key, self.metric, self.threshold = key, metric, threshold
        self.work: Figures = []
        self.elapsed: Figures = []
        self.verdict, self.settled, self.closed = "unknown", False, False
        self.due = LEAST_TRIOS  # trios of the next look
        self.unmeasured = ""  # why there is no figure
        self.cause = f"the budget ended before {LEAST_TRIOS} trios of processes had run"
        self.look: Look | None = None

    def add(self, trio: Trio) -> None:
        """Add one trio, and look at all trios if a look is due."""
        metric = find(self.metric)
        work = [metric.figure(one) for one in trio.measured]
        elapsed = [metric.elapsed(one) for one in trio.measured]
        if None in work or None in elapsed:
            self.unmeasured, self.closed = "not every process measured it", True
            return
        self.work.append(work)
        self.elapsed.append(elapsed)
        if len(self.work) >= self.due:
            self.due = int(np.ceil(LOOKS * self.due))
            self._look()

    @property
    def open(self) -> bool:
        """Whether the test needs more trios."""
        return not (self.settled or self.closed)

    @property
    def controls(self) -> list:
        """The trios, each of which has a control; empty if there is no row."""
        return self.work if self.look and not self.left_out else []

    @property
    def left_out(self) -> str:
        """Why this phase has no row; empty if it has one."""
        if self.unmeasured or not self.work:
            return self.unmeasured
        if np.median(self.work, axis=0).max() < FLOOR_SECONDS:
            return f"it takes less than {1000 * FLOOR_SECONDS:g} ms on both sides"
        return ""

    def finish(self) -> None:
        """Take the last look when the time is up."""
        if self.open and len(self.work) >= LEAST_TRIOS:
            self._look()
        self.closed = True

    def interrupt(self) -> None:
        """Stop without a last look: a row that is not settled stays unknown."""
        if self.open:
            count = plural(len(self.work), "trio")
            self.cause = (
                f"interrupted before it was settled, after {count} of processes"
            )
            self.closed = True

    def row(self) -> Row:
        """Return the row of this phase as it stands."""
        if self.look is None:
            return self._row("unknown", Interval(*[np.nan] * 3, 0), self.threshold)
        shown = self.look.elapsed if self._only_elapsed_grew() else self.look.work
        return self._row(self.verdict, shown, self.look.limit)

    def control_row(self) -> Row:
        """Return the row of base against base, with half the limit as its limit."""
        control, verdict = self.look.control, "unchanged"
        if self._control_differs():
            verdict = "slower" if control.estimate > 1 else "faster"
        return self._row(verdict, control, self.look.limit / 2)

    def progress(self) -> str:
        """Return one line on how far the test is."""
        state = self.verdict if self.settled else "in progress"
        count = plural(len(self.work), "trio")
        return f"{self.key}: {find(self.metric).short}, {count}, {state}"

    def _row(self, verdict: str, interval: Interval, threshold: float) -> Row:
        return Row(
            key=self.key,
            metric=self.metric,
            verdict=verdict,
            **ratio_figures(interval),
            threshold=threshold,
            count=len(self.work),
            log_ratios=[float(log_ratio) for log_ratio in _log_ratios(self.work)],
            cause=self.cause if verdict == "unknown" else "",
        )

    def _look(self) -> None:
        """Look at all trios; settle the verdict, or record why it is still unknown."""
        self.look = look = _estimates(self.work, self.elapsed, self.threshold)
        edge = 1 + look.limit
        if self._control_differs():
            self.cause = (
                "the machine is too noisy: base differs from itself by "
                f"{100 * (look.control.estimate - 1):+.1f} %"
            )
        elif self._grew(look.work, self.work) or self._only_elapsed_grew():
            self.verdict, self.settled = "slower", True
        elif look.work.high < 1 / edge:
            self.verdict, self.settled = "faster", True
        elif look.work.high <= edge and not _may_have_grown(look.elapsed, edge):
            self.verdict, self.settled = "unchanged", True
        else:
            self.cause = (
                f"a slow-down of {100 * look.limit:.3g} % is neither certain nor "
                "excluded"
            )

    def _only_elapsed_grew(self) -> bool:
        """Return whether the clock alone shows that head is slower."""
        look = self.look
        grew = self._grew(look.elapsed, self.elapsed)
        return grew and not self._grew(look.work, self.work)

    def _grew(self, interval: Interval, figures: Figures) -> bool:
        """Return whether head is slower by all trios and by each half of them."""
        edge = 1 + self.look.limit
        log_ratios, half = _log_ratios(figures), len(figures) // 2
        halves = (log_ratios[:half].mean(), log_ratios[half:].mean())
        return interval.low > edge and min(halves) > np.log(edge)

    def _control_differs(self) -> bool:
        """Return whether base differs from itself by half the limit, not by chance."""
        control, edge = self.look.control, 1 + self.look.limit / 2
        return bool(
            (control.estimate > edge and control.low > 1)
            or (control.estimate < 1 / edge and control.high < 1)
        )


def _estimates(work: Figures, elapsed: Figures, threshold: float) -> Look:
    """Return the intervals over trios, and the limit that the control allows."""
    controls = _control_log_ratios(work)
    scatter = float(np.sqrt(np.mean(controls**2) * estimate.CONTROL_SHARE / len(work)))
    width = np.expm1(distributions.t.ppf(1 - ALPHA / 2, len(work)) * scatter)
    relative = float(np.clip(2 * width, threshold / 2, threshold))
    usual = float(np.median(np.array(work)[:, :2]))
    return Look(
        work=_interval(_log_ratios(work), controls),
        elapsed=_interval(_log_ratios(elapsed), _control_log_ratios(elapsed)),
        control=_interval(controls, controls),
        limit=max(relative, FLOOR_SECONDS / max(usual, 1e-9)),
    )


def _may_have_grown(elapsed: Interval, edge: float) -> bool:
    """Return whether head is slower by the clock, probably by more than the limit.

    Args:
        elapsed: The ratio of head to base, by the clock.
        edge: The ratio at the limit.
    """
    return elapsed.low > 1 and elapsed.estimate > edge


def _log_ratios(figures: Figures) -> np.ndarray:
    """Return the log-ratios of head to the mean of both bases, one a trio."""
    logs = np.log(np.array(figures, float).reshape(-1, 3) + 1e-9)
    return logs[:, 2] - logs[:, :2].mean(axis=1)


def _control_log_ratios(figures: Figures) -> np.ndarray:
    """Return the log-ratios of control to base, one a trio."""
    logs = np.log(np.array(figures, float).reshape(-1, 3) + 1e-9)
    return logs[:, 1] - logs[:, 0]


def _interval(log_ratios: np.ndarray, controls: np.ndarray) -> Interval:
    """Return the mean of log-ratios with the interval of `estimate.interval`."""
    pairs, same = (
        [(float(one), 0.0) for one in logs] for logs in (log_ratios, controls)
    )
    return estimate.interval(pairs, ALPHA, same)
