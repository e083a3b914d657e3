"""A trio is three live processes that take turns on one machine: base, control, head.

The control runs base once more. Each round of turns gives two log-ratios: head against
both bases, and the control against base, whose true value is 0. One trio gives one
estimate of each. Evidence comes from several trios, because a process may be favoured
by its place in memory or in the order. So the roles rotate from trio to trio.
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
from bench.run.executors import Executor, Outcome, PendingRequest, Place
from bench.trial import Effort, Failure, Measured, Trial

ROLES = ("base", "control", "head")


@dataclass(frozen=True)
class Side:
    """A side is base or head: a trial, and the server and folder that it runs in.

    Attributes:
        server: Starts the processes; it is started, and several sides may share it.
        trial: The trial that is measured.
        folder: The working folder of the processes, also on their import path.
        stands_for: The root of head's tree, which `folder` replaces on the import path;
            empty on head.
        control: The server of base's control; None if the control shares base's.
            Processes of one server share memory, and so warm each other's caches:
            where head has its own server, the control needs one as well.
    """

    server: Executor
    trial: Trial
    folder: str = ""
    stands_for: str = ""
    control: Executor | None = None


@dataclass(frozen=True)
class Trio:
    """A trio is the record of three processes that took turns.

    Attributes:
        turns: The turns of base, control and head, one tuple a round; empty if a
            process failed.
        measured: The records of the three processes in the same order; empty if one
            failed.
        failures: By role, why a process failed.
        batch_sizes: By `base` and `head`, how many examples a batch has.
        seconds: How long the trio took, from its first fork to its end.
        preparation: By role, how a process prepared itself; the next trio repeats it.
    """

    turns: list[tuple[turns.Turn, ...]]
    measured: list[Measured]
    failures: dict[str, Failure]
    batch_sizes: dict[str, int]
    seconds: float
    preparation: dict[str, dict] = field(default_factory=dict)


@dataclass(frozen=True)
class _Taken:
    """The processes of a trio as they ended, in the order in which they were started.

    Attributes:
        rounds: The turns of each round.
        outcomes: How each process ended.
        preparations: How each process prepared itself; fewer if one was lost.
        late: Whether each process exceeded its limit.
    """

    rounds: list[tuple[turns.Turn, ...]]
    outcomes: list[Outcome]
    preparations: list[dict]
    late: list[bool]


def run_trio(
    base: Side,
    head: Side,
    effort: Effort,
    *,
    seconds: float,
    seed: int,
    number: int,
    preparation: Mapping[str, dict] | None = None,
) -> Trio:
    """Run one trio of processes that take turns.

    Args:
        base: The side that head is compared with.
        head: The side under test.
        effort: Calibration, ramp and limits.
        seconds: How long the processes take turns.
        seed: The seed of the first trio; a later trio adds its number.
        number: The number of the trio within its case, from 0.
        preparation: How an earlier trio of the case prepared itself; without it this
            trio calibrates and ramps.

    Raises:
        UsageError: A process cannot be started, or takes turns by another protocol.
    """
    start = time.monotonic()
    control = replace(base, server=base.control or base.server)
    sides = dict(zip(ROLES, (base, control, head), strict=True))
    _restart([side.server for side in sides.values()])
    order = rotated(number)
    taken = _take_turns(
        [sides[role] for role in order],
        [(preparation or {}).get(role, {}) for role in order],
        effort,
        seconds,
        seed + number,
    )
    records: dict[str, Measured | None] = {}
    failures: dict[str, Failure] = {}
    for role, outcome, late in zip(order, taken.outcomes, taken.late, strict=False):
        records[role], failure = _read(outcome)
        if late and (failure is None or failure.type == "Dismissed"):
            limit = f"its limit of {effort.limit_seconds:g} s"
            message = f"not ready for its turn within {limit}; raise it with --limit"
            failure = Failure(type="Timeout", message=message)
        if failure:
            failures[role] = failure
    causes = {role: f for role, f in failures.items() if f.type != "Dismissed"}
    failures = causes or failures
    if not failures and not taken.rounds:
        lost = Failure(type="Lost", message="a process ended before its turns")
        failures = dict.fromkeys(ROLES, lost)
    places = [order.index(role) for role in ROLES]
    return Trio(
        turns=[]
        if failures
        else [tuple(row[place] for place in places) for row in taken.rounds],
        measured=[] if failures else [records[role] for role in ROLES],
        failures=failures,
        batch_sizes={
            name: side.trial.pipeline.batch_size
            for name, side in (("base", base), ("head", head))
        },
        seconds=time.monotonic() - start,
        preparation=dict(
            zip(order, map(_repeatable, taken.preparations), strict=False)
        ),
    )


def _restart(servers: Sequence[Executor]) -> None:
    """Start the servers anew for this trio, unless one server serves all sides.

    All processes of a server share its memory layout, which is drawn when it starts.
    With servers that lived for all trios, one was slower in every trio alike: see
    results/method/README.md.
    """
    if len(set(servers)) > 1:
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda server: server.start(), set(servers)))


def _repeatable(preparation: dict) -> dict:
    """Return a preparation that replaces calibrating windows by single batches.

    So the next trio begins its turns at the same place of the stream.
    """
    batches = preparation["batches"]
    pulled = [
        [size, pulls] if size in (0, batches) else [0, size * pulls]
        for size, pulls in preparation["pulled"]
    ]
    return {"batches": batches, "pulled": pulled}


def rotated(number: int) -> tuple[str, ...]:
    """Return the roles in the order in which a trio of this number starts them.

    In three trios each role has each place once. In six trios base comes before the
    control as often as after it.
    """
    base, control, head = ROLES
    roles = ROLES if number // 3 % 2 == 0 else (control, base, head)
    return roles[number % 3 :] + roles[: number % 3]


def _take_turns(
    sides: Sequence[Side],
    earlier: Sequence[dict],
    effort: Effort,
    seconds: float,
    seed: int,
) -> _Taken:
    """Start a process a side, let them take turns, and read how each ended.

    Args:
        sides: The sides in the order in which their processes start.
        earlier: How each side prepared itself in an earlier trio; empty if unknown.
        effort: Calibration, ramp and limits.
        seconds: How long the processes take turns.
        seed: The seed of all three processes.
    """
    with turns.socket_folder() as folder:
        callers = [turns.TurnCaller(Path(folder), str(n)) for n in range(len(sides))]
        rounds: list[tuple[turns.Turn, ...]] = []
        preparations: list[dict] = []
        try:
            begun, all_arrived = _begin(sides, callers, effort, seed)
            if all_arrived:
                for side, caller in zip(sides, callers, strict=True):
                    turns.check_protocol(caller.protocol, side.folder)
                    # A spawned process reports its protocol only now.
                    side.server.protocol = caller.protocol
                for side, caller, repeat in zip(sides, callers, earlier, strict=True):
                    if not repeat and preparations and _same_pulls(side, sides[0]):
                        repeat = preparations[0]
                    preparation = caller.ready(repeat)
                    if preparation is None:
                        break
                    preparations.append(preparation)
                else:
                    rounds = turns.take_rounds(callers, seconds, time.monotonic)
        finally:
            for caller in callers:
                caller.close()
        # Not after an interrupt: stopping the server ends what is being built.
        outcomes = [
            side.server.finish(process, effort)
            for side, process in zip(sides, begun, strict=False)
        ]
    return _Taken(rounds, outcomes, preparations, [caller.late for caller in callers])


def _begin(
    sides: Sequence[Side],
    callers: Sequence[turns.TurnCaller],
    effort: Effort,
    seed: int,
) -> tuple[list[PendingRequest], bool]:
    """Begin the processes, and return whether all are built and at their sockets.

    A phase may only be timed while no other process works. So where phases are judged,
    a process begins when the one before it has arrived or ended.
    """
    begun: list[PendingRequest] = []
    arrivals: list[bool] = []

    def next_arrives() -> bool:
        number = len(arrivals)
        ended = partial(sides[number].server.ended, begun[number])
        arrivals.append(callers[number].arrived(effort.limit_seconds, ended))
        return arrivals[-1]

    for side, caller in zip(sides, callers, strict=True):
        place = Place(caller.path, side.folder, side.stands_for)
        begun.append(side.server.begin("measure", side.trial, effort, seed, place))
        if effort.phases and not next_arrives() and caller.late:
            return begun, False
    while len(arrivals) < len(begun) and next_arrives():
        pass
    return begun, len(arrivals) == len(sides) and all(arrivals)


def _same_pulls(side: Side, other: Side) -> bool:
    """Return whether a side can repeat the other's pulls, batch for batch.

    Two states of one file can; their folders may differ. Two different pipelines each
    calibrate windows of their own. Otherwise a window could hold so few batches that
    the faster pipeline finishes them in less time than its process needs to wake up.
    """
    names = ("consumer", "unit", "pipeline")
    ours, theirs = side.trial, other.trial
    same_file = Path(ours.workload).name == Path(theirs.workload).name
    return same_file and all(
        getattr(ours, name) == getattr(theirs, name) for name in names
    )


def _read(outcome: Outcome) -> tuple[Measured | None, Failure | None]:
    if outcome.failure:
        return None, outcome.failure
    measured = msgspec.json.decode(outcome.result, type=Measured)
    return measured, measured.error
