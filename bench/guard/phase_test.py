"""One phase of a guarded trial: adapting, the first batch, filling, offline work.

A phase happens once a process, so a trio gives one figure of base, control and head.
The figure is the time in which the process worked or waited for something else than a
processor: beside other work, ratios of the plain seconds varied by 30 to 60 % from trio
to trio, and these by 12 to 15 %. Seconds by the clock are a second witness: a head that
lost its parallelism works as much, and takes longer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats as distributions

from bench.analysis.intervals import Interval
from bench.guard import estimate
from bench.guard.metrics import FLOOR_SECONDS, find
from bench.guard.record import Row, figure
from bench.guard.trio import Trio
from bench.run.progress import plural

LEAST_TRIOS = 5
LOOKS = 1.4  # each look has so many times as many trios as the one before
# Of one look, both sides together. A false alarm takes the whole interval beyond a
# limit that is as far away as the interval is wide: 0 of 300 equal pairs had one.
ALPHA = 0.01

Figures = list[list[float]]  # seconds of base, control and head, a row a trio


@dataclass(frozen=True)
class Look:
    """What the trios so far say of a phase.

    Attributes:
        work: The ratio of head to base, by seconds less waits for a processor.
        elapsed: The same by the clock.
        control: The ratio of base to itself.
        limit: The relative change that counts, as the scatter of the control allows.
    """

    work: Interval
    elapsed: Interval
    control: Interval
    limit: float


class PhaseTest:
    """One phase of one case, while it is being settled.

    The limit is from half the threshold, where the control scatters little, up to the
    whole of it; and no less than `FLOOR_SECONDS`. Head is slower where the whole
    interval is beyond the limit and both halves of the trios say so. Head holds where
    the interval excludes such a slow-down, however far it goes to the other side.
    """

    def __init__(self, key: str, metric: str, threshold: float) -> None:
        """Start without any trio."""
        self.key, self.metric, self.threshold = key, metric, threshold
        self.work: Figures = []
        self.elapsed: Figures = []
        self.verdict, self.settled, self.closed = "unknown", False, False
        self.due = LEAST_TRIOS
        self.absent = ""
        self.cause = f"the budget ended before {LEAST_TRIOS} trios of processes had run"
        self.look: Look | None = None

    def add(self, trio: Trio) -> None:
        """Take in one trio, and look at all of them if a look is due."""
        metric = find(self.metric)
        work = [metric.figure(one) for one in trio.measured]
        elapsed = [metric.elapsed(one) for one in trio.measured]
        if None in work or None in elapsed:
            self.absent, self.closed = "not every process measured it", True
            return
        self.work.append(work)
        self.elapsed.append(elapsed)
        if len(self.work) >= self.due:
            self.due = int(np.ceil(LOOKS * self.due))
            self._judge()

    @property
    def open(self) -> bool:
        """Whether more trios are wanted."""
        return not (self.settled or self.closed)

    @property
    def controls(self) -> list:
        """The trios, each of which has a control."""
        return self.work if self.look and not self.left_out else []

    @property
    def left_out(self) -> str:
        """Why nothing is said of this phase; empty where there is a row."""
        if self.absent or not self.work:
            return self.absent
        if np.median(self.work, axis=0).max() < FLOOR_SECONDS:
            return f"it takes less than {1000 * FLOOR_SECONDS:g} ms on both sides"
        return ""

    def finish(self) -> None:
        """Take the last look, when time is up."""
        if self.open and len(self.work) >= LEAST_TRIOS:
            self._judge()
        self.closed = True

    def interrupt(self) -> None:
        """Close without a look: what is not settled stays unknown."""
        if self.open:
            count = plural(len(self.work), "trio")
            self.cause = (
                f"interrupted before it was settled, after {count} of processes"
            )
            self.closed = True

    def row(self) -> Row:
        """The row of this phase as it stands."""
        if self.look is None:
            return self._row("unknown", Interval(*[np.nan] * 3, 0), self.threshold)
        shown = self.look.elapsed if self._by_the_clock() else self.look.work
        return self._row(self.verdict, shown, self.look.limit)

    def control_row(self) -> Row:
        """The row of base against base; beyond half the limit it is no control."""
        found = self.look.control
        verdict = "unchanged"
        if self._wandered():
            verdict = "slower" if found.estimate > 1 else "faster"
        return self._row(verdict, found, self.look.limit / 2)

    def progress(self) -> str:
        """Where it stands, in one line."""
        state = self.verdict if self.settled else "going on"
        count = plural(len(self.work), "trio")
        return f"{self.key}: {find(self.metric).short}, {count}, {state}"

    def _row(self, verdict: str, shown: Interval, threshold: float) -> Row:
        return Row(
            key=self.key,
            metric=self.metric,
            verdict=verdict,
            ratio=figure(shown.estimate),
            low=figure(shown.low),
            high=figure(shown.high),
            threshold=threshold,
            count=len(self.work),
            log_ratios=[float(one) for one in _ratios(self.work)],
            cause=self.cause if verdict == "unknown" else "",
        )

    def _judge(self) -> None:
        """Look at all trios, and settle what they settle."""
        self.look = look = _look(self.work, self.elapsed, self.threshold)
        edge = 1 + look.limit
        if self._wandered():
            self.cause = (
                "too noisy to blame anybody: base against itself differs by "
                f"{100 * (look.control.estimate - 1):+.1f} %"
            )
        elif self._grew(look.work, self.work) or self._by_the_clock():
            self.verdict, self.settled = "slower", True
        elif look.work.high < 1 / edge:
            self.verdict, self.settled = "faster", True
        elif look.work.high <= edge and not _suspicious(look.elapsed, edge):
            self.verdict, self.settled = "unchanged", True
        else:
            self.cause = (
                f"not settled: a slow-down of {100 * look.limit:.3g} % is neither "
                "certain nor excluded"
            )

    def _by_the_clock(self) -> bool:
        """Whether the clock alone shows that head is slower."""
        look = self.look
        grew = self._grew(look.elapsed, self.elapsed)
        return grew and not self._grew(look.work, self.work)

    def _grew(self, found: Interval, figures: Figures) -> bool:
        """Whether head is slower by some figures: all trios, and each half of them."""
        edge = 1 + self.look.limit
        ratios, half = _ratios(figures), len(figures) // 2
        halves = (ratios[:half].mean(), ratios[half:].mean())
        return found.low > edge and min(halves) > np.log(edge)

    def _wandered(self) -> bool:
        """Whether base differs from itself by half the limit, and not by chance."""
        control, edge = self.look.control, 1 + self.look.limit / 2
        return bool(
            (control.estimate > edge and control.low > 1)
            or (control.estimate < 1 / edge and control.high < 1)
        )


def _look(
    work: list[list[float]], elapsed: list[list[float]], threshold: float
) -> Look:
    """Intervals over trios, and the limit that the control's scatter allows."""
    controls = _controls(work)
    scatter = float(np.sqrt(np.mean(controls**2) * estimate.CONTROL_SHARE / len(work)))
    width = np.expm1(distributions.t.ppf(1 - ALPHA / 2, len(work)) * scatter)
    relative = float(np.clip(2 * width, threshold / 2, threshold))
    usual = float(np.median(np.array(work)[:, :2]))
    return Look(
        work=_interval(_ratios(work), controls),
        elapsed=_interval(_ratios(elapsed), _controls(elapsed)),
        control=_interval(controls, controls),
        limit=max(relative, FLOOR_SECONDS / max(usual, 1e-9)),
    )


def _suspicious(elapsed: Interval, edge: float) -> bool:
    """Whether the clock shows some slow-down, and rather one beyond the limit."""
    return elapsed.low > 1 and elapsed.estimate > edge


def _ratios(figures: Figures) -> np.ndarray:
    """Log-ratios of head to the mean of both bases, one a trio."""
    logs = np.log(np.array(figures, float).reshape(-1, 3) + 1e-9)
    return logs[:, 2] - logs[:, :2].mean(axis=1)


def _controls(figures: Figures) -> np.ndarray:
    """Log-ratios of control to base, one a trio."""
    logs = np.log(np.array(figures, float).reshape(-1, 3) + 1e-9)
    return logs[:, 1] - logs[:, 0]


def _interval(ratios: np.ndarray, controls: np.ndarray) -> Interval:
    """The mean of log-ratios with its moderated t interval; see `evidence.interval`."""
    found, same = ([(float(one), 0.0) for one in logs] for logs in (ratios, controls))
    return estimate.interval(found, ALPHA, same)
