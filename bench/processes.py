"""Fresh processes, forked from a server that has TensorFlow, or spawned."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from bench import machine
from bench.catalog import ROOT
from bench.trial import Effort, Failure, Trial

START_SECONDS = 120.0


class Executor(Protocol):
    """Something that runs one request in a fresh process."""

    def start(self) -> None:
        """Get ready for a round."""

    def execute(self, verb: str, trial: Trial, effort: Effort, seed: int) -> Outcome:
        """Run one request and wait for its end or its limit."""

    def stop(self) -> None:
        """End the round and every process of it."""


@dataclass(frozen=True)
class Outcome:
    """How a request ended.

    Attributes:
        result: What the worker wrote, JSON; empty if it wrote nothing.
        failure: Why there is no result.
        seconds: From asking for the process to its end.
    """

    result: bytes
    failure: Failure | None
    seconds: float


@dataclass(frozen=True)
class Begun:
    """A request that is under way.

    Attributes:
        result: Where its worker will write.
        asked: When it was asked for; seconds, monotonic.
    """

    result: Path
    asked: float


class ForkServer:
    """Fresh processes from a server that has imported TensorFlow; about 10 ms each."""

    def __init__(self) -> None:
        """No server yet: one is started for each round."""
        self._measured = False
        self._server: subprocess.Popen | None = None
        self._scratch = tempfile.TemporaryDirectory(prefix="feedrate-")
        self._log = Path(self._scratch.name) / "log"
        self._log_start = 0  # where what the current run has printed begins
        self._requests = 0

    def start(self) -> None:
        """A new server that has imported everything; one that only prepared will do."""
        if self._server and self._server.poll() is None and not self._measured:
            return
        self.stop()
        self._measured = False
        reader, writer = os.pipe()
        with self._log.open("wb") as log:
            self._server = subprocess.Popen(
                [sys.executable, "-m", "bench.server", str(writer)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=(writer,),
                cwd=Path.cwd(),
                env=_environment(),
            )
        os.close(writer)
        self._answers = os.fdopen(reader, "rb", buffering=0)
        self._pending, self._log_start = b"", 0
        if self._answer(START_SECONDS) is None:
            raise RuntimeError(f"The fork server did not start: {self._log_tail()}")

    def stop(self) -> None:
        """Close the server's input: it kills what runs, and leaves."""
        if self._server is None:
            return
        with contextlib.suppress(BrokenPipeError):  # it was gone before
            self._server.stdin.close()
        try:
            self._server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        self._answers.close()
        self._server = None

    def execute(self, verb: str, trial: Trial, effort: Effort, seed: int) -> Outcome:
        """Run one request in a forked process, at most `limit_seconds` long."""
        return self.finish(self.begin(verb, trial, effort, seed), effort)

    def begin(
        self, verb: str, trial: Trial, effort: Effort, seed: int, channel: str = ""
    ) -> Begun:
        """Start one request and return at once; the server makes one at a time."""
        if self._server is None or self._server.poll() is not None:  # killed, say
            self.start()
        self._measured = self._measured or verb == "measure"
        self._requests += 1
        self._log_start = self._log.stat().st_size
        result = Path(self._scratch.name) / f"result-{self._requests}.json"
        request, asked = _request(verb, trial, effort, seed, result, channel)
        with contextlib.suppress(BrokenPipeError):  # it is gone: `finish` will tell
            self._server.stdin.write(request + b"\n")
            self._server.stdin.flush()
        return Begun(result, asked)

    def finish(self, begun: Begun, effort: Effort) -> Outcome:
        """Wait for the end of what was begun, or for its limit."""
        result, asked = begun.result, begun.asked
        child = self._answer(START_SECONDS)
        if child is None:
            return _lost("the fork server is gone: " + self._log_tail(), asked)
        ended = self._answer(effort.limit_seconds)
        late = ended is None
        if late and self._server.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                os.killpg(child["pid"], signal.SIGKILL)
            ended = self._answer(START_SECONDS)
        if ended is None:
            return _lost("the fork server is gone: " + self._log_tail(), asked)
        return _outcome(late, ended["status"], result, effort, self._log_tail(), asked)

    def _answer(self, seconds: float) -> dict | None:
        """The next line of the server; None when the time is up or it has gone."""
        deadline = time.monotonic() + seconds
        while b"\n" not in self._pending:
            left = max(0.0, deadline - time.monotonic())
            if not select.select([self._answers], [], [], left)[0]:
                return None
            received = self._answers.read(65536)
            if not received:
                return None
            self._pending += received
        line, _, self._pending = self._pending.partition(b"\n")
        return json.loads(line)

    def _log_tail(self) -> str:
        written = self._log.read_bytes()[self._log_start :].decode(errors="replace")
        lines = written.strip().splitlines()
        return " | ".join(lines[-3:])[-600:]


class Spawner:
    """Fresh processes from nothing: for GPUs, whose state does not survive a fork."""

    def __init__(self) -> None:
        """Only a folder for results."""
        self._scratch = tempfile.TemporaryDirectory(prefix="feedrate-")
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        """Nothing is shared by the processes of a round."""

    def stop(self) -> None:
        """Kill what still runs, as after Ctrl-C."""
        if self._process and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def execute(self, verb: str, trial: Trial, effort: Effort, seed: int) -> Outcome:
        """Run one request in a new interpreter, at most `limit_seconds` long."""
        folder = Path(tempfile.mkdtemp(dir=self._scratch.name))
        result, log_path = folder / "result.json", folder / "log"
        request, asked = _request(verb, trial, effort, seed, result)
        (folder / "request.json").write_bytes(request)
        late = False
        with log_path.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bench.worker", str(folder / "request.json")],
                stdin=subprocess.PIPE,  # closes with the runner, and ends the worker
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=_environment(),
            )
            try:
                self._process.wait(timeout=effort.limit_seconds)
            except subprocess.TimeoutExpired:
                late = True
                self.stop()
        self._process.stdin.close()
        code = self._process.returncode
        status = -code if code < 0 else code << 8
        tail = log_path.read_text(errors="replace").strip()[-600:]
        return _outcome(late, status, result, effort, tail, asked)


def executor() -> Executor:
    """The one for this machine: forking, but not where a GPU is."""
    forks = hasattr(os, "pidfd_open") and not machine.gpus()
    return ForkServer() if forks else Spawner()


def _request(
    verb: str,
    trial: Trial,
    effort: Effort,
    seed: int,
    result: Path,
    channel: str = "",
) -> tuple[bytes, float]:
    asked = time.monotonic()
    return msgspec.json.encode(
        {
            "verb": verb,
            "trial": trial,
            "effort": effort,
            "seed": seed,
            "asked": asked,
            "result": str(result),
            "channel": channel,
        }
    ), asked


def _outcome(
    late: bool, status: int, result: Path, effort: Effort, log: str, asked: float
) -> Outcome:
    seconds = time.monotonic() - asked
    log = f": {log}" if log else ""
    if result.is_file():
        written = result.read_bytes()
        result.unlink()
        return Outcome(written, None, seconds)
    if late:
        failure = Failure(
            type="Timeout",
            message=f"stopped after its limit of {effort.limit_seconds:g} s",
        )
    elif os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        hint = " (often: out of memory)" if name == "SIGKILL" else ""
        failure = Failure(type="Killed", message=f"ended by {name}{hint}{log}")
    else:
        code = os.WEXITSTATUS(status)
        failure = Failure(type="Died", message=f"left with status {code}{log}")
    return Outcome(b"", failure, seconds)


def _lost(message: str, asked: float) -> Outcome:
    failure = Failure(type="Died", message=message)
    return Outcome(b"", failure, time.monotonic() - asked)


def _environment() -> dict[str, str]:
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "2", "KERAS_BACKEND": "tensorflow"}
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    path = {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    return {**os.environ, **quiet, **path}
