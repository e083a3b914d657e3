"""Lockstep: live processes take turns by the window, so that drift falls on all.

Runs that follow one another meet different seconds of a shared machine: under bursts
of one second the ratio of two 0.4 s processes in turn spreads by 5 to 12 %, that of
windows in turn by 0.1 to 0.2 %. Here all processes are alive and ready, each waits at
its own socket, and only one works at a time. What the first did before its turns the
others repeat, pull by pull, so that a round of turns meets the same examples.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.errors import UsageError
from bench.machine import cpu_seconds

PROTOCOL = 4  # of the turns; a base revision with another one cannot take part
CHECKS_EACH = 1  # or with this one: it checks every process, so head's are checked too
QUIET_UNTOLD = 2  # or with this one: whether it became quiet is not known
SHUFFLED_ANEW = 3  # or with this one: each trio shuffles in another order
UNPLACED = (CHECKS_EACH, QUIET_UNTOLD, SHUFFLED_ANEW)  # so its stalls wander
POLL_SECONDS = 0.1
DISMISSED = "no turns were taken: another process was lost"
QUIET_SHARE = 0.05
QUIET_SECONDS = 0.004
# How long to wait for it: buffers of so many windows may have to be filled again.
QUIET_WINDOWS = 20
LEAST_QUIET_LIMIT_SECONDS, MOST_QUIET_LIMIT_SECONDS = 0.25, 5.0
# Of six rounds of turns, over and over. Each process is twice in each place, and comes
# three times after each other one and never after itself, when its caches are warm:
# with every other turn like that text ran 3 to 5 % faster. A design balanced for
# carry-over effects: Williams (1949).
ORDERS = ((0, 1, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0), (1, 0, 2), (0, 2, 1))
LONGEST_PATH = 70  # of the folder; a socket's own path may have about 100 bytes


class Dismissed(Exception):
    """A process was sent home before its turns; the fault is another one's."""


@dataclass(frozen=True)
class Turn:
    """One turn.

    Attributes:
        seconds: On the clock, a batch.
        cpu_seconds: Of the process's CPU, a batch.
        quiet: Whether the process worked no more before the next turn, so that it did
            not disturb that one.
    """

    seconds: float
    cpu_seconds: float
    quiet: bool = True


@dataclass(frozen=True)
class TurnWork:
    """A process's side of the socket: what a turn is made of.

    Attributes:
        flush: Pulls what an idle pipeline had prepared, untimed; None where nothing
            works between turns, and so nothing has to become quiet either.
        window: Pulls the timed batches.
        batches: Batches in the timed window.
        pulled: What was pulled before: `(batches a pull, pulls)`, in order.
    """

    flush: Callable[[], None] | None
    window: Callable[[], None]
    batches: int
    pulled: list[tuple[int, int]] = field(default_factory=list)


class TurnWorker:
    """The measured process's side of one socket."""

    def __init__(self, path: str) -> None:
        """Connect to the runner, all built.

        Raises:
            Dismissed: Nobody listens any more, as another process was lost.
        """
        self._channel = socket.socket(socket.AF_UNIX)
        try:
            self._channel.connect(path)
        except OSError as error:
            self._channel.close()
            raise Dismissed(DISMISSED) from error
        self._told = self._channel.makefile("rb")
        self._answer({"protocol": PROTOCOL})

    def told(self) -> dict:
        """What the other process did before its turns; empty if this is the first.

        Raises:
            Dismissed: There will be no turns, as another process was lost.
        """
        line = self._line()
        if not line:
            self._leave()
            raise Dismissed(DISMISSED)
        return json.loads(line)

    def serve(self, lane: TurnWork, clock: Callable[[], float]) -> list[Turn]:
        """Work when told to, until the other side leaves; a `Turn` each.

        Raises:
            Dismissed: It left before an answer, as it waited too long for one.
        """
        taken = []
        if lane.flush:
            become_quiet(MOST_QUIET_LIMIT_SECONDS)
        self._answer({"batches": lane.batches, "pulled": lane.pulled})
        while self._line():  # each is a turn
            if lane.flush:
                lane.flush()
            cpu, start = cpu_seconds(), clock()
            lane.window()
            spent, cpu_spent = clock() - start, cpu_seconds() - cpu
            quiet = not lane.flush or become_quiet(_quiet_limit(spent))
            per_batch = (spent / lane.batches, cpu_spent / lane.batches)
            taken.append(Turn(*per_batch, quiet))
            self._answer(asdict(taken[-1]))
        self._leave()
        return taken

    def _line(self) -> bytes:
        """What is said next; nothing where the other side has left.

        Raises:
            Dismissed: It left what this process answered unread.
        """
        try:
            return self._told.readline()
        except ConnectionError as error:
            self._leave()
            raise Dismissed(DISMISSED) from error

    def _leave(self) -> None:
        self._told.close()
        self._channel.close()

    def _answer(self, content: dict) -> None:
        try:
            self._channel.sendall(json.dumps(content).encode() + b"\n")
        except ConnectionError as error:
            self._leave()
            raise Dismissed(DISMISSED) from error


def become_quiet(limit_seconds: float) -> bool:
    """Wait until this process works no more, its buffers being full; whether it did.

    Its threads would otherwise fill them in the other process's turn.

    Args:
        limit_seconds: How long to wait at the most.
    """
    deadline = time.monotonic() + limit_seconds
    while time.monotonic() < deadline:
        before, start = cpu_seconds(), time.monotonic()
        time.sleep(QUIET_SECONDS)
        busy = cpu_seconds() - before
        if busy < QUIET_SHARE * (time.monotonic() - start):
            return True
    return False


def _quiet_limit(window_seconds: float) -> float:
    least = max(LEAST_QUIET_LIMIT_SECONDS, QUIET_WINDOWS * window_seconds)
    return min(MOST_QUIET_LIMIT_SECONDS, least)


def check_protocol(protocol: int, tree: object) -> None:
    """Refuse a harness of other turns.

    Args:
        protocol: Its own.
        tree: Where it is.

    Raises:
        UsageError: It cannot take turns with this one.
    """
    if protocol not in (*UNPLACED, PROTOCOL):
        raise UsageError(
            f"The harness in {tree} takes turns by protocol {protocol} and this one by "
            f"{PROTOCOL}: they cannot be compared live. Compare result folders: guard "
            "A B."
        )


def socket_folder() -> tempfile.TemporaryDirectory:
    """A folder for sockets: the user's temporary one, or /tmp where its path is long.

    The system holds a socket's path in about 100 bytes (unix(7): `sun_path`).
    """
    usual = tempfile.gettempdir()
    folder = usual if len(os.fsencode(usual)) <= LONGEST_PATH else "/tmp"
    return tempfile.TemporaryDirectory(prefix="feedrate-", dir=folder)


class TurnCaller:
    """The runner's side of one process's socket.

    Attributes:
        late: Whether the process was waited for until its limit, in vain.
        protocol: Of the turns, as the process told when it came; 0 if it did not.
    """

    def __init__(self, folder: Path, name: str) -> None:
        """Listen at a socket of this name in the folder."""
        self.path = str(folder / f"{name}.socket")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(1)
        self._channel: socket.socket | None = None
        self.late, self.protocol = False, 0

    def arrived(self, seconds: float, gone: Callable[[], bool]) -> bool:
        """Whether the process came, all built, within this time.

        Args:
            seconds: How long it, and later each of its turns, may take.
            gone: Whether it has ended, so that nobody will come.
        """
        self._listener.settimeout(POLL_SECONDS)
        deadline = time.monotonic() + seconds
        while self._channel is None:
            self.late = time.monotonic() > deadline
            if self.late or gone():
                return False
            with contextlib.suppress(TimeoutError):
                self._channel, _ = self._listener.accept()
        self._channel.settimeout(seconds)
        self._lines = self._channel.makefile("rb")
        line = self._lines.readline()
        self.protocol = json.loads(line).get("protocol", 0) if line else 0
        return bool(line)

    def ready(self, like: dict) -> dict | None:
        """Let the process calibrate and warm up.

        Args:
            like: What another process did to be ready, to be repeated; or empty.

        Returns:
            What it did before its turns; None if it was lost.
        """
        return self._asked(like)

    def turn(self) -> Turn | None:
        """One turn; None if the process is gone or hangs."""
        answer = self._asked({})
        return Turn(**answer) if answer else None

    def _asked(self, what: dict) -> dict | None:
        try:
            self._channel.sendall(json.dumps(what).encode() + b"\n")
            line = self._lines.readline()
        except TimeoutError:
            self.late = True
            return None
        except OSError:  # it is gone; its result says why
            return None
        return json.loads(line) if line else None

    def close(self) -> None:
        """Leave: the process then writes its result and ends."""
        if self._channel:
            self._lines.close()
            self._channel.close()
            self._channel = None
        self._listener.close()


def take(
    callers: Sequence[TurnCaller],
    seconds: float,
    clock: Callable[[], float],
) -> list[tuple[Turn, ...]]:
    """Rounds of turns, each by the next of `ORDERS`.

    Args:
        callers: Three processes, ready.
        seconds: How long to go on.
        clock: Seconds, monotonic.

    Returns:
        The turns of each round in the order of the callers: whole goes through all of
        `ORDERS`, one at least, but if a process was lost.
    """
    rounds: list[tuple[Turn, ...]] = []
    deadline = clock() + seconds
    while clock() < deadline or not rounds or len(rounds) % len(ORDERS):
        order = ORDERS[len(rounds) % len(ORDERS)]
        taken = {place: callers[place].turn() for place in order}
        if None in taken.values():
            break
        rounds.append(tuple(taken[place] for place in range(len(callers))))
    return rounds
