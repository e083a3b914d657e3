"""Two trials compared live: processes that take turns on the same machine.

Three processes are alive at a time: base, base once more as the control, and head. A
round of turns gives two log-ratios, head against the mean of both bases, and the
control against base, which ought to be nothing. One trio of processes gives one figure
of each; the evidence is in the trios, since what is built first may be favoured by
where its memory lies. So the roles rotate from trio to trio.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import msgspec

from bench.run import turns
from bench.run.executors import Begun, Executor, Outcome, Place
from bench.trial import Effort, Failure, Measured, Trial

ROLES = ("base", "control", "head")


@dataclass(frozen=True)
class Side:
    """One of those compared: where it runs, and what.

    Attributes:
        server: Started; several sides may share one.
        trial: What it measures.
        folder: The folder it works in, which is also on its module path.
        stands_for: The tree of which `folder` is another revision; empty on head.
        control: A server of its own for base's control, where head has one of its own:
            processes of one server share memory, and so warm each other's caches.
    """

    server: Executor
    trial: Trial
    folder: str = ""
    stands_for: str = ""
    control: Executor | None = None


@dataclass(frozen=True)
class Trio:
    """What one trio of processes gave.

    Attributes:
        turns: Of base, control and head, a round of turns each; empty if one failed.
        measured: What each brought back, in the same order; empty if one failed.
        failures: Why there are no turns, by role.
        batch_sizes: Examples a batch of base and head.
        seconds: How long the trio took, from its forks to its end.
        warmed: How each got ready, by role: for the next trio to repeat.
    """

    turns: list[tuple[turns.Turn, ...]]
    measured: list[Measured]
    failures: dict[str, Failure]
    batch_sizes: dict[str, int]
    seconds: float
    warmed: dict[str, dict] = field(default_factory=dict)


def trio(
    base: Side,
    head: Side,
    effort: Effort,
    *,
    seconds: float,
    seed: int,
    number: int,
    warmed: Mapping[str, dict] | None = None,
) -> Trio:
    """One trio of processes, taking turns.

    Args:
        base: What is compared with.
        head: What is compared.
        effort: Calibration, ramp and limits.
        seconds: Of turns.
        seed: Of the first trio; each has another, the same for its three processes.
        number: Which trio of its case, from 0.
        warmed: How an earlier trio of the case got ready; without it this one
            calibrates and ramps.

    Raises:
        UsageError: A process cannot be had, or takes turns by another protocol.
    """
    start = time.monotonic()
    control = replace(base, server=base.control or base.server)
    sides = dict(zip(ROLES, (base, control, head), strict=True))
    _begin_anew([side.server for side in sides.values()])
    order = rotated(number)
    placed = [sides[role] for role in order]
    likes = [(warmed or {}).get(role, {}) for role in order]
    taken, outcomes, readied, late = _take(
        placed, likes, effort, seconds, seed + number
    )
    found, failures = {}, {}
    for role, outcome, was_late in zip(order, outcomes, late, strict=False):
        measured, failure = _read(outcome)
        if was_late and (failure is None or failure.type == "Dismissed"):
            limit = f"its limit of {effort.limit_seconds:g} s"
            message = f"not ready for its turn within {limit}; raise it with --limit"
            failure = Failure(type="Timeout", message=message)
        found[role] = measured
        if failure:
            failures[role] = failure
    culprits = {r: f for r, f in failures.items() if f.type != "Dismissed"}
    failures = culprits or failures
    if not failures and not taken:
        lost = Failure(type="Lost", message="a process ended before its turns")
        failures = dict.fromkeys(ROLES, lost)
    at = [order.index(role) for role in ROLES]
    return Trio(
        turns=[] if failures else [tuple(row[i] for i in at) for row in taken],
        measured=[] if failures else [found[role] for role in ROLES],
        failures=failures,
        batch_sizes={
            name: side.trial.pipeline.batch_size
            for name, side in (("base", base), ("head", head))
        },
        seconds=time.monotonic() - start,
        warmed=dict(zip(order, map(_repeatable, readied), strict=False)),
    )


def _begin_anew(servers: Sequence[Executor]) -> None:
    """Servers that are not one for all are others for each trio.

    How a server lies in memory is drawn when it starts, and all its processes share it:
    of three that flipped images one was 4 to 8 % slower in three of eight guards of an
    interpreter against itself, in every trio alike. So it differs from trio to trio.
    """
    if len(set(servers)) > 1:
        with ThreadPoolExecutor() as all_at_once:
            list(all_at_once.map(lambda server: server.start(), set(servers)))


def _repeatable(ready: dict) -> dict:
    """How a process got ready, with steps for the windows that only calibrating made.

    So the next trio begins its turns at the same place of the stream.
    """
    batches = ready["batches"]
    pulled = [
        [size, pulls] if size in (0, batches) else [0, size * pulls]
        for size, pulls in ready["pulled"]
    ]
    return {"batches": batches, "pulled": pulled}


def rotated(number: int) -> tuple[str, ...]:
    """Who is built and goes first in this trio.

    Each role is in each place once in three trios, and base is before control in as
    many of six as after it.
    """
    base, control, head = ROLES
    roles = ROLES if number // 3 % 2 == 0 else (control, base, head)
    return roles[number % 3 :] + roles[: number % 3]


def _take(
    sides: Sequence[Side],
    likes: Sequence[dict],
    effort: Effort,
    seconds: float,
    seed: int,
) -> tuple[list[tuple[turns.Turn, ...]], list[Outcome], list[dict], list[bool]]:
    """The turns; how each process ended, got ready, and was waited for in vain."""
    with turns.socket_folder() as folder:
        callers = [turns.TurnCaller(Path(folder), str(n)) for n in range(len(sides))]
        taken: list[tuple[turns.Turn, ...]] = []
        readied: list[dict] = []
        try:
            begun, came = _begun(sides, callers, effort, seed)
            if came:
                for side, caller in zip(sides, callers, strict=True):
                    turns.check_protocol(caller.protocol, side.folder)
                    side.server.protocol = caller.protocol  # a spawned one's: only now
                for side, caller, like in zip(sides, callers, likes, strict=True):
                    first = readied[0] if readied and _alike(side, sides[0]) else {}
                    ready = caller.ready(like or first)
                    if ready is None:
                        break
                    readied.append(ready)
                else:
                    taken = turns.take(callers, seconds, time.monotonic)
        finally:
            for caller in callers:
                caller.close()
        # Not after an interrupt: stopping the server ends what is being built.
        outcomes = [
            side.server.finish(one, effort)
            for side, one in zip(sides, begun, strict=False)
        ]
    return taken, outcomes, readied, [caller.late for caller in callers]


def _begun(
    sides: Sequence[Side],
    callers: Sequence[turns.TurnCaller],
    effort: Effort,
    seed: int,
) -> tuple[list[Begun], bool]:
    """The processes that were begun, and whether all have come to their sockets, built.

    Where phases are judged, none may be timed while another process works, so that each
    is begun when the one before has come or has ended.
    """
    begun: list[Begun] = []
    came: list[bool] = []

    def come() -> bool:
        number = len(came)
        ended = partial(sides[number].server.ended, begun[number])
        came.append(callers[number].arrived(effort.limit_seconds, ended))
        return came[-1]

    for side, caller in zip(sides, callers, strict=True):
        place = Place(caller.path, side.folder, side.stands_for)
        begun.append(side.server.begin("measure", side.trial, effort, seed, place))
        if effort.phases and not come() and caller.late:
            return begun, False
    while len(came) < len(begun) and come():
        pass
    return begun, len(came) == len(sides) and all(came)


def _alike(one: Side, other: Side) -> bool:
    """Whether one can repeat the other's pulls, batch for batch.

    Of two pipelines each finds its own window: as many batches as fill that of the
    slower one may take the faster less time than waking up does.
    """
    return (one.trial.consumer, one.trial.pipeline) == (
        other.trial.consumer,
        other.trial.pipeline,
    )


def _read(outcome: Outcome) -> tuple[Measured | None, Failure | None]:
    if outcome.failure:
        return None, outcome.failure
    measured = msgspec.json.decode(outcome.result, type=Measured)
    return measured, measured.error
