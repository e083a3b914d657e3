"""A settlement is the outcome of one sitting in which processes settled a claim's case.

The processes of two trials take turns, pair by pair; see `guard/pair_test.py`. This
module has the record, a line of `settled.jsonl` in a result folder, and the ratio that
the lines of a case give. A case that is not settled yet continues: its next line has
the trios of all lines since it was last settled.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from bench import store
from bench.analysis.intervals import Interval
from bench.analysis.table import machine_labels
from bench.errors import UsageError
from bench.machine import identity
from bench.plan.claims import Side
from bench.trial import Run

FILE = "settled.jsonl"
APART = timedelta(hours=1)  # the least time between two judgements of a case


@dataclass(frozen=True, kw_only=True)
class Trios:
    """The trios of one pair of trials have a log-ratio each, with its standard error.

    Attributes:
        trial: The key of the trial that the claim favours.
        than: The key of the trial that it is compared with.
        ratios: `[log-ratio, error]` of each trio: the log of the seconds an example of
            `than` over those of `trial`; the error is None if it is unknown.
        controls: Likewise of `trial` over another process of `trial`, whose true value
            is 0.
    """

    trial: str
    than: str
    ratios: list[tuple[float, float | None]] = field(default_factory=list)
    controls: list[tuple[float, float | None]] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Settlement:
    """A settlement is a line of `settled.jsonl`: a case at the end of a sitting.

    Attributes:
        schema: The version of this record's layout.
        claim: The name of the claim.
        workload: The workload of the case.
        started: When the sitting started, UTC, ISO 8601.
        seconds: How long it took.
        settled: Whether the interval is wholly within or wholly beyond the prediction.
        factor: The ratio that the claim predicts, such as how many times as fast; None
            if nothing was measured.
        low: The lower bound of its interval; None if there is no interval.
        high: The upper bound.
        looks: How many looks at the interval the trios have had.
        reason: Why the trios cannot settle the case; empty if they can.
        trios: The trios of each pair of trials.
        machine: What identifies the machine and the versions.
        conditions: Load, steal and other processes' CPU during the sitting.
    """

    claim: str
    workload: str
    started: str
    seconds: float
    settled: bool
    factor: float | None
    low: float | None
    high: float | None
    looks: int
    reason: str = ""
    trios: list[Trios] = field(default_factory=list)
    machine: dict[str, object] = field(default_factory=dict)
    conditions: dict[str, float] = field(default_factory=dict)
    schema: int = 1

    @property
    def count(self) -> int:
        """Return the number of trios of the pair with the fewest."""
        return min((len(pair.ratios) for pair in self.trios), default=0)

    @property
    def interval(self) -> Interval:
        """Return the ratio with its interval; NaN where it is unknown."""
        values = (self.factor, self.low, self.high)
        known = (math.nan if value is None else value for value in values)
        return Interval(*known, self.count)


@dataclass(frozen=True)
class ByTurns:
    """What turns show of a case: its judgements, or how far it is.

    Attributes:
        judged: The interval of each sitting that settled the case, oldest first. Two
            sittings are at least `APART` from each other.
        latest: The interval of the latest sitting, which may be open.
    """

    judged: tuple[Interval, ...]
    latest: Interval


def load(folder: Path) -> list[Settlement]:
    """Return the settlements of a result folder, oldest first; none without a file.

    An incomplete last line, left by an interrupted write, is left out.

    Raises:
        UsageError: The file cannot be read, or another line is broken.
    """
    path = Path(folder) / FILE
    try:
        lines = path.read_bytes().split(b"\n")[:-1] if path.is_file() else []
    except OSError as error:
        raise UsageError(f"Cannot read '{path}': {error.strerror}.") from error
    return [
        store.decode(line, Settlement, f"{path}, line {number}", "a settlement")
        for number, line in enumerate(lines, 1)
    ]


def of_machine(
    settlements: Iterable[Settlement], machine: Mapping[str, object]
) -> list[Settlement]:
    """Return those settlements that this machine made with these versions."""
    return [one for one in settlements if identity(one.machine) == identity(machine)]


def of_case(
    settlements: Iterable[Settlement], claim: str, workload: str
) -> list[Settlement]:
    """Return the settlements of one case, oldest first."""
    return [s for s in settlements if (s.claim, s.workload) == (claim, workload)]


def judgements(settlements: Sequence[Settlement]) -> list[Settlement]:
    """Return the settlements of one case that settled it, at least `APART` apart.

    Two sittings in a row meet the same state of the machine, so the second would
    confirm nothing.
    """
    counted: list[Settlement] = []
    for one in settlements:
        if one.settled and (not counted or _time(one) - _time(counted[-1]) >= APART):
            counted.append(one)
    return counted


def by_turns(
    folders: Iterable[str | Path], runs: Sequence[Run]
) -> dict[tuple[str, str, str], ByTurns]:
    """Return what turns show, by machine, claim and workload.

    Args:
        folders: Result folders.
        runs: The runs of these folders, which share the machines' labels.

    Raises:
        UsageError: A folder's file cannot be read.
    """
    settlements = [one for folder in folders for one in load(Path(folder))]
    labels = machine_labels([*runs, *settlements])[len(runs) :]
    cases: dict[tuple[str, str, str], list[Settlement]] = {}
    for one, label in zip(settlements, labels, strict=True):
        cases.setdefault((label, one.claim, one.workload), []).append(one)
    return {
        case: ByTurns(
            tuple(one.interval for one in judgements(lines)), lines[-1].interval
        )
        for case, lines in cases.items()
    }


def combined(trial: Side, than: Side, ratios: Sequence[Interval]) -> Interval:
    """Return the ratio of two sides of a case, from the ratios of their pairs.

    Each operation grows with each ratio. So if the intervals of all pairs cover their
    ratios, the bounds that are combined in the same way cover the ratio of the sides.

    Args:
        trial: The side that the claim favours.
        than: The side that it is compared with.
        ratios: The ratio of each pair, `than` over `trial`, in the order of
            `plan.claim_pairs.pairs`.
    """
    shape = len(trial.trials), len(than.trials)
    ends = np.array([[one.estimate, one.low, one.high] for one in ratios])
    over_than = {"fastest": np.min, "slowest": np.max, "sum": np.sum}
    over_trial = {"fastest": np.max, "slowest": np.min, "sum": _parallel}
    values = over_than[than.how](ends.reshape(*shape, 3), axis=1)
    values = over_trial[trial.how](values, axis=0)
    return Interval(*map(float, values), min(one.count for one in ratios))


def _parallel(ratios: np.ndarray, axis: int) -> np.ndarray:
    """Return the ratio to a sum of seconds, from the ratios to each of the seconds."""
    return 1 / np.sum(1 / ratios, axis=axis)


def _time(one: Settlement) -> datetime:
    return datetime.fromisoformat(one.started)
