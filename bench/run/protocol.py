"""What is asked of a fresh process, how it ended, and who can make one."""

from __future__ import annotations

import contextlib
import math
import os
import re
import signal
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import msgspec

from bench import failures
from bench.catalog import ROOT
from bench.errors import UsageError
from bench.shell import STARTED
from bench.trial import Effort, Failure, Trial

GRACE_SECONDS = 10.0  # beyond a budget that is nearly over: a run may just have begun

# TensorFlow prints these lines on every machine without a GPU.
CHATTER = re.compile(r"absl::InitializeLog|oneDNN custom op|cudart_stub|cuInit")


class CannotStart(UsageError):
    """No process can be had to measure in: its interpreter or its modules fail."""


class Executor(Protocol):
    """Something that runs one request in a fresh process."""

    def start(self) -> None:
        """Get ready for a round."""

    def execute(self, verb: str, trial: Trial, effort: Effort, seed: int) -> Outcome:
        """Run one request and wait for its end or its limit."""
        return self.finish(self.begin(verb, trial, effort, seed), effort)

    def stop(self) -> None:
        """End the round and every process of it."""

    def begin(
        self,
        verb: str,
        trial: Trial,
        effort: Effort,
        seed: int,
        place: Place = ...,
    ) -> Begun:
        """Start one request and return at once; several may be under way."""

    def ended(self, begun: Begun) -> bool:
        """Whether what was begun has ended; at once."""

    def finish(self, begun: Begun, effort: Effort) -> Outcome:
        """Wait for the end of what was begun, or for its limit."""


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
class Place:
    """Where a process is put.

    Attributes:
        channel: The socket at which to wait for turns; empty to measure alone.
        folder: The folder to work in, also on its module path; empty for the runner's.
        stands_for: The tree, head's, of which `folder` is another revision: on the
            module path it is replaced; empty on head.
    """

    channel: str = ""
    folder: str = ""
    stands_for: str = ""


RUNNERS = Place()


@dataclass(frozen=True)
class Begun:
    """A request that is under way.

    Attributes:
        number: Which of its server's requests, from 1.
        result: Where its worker will write.
        asked: When it was asked for; seconds, monotonic.
    """

    number: int
    result: Path
    asked: float


@dataclass(frozen=True)
class Home:
    """Whose code processes run, with which interpreter.

    Attributes:
        python: The interpreter.
        root: The tree with the harness and the shelves.
    """

    python: str = sys.executable
    root: Path = ROOT


def encode_request(
    verb: str,
    trial: Trial,
    effort: Effort,
    seed: int,
    result: Path,
    place: Place,
) -> tuple[bytes, float]:
    """What the worker reads, and when it was asked for; seconds, monotonic."""
    asked = time.monotonic()
    return msgspec.json.encode(
        {
            "verb": verb,
            "trial": trial,
            "effort": effort,
            "seed": seed,
            "asked": asked,
            "result": str(result),
            "channel": place.channel,
            "folder": place.folder,
            "stands_for": place.stands_for,
        }
    ), asked


def read_outcome(
    late: bool, status: int, result: Path, effort: Effort, log: str, asked: float
) -> Outcome:
    """How a process ended, from the file that it wrote or else from its status."""
    seconds = time.monotonic() - asked
    log = f": {log}" if log else ""
    phase = _phase(result)
    if result.is_file():
        written = result.read_bytes()
        result.unlink()
        return Outcome(written, None, seconds)
    if late:
        failure = failures.timeout(effort.limit_seconds, phase, "--limit")
    elif os.WIFSIGNALED(status):
        failure = failures.ended_by(os.WTERMSIG(status), log, phase)
    else:
        message = f"left with status {os.WEXITSTATUS(status)}{log}"
        failure = Failure(type="Died", message=message, phase=phase)
    return Outcome(b"", failure, seconds)


def execute_within(
    executor: Executor,
    verb: str,
    trial: Trial,
    effort: Effort,
    seed: int,
    seconds_left: float = math.inf,
) -> tuple[Outcome, Effort]:
    """Run one request for as long as its limit allows and what is left of a budget.

    Args:
        executor: Where to run the request.
        verb: `prepare` or `measure`.
        trial: What is measured.
        effort: How much; its limit holds where the budget has more time left.
        seed: Of the process.
        seconds_left: What is left of the budget, with its grace.

    Returns:
        How the request ended, and the effort with the limit that ended it.
    """
    within = replace(effort, limit_seconds=min(effort.limit_seconds, seconds_left))
    outcome = executor.execute(verb, trial, within, seed)
    failure = outcome.failure
    if not failure or failure.type != "Timeout" or within == effort:
        return outcome, effort
    failure = failures.timeout(within.limit_seconds, failure.phase, "--budget")
    return replace(outcome, failure=failure), within


def last_words(log: str) -> str:
    """The last lines that a process printed, without what TensorFlow always prints."""
    lines = [line for line in log.strip().splitlines() if not CHATTER.search(line)]
    return " | ".join(lines[-3:])[-600:]


def phase_file(result: Path) -> Path:
    """Where a process writes the phase that it is in, beside its result."""
    return result.with_suffix(".phase")


def _phase(result: Path) -> str:
    """The last phase of a process that has ended; empty if it wrote none."""
    try:
        phase = phase_file(result).read_text()
    except OSError:  # it ended before its first phase, or is of an earlier version
        return ""
    phase_file(result).unlink()
    return phase


def lost_outcome(message: str, asked: float) -> Outcome:
    """The outcome of a request whose server is gone."""
    message = f"{failures.LOST}: {message}" if message else failures.LOST
    failure = Failure(type="Lost", message=message)
    return Outcome(b"", failure, time.monotonic() - asked)


def kill_run(child: int) -> None:
    """Kill a run with all that it has started; it may not lead a group yet."""
    try:
        os.killpg(child, signal.SIGKILL)
    except ProcessLookupError:
        with contextlib.suppress(ProcessLookupError):  # it has ended
            os.kill(child, signal.SIGKILL)


def environment(home: Home) -> dict[str, str]:
    """A quiet TensorFlow, and the home's modules before all others.

    Python would put the working folder before them: there, in this suite's own
    repository, is another tree of the same modules than the base's.
    """
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "2", "KERAS_BACKEND": "tensorflow"}
    paths = [str(home.root), os.environ.get("PYTHONPATH", ""), str(Path.cwd())]
    path = {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONSAFEPATH": "1"}
    # Processes may work in another folder, where a relative path would lead elsewhere.
    cache = os.environ.get("FEEDRATE_CACHE")
    inputs = {"FEEDRATE_CACHE": str(Path(cache).absolute())} if cache else {}
    given = {**os.environ, **quiet, **path, **inputs, "FEEDRATE_STARTED": STARTED}
    given.pop("PYTHONOPTIMIZE", None)  # it would take out the assertions of the checks
    return given
