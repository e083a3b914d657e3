"""Two trials compared live: pairs of processes that take turns on the same machine.

One pair of processes gives one figure, the median log-ratio of its turns; the evidence
is in the pairs of processes, since what is built first in one may be favoured by where
its memory lies. So the roles are swapped from pair to pair.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench import turns
from bench.processes import ForkServer, Outcome
from bench.trial import Effort, Failure, Measured, Trial


@dataclass(frozen=True)
class Side:
    """One of the two: where it runs, and what.

    Attributes:
        server: Started; the other side has one of its own.
        trial: What it measures.
    """

    server: ForkServer
    trial: Trial


@dataclass(frozen=True)
class Pair:
    """What one pair of processes gave.

    Attributes:
        turns: Seconds a batch of base and head, a pair of turns each.
        base: What the base process brought back.
        head: What the head process brought back.
        failure: Why there are no turns.
    """

    turns: list[tuple[float, float]]
    base: Measured | None
    head: Measured | None
    failure: Failure | None = None


def pairs(
    base: Side, head: Side, effort: Effort, *, seconds: float, seed: int
) -> Iterator[Pair]:
    """Pairs of processes without end, each taking turns for so many seconds.

    Args:
        base: What is compared with.
        head: What is compared.
        effort: Calibration, ramp and limits.
        seconds: Of turns in each pair of processes.
        seed: Of the first pair; each pair has another.
    """
    number = 0
    while True:
        swapped = number % 2 == 1
        sides = (head, base) if swapped else (base, head)
        taken, outcomes = _one(sides, effort, seconds, seed + number)
        if swapped:
            taken = [(second, first) for first, second in taken]
            outcomes = outcomes[::-1]
        yield _pair(taken, outcomes)
        number += 1


def _one(
    sides: tuple[Side, Side], effort: Effort, seconds: float, seed: int
) -> tuple[list[tuple[float, float]], list[Outcome]]:
    """One pair of processes: the first is built first and goes first."""
    with tempfile.TemporaryDirectory(prefix="feedrate-") as folder:
        callers = [turns.Caller(Path(folder), name) for name in ("first", "second")]
        begun = []
        try:
            ready = True
            for side, caller in zip(sides, callers, strict=True):
                begun.append(
                    side.server.begin("measure", side.trial, effort, seed, caller.path)
                )
                # One after the other: building is not to disturb what is timed.
                ready = ready and caller.ready(effort.limit_seconds)
            taken = _turns(callers, seconds) if ready else []
        finally:
            for caller in callers:
                caller.close()
            outcomes = [
                side.server.finish(one, effort)
                for side, one in zip(sides, begun, strict=False)
            ]
    return taken, outcomes


def _turns(
    callers: list[turns.Caller],
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
) -> list[tuple[float, float]]:
    first, second = callers
    return turns.take(first, second, seconds, clock)


def _pair(taken: list[tuple[float, float]], outcomes: list[Outcome]) -> Pair:
    measured = []
    for outcome in outcomes:
        if outcome.failure:
            return Pair([], None, None, outcome.failure)
        measured.append(msgspec.json.decode(outcome.result, type=Measured))
        if measured[-1].error:
            return Pair([], None, None, measured[-1].error)
    if not taken:
        lost = Failure(type="Lost", message="a process ended before its turns")
        return Pair([], None, None, lost)
    return Pair(taken, measured[0], measured[1])
