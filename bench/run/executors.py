"""Fresh processes, forked from a server that has TensorFlow, or spawned."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
import weakref
from pathlib import Path

from bench import machine
from bench.run.protocol import (
    RUNNERS,
    Begun,
    CannotStart,
    Executor,
    Home,
    Outcome,
    Place,
    encode_request,
    environment,
    kill_run,
    last_words,
    lost_outcome,
    read_outcome,
)
from bench.run.turns import PROTOCOL
from bench.trial import Effort, Trial

START_SECONDS = 120.0
GRACE_SECONDS = 10.0  # of one whose limit is over, or is nearly: to write what it has


class ForkServer(Executor):
    """Fresh processes from a server that has imported TensorFlow; about 10 ms each."""

    def __init__(self, home: Home | None = None) -> None:
        """No server yet: one is started for each round."""
        self._home = home or Home()
        self._measured = False
        self._server: subprocess.Popen | None = None
        self._ready = False
        self._scratch = _scratch(self)
        self._log = self._scratch / "log"
        self._log_start = 0  # where what the current run has printed begins
        self._requests = 0

    def start(self) -> None:
        """A new server that has imported everything; one that only prepared will do."""
        if self._lives() and not self._measured:
            return
        self.stop()
        self._measured = self._ready = False
        reader, writer = os.pipe()
        self._answers = os.fdopen(reader, "rb", buffering=0)
        try:
            with self._log.open("wb") as log:
                self._server = subprocess.Popen(
                    [self._home.python, "-m", "bench.server", str(writer)],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    pass_fds=(writer,),
                    cwd=Path.cwd(),
                    env=environment(self._home),
                )
        except OSError as error:
            self._answers.close()
            raise _cannot_start(self._home, error.strerror) from error
        finally:
            os.close(writer)
        self._pending, self._log_start, self._asked = b"", 0, 0
        self._told: list[dict] = []
        ready = self._answer("ready", START_SECONDS)
        if ready is None:
            raise _cannot_start(self._home, self._log_tail() or "no message")
        self._ready = True
        self.protocol = ready.get("protocol", 0)

    def stop(self) -> None:
        """Close the server's input: it kills what runs, and leaves."""
        if self._server is None:
            return
        if not self._ready:  # it still imports, and listens to nothing before
            self._server.kill()
        with contextlib.suppress(BrokenPipeError):  # it was gone before
            self._server.stdin.close()
        try:
            self._server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        self._answers.close()
        self._server = None

    def begin(
        self,
        verb: str,
        trial: Trial,
        effort: Effort,
        seed: int,
        place: Place = RUNNERS,
    ) -> Begun:
        """Start one request and return at once; several may be under way."""
        if not self._lives():  # killed, say
            self.start()
        self._measured = self._measured or verb == "measure"
        self._requests += 1
        self._asked += 1
        self._log_start = self._log.stat().st_size
        result = self._scratch / f"result-{self._requests}.json"
        content, asked = encode_request(verb, trial, effort, seed, result, place)
        with contextlib.suppress(BrokenPipeError):  # it is gone: `finish` will tell
            self._server.stdin.write(content + b"\n")
            self._server.stdin.flush()
        return Begun(self._asked, result, asked)

    def finish(self, begun: Begun, effort: Effort) -> Outcome:
        """Wait for the end of what was begun, or for its limit."""
        result, asked, number = begun.result, begun.asked, begun.number
        child = self._answer("pid", START_SECONDS, number)
        if child is None:
            return lost_outcome(self._log_tail(), asked)
        ended = self._answer("status", _left(begun, effort), number)
        late = ended is None
        if late:
            kill_run(child["pid"])
            ended = self._answer("status", START_SECONDS, number)
        if ended is None:
            return lost_outcome(self._log_tail(), asked)
        return read_outcome(
            late, ended["status"], result, effort, self._log_tail(), asked
        )

    def ended(self, begun: Begun) -> bool:
        """Whether what was begun has ended; at once."""
        there = self._listen(0.0)
        return not there or self._about("status", begun.number) is not None

    def _lives(self) -> bool:
        """Whether there is a server, and it listens.

        One that was killed closes its channel a little before its status can be had.
        """
        there = self._server is not None and self._server.poll() is None
        return there and self._listen(0.0)

    def _answer(self, about: str, seconds: float, number: int = 0) -> dict | None:
        """What the server says about a request; None when late, or when it has gone."""
        deadline = time.monotonic() + seconds
        while (told := self._about(about, number)) is None:
            left = deadline - time.monotonic()
            if left < 0 or not self._listen(left):
                return None
        self._told.remove(told)
        return told

    def _about(self, about: str, number: int) -> dict | None:
        for told in self._told:
            if about in told and told.get("request", 0) == number:
                return told
        return None

    def _listen(self, seconds: float) -> bool:
        """Take what the server has said within this time; False if it has gone."""
        if select.select([self._answers], [], [], seconds)[0]:
            received = self._answers.read(65536)
            if not received:
                return False
            *lines, self._pending = (self._pending + received).split(b"\n")
            self._told += [json.loads(line) for line in lines]
        return True

    def _log_tail(self) -> str:
        written = self._log.read_bytes()[self._log_start :].decode(errors="replace")
        return last_words(written)


class Spawner(Executor):
    """Fresh processes from nothing: for GPUs, whose state does not survive a fork."""

    protocol = PROTOCOL

    def __init__(self, home: Home | None = None) -> None:
        """Only a folder for results."""
        self._home = home or Home()
        self._scratch = _scratch(self)
        self._running: dict[int, subprocess.Popen] = {}
        self._requests = 0

    def start(self) -> None:
        """Nothing is shared by the processes of a round."""

    def stop(self) -> None:
        """Kill what still runs, as after Ctrl-C."""
        for process in self._running.values():
            _kill(process)
        self._running.clear()

    def begin(
        self,
        verb: str,
        trial: Trial,
        effort: Effort,
        seed: int,
        place: Place = RUNNERS,
    ) -> Begun:
        """Start one request and return at once; several may be under way."""
        folder = Path(tempfile.mkdtemp(dir=self._scratch))
        result = folder / "result.json"
        content, asked = encode_request(verb, trial, effort, seed, result, place)
        (folder / "request.json").write_bytes(content)
        self._requests += 1
        command = [self._home.python, "-m", "bench.worker", folder / "request.json"]
        try:
            with (folder / "log").open("wb") as log:
                self._running[self._requests] = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,  # closes with the runner, ends the worker
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    env=environment(self._home),
                )
        except OSError as error:
            raise _cannot_start(self._home, error.strerror) from error
        return Begun(self._requests, result, asked)

    def ended(self, begun: Begun) -> bool:
        """Whether what was begun has ended; at once."""
        return self._running[begun.number].poll() is not None

    def finish(self, begun: Begun, effort: Effort) -> Outcome:
        """Wait for the end of what was begun, or for its limit."""
        process = self._running[begun.number]
        late = False
        try:
            process.wait(timeout=_left(begun, effort))
        except subprocess.TimeoutExpired:
            late = True
        _kill(process)
        del self._running[begun.number]
        code = process.returncode
        status = -code if code < 0 else code << 8
        log = last_words(begun.result.with_name("log").read_text(errors="replace"))
        return read_outcome(late, status, begun.result, effort, log, begun.asked)


def _cannot_start(home: Home, why: str) -> CannotStart:
    return CannotStart(
        f"The processes that measure cannot start ({home.python}, modules of "
        f"{home.root}): {why}. See what run_bench.py doctor says."
    )


def _left(begun: Begun, effort: Effort) -> float:
    """How long to wait for an end: limits count from when it was asked for; seconds.

    Else three that hang, begun together, would take three limits.
    """
    left = begun.asked + effort.limit_seconds - time.monotonic()
    return max(left, min(GRACE_SECONDS, effort.limit_seconds))


def _kill(process: subprocess.Popen) -> None:
    """End a process with all that it has started, also where it has ended itself."""
    with contextlib.suppress(ProcessLookupError):  # all of it has ended
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdin.close()


def _scratch(owner: Executor) -> Path:
    """A folder for results, which goes when its owner does; unlike tempfile's, quietly.

    That one warns, and in a user's tests a warning may be an error.
    """
    folder = Path(tempfile.mkdtemp(prefix="feedrate-"))
    weakref.finalize(owner, shutil.rmtree, folder, ignore_errors=True)
    return folder


def executor(home: Home | None = None) -> Executor:
    """The one for this machine: forking, but not where a GPU is."""
    forks = _has_handles() and not machine.gpus()
    return ForkServer(home) if forks else Spawner(home)


def _has_handles() -> bool:
    """Whether there are handles of processes, by which the server sees an end.

    Old kernels and some containers' have none, whatever Python was built with.
    """
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return True
