"""Lockstep: two live processes take turns by the window, so drift falls on both.

Runs that follow one another meet different seconds of a shared machine: under bursts
of one second the ratio of two 0.4 s processes in turn spreads by 5 to 12 %, that of
windows in turn by 0.1 to 0.2 %. Here both processes are alive and ready, each waits at
its own socket, and only one works at a time.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.machine import cpu_seconds

QUIET_SHARE = 0.05
QUIET_SECONDS = 0.004
QUIET_LIMIT_SECONDS = 0.25


@dataclass(frozen=True)
class Lane:
    """A process's side of the socket: what a turn is made of.

    Attributes:
        flush: Pulls what an idle pipeline had prepared; not timed.
        window: Pulls the timed batches.
        batches: Batches in the timed window.
    """

    flush: Callable[[], None]
    window: Callable[[], None]
    batches: int


def serve(path: str, lane: Lane, clock: Callable[[], float]) -> list[float]:
    """In the measured process: work when told to, until the other side leaves.

    Args:
        path: Of the socket.
        lane: What a turn is made of.
        clock: Seconds, monotonic.

    Returns:
        Seconds a batch, one for each turn.
    """
    samples = []
    with socket.socket(socket.AF_UNIX) as channel:
        channel.connect(path)
        become_quiet()
        channel.sendall(b'{"ready": true}\n')
        with channel.makefile("rb") as told:
            for _ in told:  # each line is a turn
                lane.flush()
                start = clock()
                lane.window()
                samples.append((clock() - start) / lane.batches)
                become_quiet()
                answer = json.dumps({"seconds_per_batch": samples[-1]})
                channel.sendall(answer.encode() + b"\n")
    return samples


def become_quiet() -> None:
    """Wait until this process works no more: its buffers are full by then.

    Its threads would otherwise fill them in the other process's turn.
    """
    deadline = time.monotonic() + QUIET_LIMIT_SECONDS
    while time.monotonic() < deadline:
        before, start = cpu_seconds(), time.monotonic()
        time.sleep(QUIET_SECONDS)
        busy = cpu_seconds() - before
        if busy < QUIET_SHARE * (time.monotonic() - start):
            return


class Caller:
    """The runner's side of one process's socket."""

    def __init__(self, folder: Path, name: str) -> None:
        """Listen at a socket of this name in the folder."""
        self.path = str(folder / f"{name}.socket")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(1)
        self._channel: socket.socket | None = None

    def ready(self, seconds: float) -> bool:
        """Whether the process connected, ready for its first turn, in this time."""
        self._listener.settimeout(seconds)
        try:
            self._channel, _ = self._listener.accept()
            self._channel.settimeout(seconds)
            self._lines = self._channel.makefile("rb")
            return bool(self._lines.readline())
        except TimeoutError:
            return False

    def turn(self) -> float | None:
        """One turn; seconds a batch, or None if the process is gone or hangs."""
        try:
            self._channel.sendall(b"go\n")
            line = self._lines.readline()
        except OSError:
            return None
        return json.loads(line)["seconds_per_batch"] if line else None

    def close(self) -> None:
        """Leave: the process then writes its result and ends."""
        if self._channel:
            self._lines.close()
            self._channel.close()
            self._channel = None
        self._listener.close()


def take(
    first: Caller,
    second: Caller,
    seconds: float,
    clock: Callable[[], float],
    least: int = 3,
) -> list[tuple[float, float]]:
    """Pairs of turns, (first, second), in the order 1 2, 2 1, 1 2 and so on.

    Args:
        first: One process.
        second: The other.
        seconds: How long to go on.
        clock: Seconds, monotonic.
        least: Pairs to make even if that takes longer.

    Returns:
        Seconds a batch of each; shorter than `least` if a process was lost.
    """
    pairs: list[tuple[float, float]] = []
    deadline = clock() + seconds
    while clock() < deadline or len(pairs) < least:
        order = (first, second) if len(pairs) % 2 == 0 else (second, first)
        taken = [caller.turn() for caller in order]
        if None in taken:
            break
        pairs.append(tuple(taken if order[0] is first else reversed(taken)))
    return pairs
