"""In turns, live processes time windows one after another, so that drift affects all.

A window is a number of batches that are timed together. Runs that follow one another
meet different seconds of a shared machine. Under bursts of one second the ratio of two
0.4 s processes spreads by 5 to 12 %, and the ratio of windows in turn by 0.1 to 0.2 %.
Here all processes are alive and ready, and only one works at a time. The first process
calibrates and warms up. The others pull the same batches in the same steps, so that all
processes time the same examples in a round of turns. The runner is the process that
requests the turns.

A process whose pipeline has threads is stopped between its turns (SIGSTOP). So it
cannot disturb the turns of others, and its buffers stay as its last window left them. A
process that only waited would fill them: AUTOTUNE lets a prefetch grow, and whole
windows of batches then stand ready before the clock starts. Going on wakes all threads,
which takes a millisecond, so a window without a clock comes first.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from bench.errors import UsageError
from bench.machine import cpu_seconds

PROTOCOL = 5  # of these messages; a revision with another one takes no part
POLL_SECONDS = 0.1
DISMISSED = "no turns were taken: another process was lost"
STOP_SECONDS = 1.0  # the limit of waiting for a process to stop itself
STOPPED = ("T", "X", "Z")  # states in proc(5): stopped, or at its end
LOOK_SECONDS = 0.0002  # between two looks whether it has
PARENT_DEATH_SIGNAL = 1  # of prctl(2)
# The orders of six rounds of turns, which then repeat. Each process has each place
# twice, follows each other process three times, and never follows itself, when its
# caches would be warm: where every other turn did, text ran 3 to 5 % faster. The design
# is balanced for carry-over effects: Williams (1949).
ORDERS = ((0, 1, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0), (1, 0, 2), (0, 2, 1))
LONGEST_PATH = 70  # of the folder; a socket's own path may have about 100 bytes
_NOTHING = b"{}"  # the request for a turn, and for getting ready without an example


class Dismissed(Exception):
    """This error ends a process before its turns, because another process was lost."""


class Hello(msgspec.Struct):
    """A hello is a process's first message, once its pipeline is built.

    Attributes:
        protocol: The version of the messages that the process understands.
        process: The process's number.
    """

    protocol: int = 0
    process: int = 0


class Ready(msgspec.Struct):
    """A ready message states which batches a process pulled to calibrate and warm up.

    Other processes repeat these pulls.

    Attributes:
        batches: The number of batches in a timed window.
        pulled: Pairs (batches in a pull, number of such pulls), in order; 0 batches
            stand for a single step.
        stops: Whether the process stops itself between turns.
    """

    batches: int
    pulled: list[tuple[int, int]]
    stops: bool = False


@dataclass(frozen=True)
class Turn:
    """A turn is the measurement of one timed window.

    Attributes:
        seconds: Elapsed seconds a batch.
        cpu_seconds: CPU seconds of the process a batch.
        quiet: Whether the process was stopped before the next turn, so that it did not
            disturb that turn.
    """

    seconds: float
    cpu_seconds: float
    quiet: bool = True


@dataclass(frozen=True)
class TurnWork:
    """The work of a turn is the functions that a process calls whenever it has a turn.

    Attributes:
        window: Pulls the timed batches.
        batches: The number of batches in the timed window.
        lead_in: How many windows are pulled untimed before the timed one, once the
            process goes on; 0 if nothing works between turns, so that the process need
            not stop. What threads had in work may be done by then, such as a read from
            a disk or a sleep, which time does not stop.
        pulled: The pulls before the first turn: pairs (batches in a pull, number of
            such pulls).
        release: Frees what the window leaves behind, untimed.
    """

    window: Callable[[], None]
    batches: int
    lead_in: int = 0
    pulled: list[tuple[int, int]] = field(default_factory=list)
    release: Callable[[], None] = lambda: None


class TurnWorker:
    """A turn worker is a measuring process's end of its socket to the runner."""

    def __init__(self, path: str) -> None:
        """Connect to the runner, once the pipeline is built.

        Args:
            path: The path of the socket.

        Raises:
            Dismissed: Nobody listens any more, as another process was lost.
        """
        self._channel = socket.socket(socket.AF_UNIX)
        try:
            self._channel.connect(path)
        except OSError as error:
            self._channel.close()
            raise Dismissed(DISMISSED) from error
        self._lines = self._channel.makefile("rb")
        self._send(Hello(PROTOCOL, os.getpid()))

    def example(self) -> Ready | None:
        """Wait until the runner lets this process calibrate and warm up.

        Returns:
            The pulls of the process that did so first, to be repeated; None if this
            process is the first.

        Raises:
            Dismissed: There will be no turns, as another process was lost.
        """
        line = self._line()
        if not line:
            self._leave()
            raise Dismissed(DISMISSED)
        if line.strip() == _NOTHING:
            return None
        return msgspec.json.decode(line, type=Ready)

    def serve(self, work: TurnWork, clock: Callable[[], float]) -> list[Turn]:
        """Time a window whenever the runner requests a turn, until the runner leaves.

        Args:
            work: The functions that make a turn.
            clock: Returns seconds; monotonic.

        Returns:
            All turns.

        Raises:
            Dismissed: The runner closed the socket before it had read an answer.
        """
        turns, stops = [], work.lead_in > 0
        if stops:
            _continue_when_the_parent_ends()
        self._send(Ready(work.batches, work.pulled, stops))
        if stops:
            _stop()
        while self._line():  # each requests a turn
            for _ in range(work.lead_in):
                work.window()
            cpu, start = cpu_seconds(), clock()
            work.window()
            seconds, cpu_spent = clock() - start, cpu_seconds() - cpu
            work.release()
            turns.append(Turn(seconds / work.batches, cpu_spent / work.batches))
            self._send(turns[-1])
            if stops:
                _stop()
        self._leave()
        return turns

    def _line(self) -> bytes:
        """Return the runner's next message; empty if the runner closed the socket.

        Raises:
            Dismissed: The runner left without reading this process's last answer.
        """
        try:
            return self._lines.readline()
        except ConnectionError as error:
            self._leave()
            raise Dismissed(DISMISSED) from error

    def _leave(self) -> None:
        self._lines.close()
        self._channel.close()

    def _send(self, message: Hello | Ready | Turn) -> None:
        try:
            self._channel.sendall(msgspec.json.encode(message) + b"\n")
        except ConnectionError as error:
            self._leave()
            raise Dismissed(DISMISSED) from error


def _stop() -> None:
    """Stop this process and all that it started, until the runner continues it."""
    os.killpg(0, signal.SIGSTOP)


def _continue_when_the_parent_ends() -> None:
    """Let the kernel continue this process, if stopped, when its parent has ended.

    A thread of this process then notices that, and ends it.
    """
    ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGCONT)


def check_protocol(protocol: int, tree: object) -> None:
    """Refuse a revision of this suite whose turns cannot be compared with this one's.

    Args:
        protocol: The version of that revision's messages.
        tree: The root of the tree of that revision, for the message.

    Raises:
        UsageError: The versions do not fit.
    """
    if protocol != PROTOCOL:
        raise UsageError(
            f"The harness in {tree} takes turns by protocol {protocol} and this one by "
            f"{PROTOCOL}: they cannot be compared live. Compare result folders: guard "
            "A B."
        )


def socket_folder() -> tempfile.TemporaryDirectory:
    """Make a folder for sockets: in the usual place, or in /tmp if that path is long.

    The system limits a socket's path to about 100 bytes (unix(7): `sun_path`).
    """
    usual = tempfile.gettempdir()
    folder = usual if len(os.fsencode(usual)) <= LONGEST_PATH else "/tmp"
    return tempfile.TemporaryDirectory(prefix="feedrate-", dir=folder)


class TurnCaller:
    """A turn caller is the runner's end of the socket to one measuring process.

    Attributes:
        late: Whether the process exceeded the limit of a wait.
        protocol: The version of the process's messages; 0 before it has arrived.
    """

    def __init__(self, folder: Path, name: str) -> None:
        """Create a socket of this name in the folder, and listen at it."""
        self.path = str(folder / f"{name}.socket")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(1)
        self._channel: socket.socket | None = None
        self.late, self.protocol, self._process, self._stops = False, 0, 0, False

    def arrived(self, seconds: float, gone: Callable[[], bool]) -> bool:
        """Wait until the process connects; return whether it did so in time.

        The process connects once its pipeline is built.

        Args:
            seconds: The limit of this wait, and later of each answer.
            gone: Returns whether the process has ended, so that it will not arrive.
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
        if line:
            hello = msgspec.json.decode(line, type=Hello)
            self.protocol, self._process = hello.protocol, hello.process
        return bool(line)

    def ready(self, like: dict) -> dict | None:
        """Let the process calibrate and warm up, and wait until it is ready.

        Args:
            like: The fields of another process's `Ready` message, whose pulls this
                process repeats; empty if this process is the first.

        Returns:
            The fields of this process's `Ready` message; None if the process was lost.
        """
        line = self._answer(msgspec.json.encode(like))
        if not line:
            return None
        ready = msgspec.json.decode(line, type=Ready)
        self._stops = ready.stops
        self._stopped()
        return {"batches": ready.batches, "pulled": ready.pulled}

    def turn(self) -> Turn | None:
        """Let the process time one window; return None if it was lost or is late."""
        line = self._answer(_NOTHING)
        if not line:
            return None
        return replace(msgspec.json.decode(line, type=Turn), quiet=self._stopped())

    def _answer(self, request: bytes) -> bytes:
        """Send a request and return the answer; empty if the process was lost."""
        try:
            self._channel.sendall(request + b"\n")
            self._continue()
            return self._lines.readline()
        except TimeoutError:
            self.late = True
        except OSError:  # the process has ended, and its result says why
            pass
        return b""

    def close(self) -> None:
        """Close the socket, so that the process writes its result and ends."""
        if self._channel:
            self._lines.close()
            self._channel.close()
            self._channel = None
            self._continue()
        self._listener.close()

    def _continue(self) -> None:
        """Let the process go on, with all that it started."""
        if self._stops:
            with contextlib.suppress(ProcessLookupError):  # it has ended
                os.killpg(self._process, signal.SIGCONT)

    def _stopped(self) -> bool:
        """Wait until the process is stopped; return whether it is within the limit."""
        if not self._stops:
            return True
        deadline = time.monotonic() + STOP_SECONDS
        while _state(self._process) not in STOPPED:
            if time.monotonic() > deadline:
                return False
            time.sleep(LOOK_SECONDS)
        return True


def _state(process: int) -> str:
    """Return the letter of a process's state in /proc: `T` if stopped; `X` if gone."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return "X"
    return fields.rpartition(")")[2].split()[0]


def take_rounds(
    callers: Sequence[TurnCaller],
    seconds: float,
    clock: Callable[[], float],
) -> list[tuple[Turn, ...]]:
    """Let three processes take turns, and return the timed windows of each round.

    In a round every process has one turn. Each round uses the next order of `ORDERS`.

    Args:
        callers: The sockets to the three processes, which are ready.
        seconds: The time after which no further round begins.
        clock: Returns seconds; monotonic.

    Returns:
        The turns of each round, in the order of the callers. All of `ORDERS` are used
        equally often, and at least once, unless a process was lost.
    """
    rounds: list[tuple[Turn, ...]] = []
    deadline = clock() + seconds
    while clock() < deadline or not rounds or len(rounds) % len(ORDERS):
        order = ORDERS[len(rounds) % len(ORDERS)]
        turns = {place: callers[place].turn() for place in order}
        if None in turns.values():
            break
        rounds.append(tuple(turns[place] for place in range(len(callers))))
    return rounds
