"""Executors run each request in a fresh process, forked from a server or spawned."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
import weakref
from pathlib import Path

import msgspec

from bench import machine
from bench.run.protocol import (
    RUNNERS_PLACE,
    CannotStart,
    Executor,
    Harness,
    Outcome,
    PendingRequest,
    Place,
    ServerAnswer,
    encode_request,
    environment,
    kill_run,
    last_lines,
    lost_outcome,
    read_outcome,
)
from bench.run.turns import PROTOCOL
from bench.trial import Effort, Trial

START_SECONDS = 120.0
GRACE_SECONDS = 10.0  # the least wait for an end, for a run to write its result


class ForkServer(Executor):
    """This executor forks each process from a server that has imported TensorFlow.

    A fork takes about 10 ms.
    """

    def __init__(self, home: Harness | None = None) -> None:
        """Prepare a folder for results; `start` starts the server of a round."""
        self._home = home or Harness()
        self._measured = False
        self._server: subprocess.Popen | None = None
        self._ready = False
        self._scratch = _scratch(self)
        self._log = self._scratch / "log"
        self._log_start = 0  # where the output of the current run begins
        self._requests = 0

    def start(self) -> None:
        """Start a new server, unless the current one has measured nothing yet."""
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
        self._pending, self._log_start, self._sent = b"", 0, 0
        self._received: list[ServerAnswer] = []
        ready = self._answer("ready", START_SECONDS)
        if ready is None:
            raise _cannot_start(self._home, self._log_tail() or "no message")
        self._ready = True
        self.protocol = ready.protocol

    def stop(self) -> None:
        """Close the server's input, so that it kills its processes and ends."""
        if self._server is None:
            return
        if not self._ready:  # it still imports, and reads no input meanwhile
            self._server.kill()
        with contextlib.suppress(BrokenPipeError):  # the server has ended
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
        place: Place = RUNNERS_PLACE,
    ) -> PendingRequest:
        """Start one request and return at once; several may be in progress."""
        if not self._lives():  # it was killed, for instance
            self.start()
        self._measured = self._measured or verb == "measure"
        self._requests += 1
        self._sent += 1
        self._log_start = self._log.stat().st_size
        result = self._scratch / f"result-{self._requests}.json"
        content, sent = encode_request(verb, trial, effort, seed, result, place)
        with contextlib.suppress(BrokenPipeError):  # `finish` notices a lost server
            self._server.stdin.write(content + b"\n")
            self._server.stdin.flush()
        return PendingRequest(self._sent, result, sent)

    def finish(self, begun: PendingRequest, effort: Effort) -> Outcome:
        """Wait for a request's end; kill its run if it exceeds the limit of `effort`.

        Returns:
            The result of the run, or its failure: its own error, its limit, or a lost
            server.
        """
        result, sent, number = begun.result, begun.sent, begun.number
        child = self._answer("pid", START_SECONDS, number)
        if child is None:
            return lost_outcome(self._log_tail(), sent)
        ended = self._answer("status", _left(begun, effort), number)
        late = ended is None
        if late:
            kill_run(child.pid)
            ended = self._answer("status", START_SECONDS, number)
        if ended is None:
            return lost_outcome(self._log_tail(), sent)
        return read_outcome(late, ended.status, result, effort, self._log_tail(), sent)

    def ended(self, begun: PendingRequest) -> bool:
        """Return at once whether a request has ended."""
        lives = self._listen(0.0)
        return not lives or self._find("status", begun.number) is not None

    def _lives(self) -> bool:
        """Return whether the server runs and its channel is open.

        A killed server closes its channel a little before the system has its status.
        """
        runs = self._server is not None and self._server.poll() is None
        return runs and self._listen(0.0)

    def _answer(
        self, field: str, seconds: float, number: int = 0
    ) -> ServerAnswer | None:
        """Wait for one answer of the server, and remove it from the answers received.

        Args:
            field: The field of `ServerAnswer` that the answer has.
            seconds: The longest wait.
            number: The number of the request; 0 for the server's start.

        Returns:
            None if the answer is late, or if the server has ended.
        """
        deadline = time.monotonic() + seconds
        while (answer := self._find(field, number)) is None:
            left = deadline - time.monotonic()
            if left < 0 or not self._listen(left):
                return None
        self._received.remove(answer)
        return answer

    def _find(self, field: str, number: int) -> ServerAnswer | None:
        for answer in self._received:
            if getattr(answer, field) is not None and answer.request == number:
                return answer
        return None

    def _listen(self, seconds: float) -> bool:
        """Wait for answers of the server; return False if the server has ended."""
        if select.select([self._answers], [], [], seconds)[0]:
            content = self._answers.read(65536)
            if not content:
                return False
            *lines, self._pending = (self._pending + content).split(b"\n")
            self._received += [
                msgspec.json.decode(line, type=ServerAnswer) for line in lines
            ]
        return True

    def _log_tail(self) -> str:
        log = self._log.read_bytes()[self._log_start :].decode(errors="replace")
        return last_lines(log)


class Spawner(Executor):
    """This executor starts each process anew, since a fork would lose a GPU's state."""

    protocol = PROTOCOL

    def __init__(self, home: Harness | None = None) -> None:
        """Make a folder for results."""
        self._home = home or Harness()
        self._scratch = _scratch(self)
        self._running: dict[int, subprocess.Popen] = {}
        self._requests = 0

    def start(self) -> None:
        """Do nothing, because the processes of a round share no server."""

    def stop(self) -> None:
        """Kill all processes that still run, as after Ctrl-C."""
        for process in self._running.values():
            _kill(process)
        self._running.clear()

    def begin(
        self,
        verb: str,
        trial: Trial,
        effort: Effort,
        seed: int,
        place: Place = RUNNERS_PLACE,
    ) -> PendingRequest:
        """Start one request and return at once; several may be in progress."""
        folder = Path(tempfile.mkdtemp(dir=self._scratch))
        result = folder / "result.json"
        content, sent = encode_request(verb, trial, effort, seed, result, place)
        (folder / "request.json").write_bytes(content)
        self._requests += 1
        command = [self._home.python, "-m", "bench.worker", folder / "request.json"]
        try:
            with (folder / "log").open("wb") as log:
                self._running[self._requests] = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,  # it closes with the runner, ends the worker
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    env=environment(self._home),
                )
        except OSError as error:
            raise _cannot_start(self._home, error.strerror) from error
        return PendingRequest(self._requests, result, sent)

    def ended(self, begun: PendingRequest) -> bool:
        """Return at once whether a request has ended."""
        return self._running[begun.number].poll() is not None

    def finish(self, begun: PendingRequest, effort: Effort) -> Outcome:
        """Wait for a request's end; kill its run if it exceeds the limit of `effort`.

        Returns:
            The result of the run, or its failure: its own error or its limit.
        """
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
        log = last_lines(begun.result.with_name("log").read_text(errors="replace"))
        return read_outcome(late, status, begun.result, effort, log, begun.sent)


def _cannot_start(home: Harness, reason: str) -> CannotStart:
    return CannotStart(
        f"The processes that measure cannot start ({home.python}, modules of "
        f"{home.root}): {reason}. See what run_bench.py doctor says."
    )


def _left(begun: PendingRequest, effort: Effort) -> float:
    """Return how many more seconds to wait for the end of a request.

    The limit counts from the moment at which the request was sent. So three requests
    that begin together and hang take one limit, not three.
    """
    left = begun.sent + effort.limit_seconds - time.monotonic()
    return max(left, min(GRACE_SECONDS, effort.limit_seconds))


def _kill(process: subprocess.Popen) -> None:
    """Kill a process and all that it started, even if the process has ended."""
    with contextlib.suppress(ProcessLookupError):  # the whole group has ended
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdin.close()


def _scratch(owner: Executor) -> Path:
    """Make a folder for results that is removed when its owner is garbage-collected.

    `tempfile.TemporaryDirectory` would warn at that, and a user's tests may turn
    warnings into errors.
    """
    folder = Path(tempfile.mkdtemp(prefix="feedrate-"))
    weakref.finalize(owner, shutil.rmtree, folder, ignore_errors=True)
    return folder


def executor(home: Harness | None = None) -> Executor:
    """Return the executor for this machine: a fork server unless there is a GPU."""
    forks = _has_handles() and not machine.gpus()
    return ForkServer(home) if forks else Spawner(home)


def _has_handles() -> bool:
    """Return whether the kernel has process handles (pidfd), which the server needs.

    Old kernels and some containers have none, even if Python has the call.
    """
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return True
