"""This module defines the messages between the runner and its measuring processes.

The runner is the process that starts the others. The module also determines how a
process ended. The other end may run an older revision of this suite, so field names
never change.
"""

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
from typing import Literal, Protocol

import msgspec

from bench import failures
from bench.catalog import ROOT
from bench.errors import UsageError
from bench.shell import STARTED
from bench.trial import Effort, Failure, Trial

GRACE_SECONDS = 10.0  # beyond a budget that is nearly over: a run may just have begun

# TensorFlow prints these lines on every machine without a GPU.
CHATTER = re.compile(r"absl::InitializeLog|oneDNN custom op|cudart_stub|cuInit")


USER_PIPELINE_VERBS = ("read_pipeline", "compare_pipelines", "drain_pipeline")


class Request(msgspec.Struct, kw_only=True):
    """A request is one job for a fresh process.

    Attributes:
        verb: `prepare` makes the inputs and examines the layers; `measure` makes one
            run; the command `advise` uses those of `USER_PIPELINE_VERBS`.
        trial: The trial to prepare or to measure.
        effort: How much to measure, and for how long at most.
        seed: The seed of the layers' own randomness.
        asked: When the runner sent the request; seconds on the system-wide monotonic
            clock.
        result: The file for the result, as standard streams belong to the workload.
        channel: The path of the socket at which to wait for turns; empty to measure
            alone.
        folder: The working folder, which is also added to the module path; empty to
            stay in the folder of the runner.
        stands_for: The root of the tree of the head revision. `folder` is the tree of
            another revision and replaces that root on the module path. Empty for head.
    """

    verb: Literal["prepare", "measure", *USER_PIPELINE_VERBS]
    trial: Trial
    effort: Effort
    seed: int
    asked: float
    result: str
    channel: str = ""
    folder: str = ""
    stands_for: str = ""


class Prepared(msgspec.Struct, kw_only=True):
    """The answer to `prepare` has facts that only the imported workload determines.

    Attributes:
        supports_jit: Whether every layer compiles with XLA.
        mixes: The class of the first layer that mixes the examples of a batch; empty
            if no layer does.
        examples: The number of examples in an epoch.
        warm: The reason why the trial's files cannot be dropped from the page cache;
            empty if they can, or if the trial does not need that.
        error: Why the inputs or the layers cannot be made; None if they were made.
    """

    supports_jit: bool = False
    mixes: str = ""
    examples: int = 0
    warm: str = ""
    error: Failure | None = None


class ServerAnswer(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An answer of the fork server is about its start, or about one request.

    Attributes:
        ready: The server's process number, once it is ready for requests.
        protocol: The version of the messages of `bench.run.turns`, which comes with
            `ready`.
        request: The number of the request, from 1; 0 in the answer about the start.
        pid: The process number of the request's child.
        status: The wait status of the child, once the child has ended.
    """

    ready: int | None = None
    protocol: int = 0
    request: int = 0
    pid: int | None = None
    status: int | None = None

    def line(self) -> bytes:
        """Return the answer as a line of JSON."""
        return msgspec.json.encode(self) + b"\n"


class CannotStart(UsageError):
    """This error means that no measuring process can start.

    Its interpreter or its modules fail.
    """


class Executor(Protocol):
    """An executor runs requests, each in a fresh process."""

    def start(self) -> None:
        """Prepare for a round of requests, such as by starting a server."""

    def execute(self, verb: str, trial: Trial, effort: Effort, seed: int) -> Outcome:
        """Run one request, wait for its end or its limit, and return how it ended."""
        return self.finish(self.begin(verb, trial, effort, seed), effort)

    def stop(self) -> None:
        """Kill all processes of the round that still run."""

    def begin(
        self,
        verb: str,
        trial: Trial,
        effort: Effort,
        seed: int,
        place: Place = ...,
    ) -> PendingRequest:
        """Start one request and return at once; several may be in progress."""

    def ended(self, begun: PendingRequest) -> bool:
        """Return at once whether a request has ended."""

    def finish(self, begun: PendingRequest, effort: Effort) -> Outcome:
        """Wait until a request has ended or its limit is over; return how it ended."""


@dataclass(frozen=True)
class Outcome:
    """An outcome is how a request ended.

    Attributes:
        result: The JSON that the worker wrote; empty if it wrote nothing.
        failure: Why there is no result; None if there is one.
        seconds: The time from sending the request to the end of its process.
    """

    result: bytes
    failure: Failure | None
    seconds: float


@dataclass(frozen=True)
class Place:
    """A place has the socket, the working folder and the modules of a process.

    The fields are those of `Request`.

    Attributes:
        channel: The path of the socket at which to wait for turns; empty to measure
            alone.
        folder: The working folder, which is also added to the module path; empty to
            stay in the folder of the runner.
        stands_for: The root of the tree of the head revision. `folder` is the tree of
            another revision and replaces that root on the module path. Empty for head.
    """

    channel: str = ""
    folder: str = ""
    stands_for: str = ""


RUNNERS_PLACE = Place()


@dataclass(frozen=True)
class PendingRequest:
    """A pending request has been sent and has not ended.

    Attributes:
        number: The number of the request among those of its executor, from 1.
        result: The file into which its worker will write.
        sent: When the request was sent; seconds on the monotonic clock.
    """

    number: int
    result: Path
    sent: float


@dataclass(frozen=True)
class Harness:
    """A harness is a copy of this suite's code, with the interpreter that runs it.

    Attributes:
        python: The path of the interpreter.
        root: The root of the tree that has the suite, the layers and the workloads.
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
    """Return a request as JSON, and the time at which it is sent.

    The time is in seconds on the monotonic clock.
    """
    request = Request(
        verb=verb,
        trial=trial,
        effort=effort,
        seed=seed,
        asked=time.monotonic(),
        result=str(result),
        channel=place.channel,
        folder=place.folder,
        stands_for=place.stands_for,
    )
    return msgspec.json.encode(request), request.asked


def read_outcome(
    late: bool, status: int, result: Path, effort: Effort, log: str, sent: float
) -> Outcome:
    """Return how a process ended, by its result file or else by its wait status.

    Args:
        late: Whether the process was killed because its limit was over.
        status: The wait status of the process.
        result: The file for the result, which is removed.
        effort: How much to measure, with the limit that the message of a timeout names.
        log: The last lines that the process printed; may be empty.
        sent: When the request was sent; seconds on the monotonic clock.
    """
    seconds = time.monotonic() - sent
    log = f": {log}" if log else ""
    phase = _phase(result)
    if result.is_file():
        content = result.read_bytes()
        result.unlink()
        return Outcome(content, None, seconds)
    if late:
        failure = failures.timeout(effort.limit_seconds, phase, "--limit")
    elif os.WIFSIGNALED(status):
        failure = failures.ended_by_signal(os.WTERMSIG(status), log, phase)
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
    """Run one request within its own limit and within the rest of a budget.

    Args:
        executor: The executor that runs the request.
        verb: `prepare` or `measure`.
        trial: The trial to prepare or to measure.
        effort: How much to measure; its limit ends the request unless the budget ends
            first.
        seed: The seed of the process.
        seconds_left: The rest of the budget, with a few seconds of grace.

    Returns:
        How the request ended; and `effort` with the limit that ended it.
    """
    within = replace(effort, limit_seconds=min(effort.limit_seconds, seconds_left))
    outcome = executor.execute(verb, trial, within, seed)
    failure = outcome.failure
    if not failure or failure.type != "Timeout" or within == effort:
        return outcome, effort
    failure = failures.timeout(within.limit_seconds, failure.phase, "--budget")
    return replace(outcome, failure=failure), within


def last_lines(log: str) -> str:
    """Return the last lines of a log, without those that TensorFlow always prints."""
    lines = [line for line in log.strip().splitlines() if not CHATTER.search(line)]
    return " | ".join(lines[-3:])[-600:]


def phase_file(result: Path) -> Path:
    """Return the file beside a result in which a process names its current phase."""
    return result.with_suffix(".phase")


def _phase(result: Path) -> str:
    """Return the phase in which an ended process was last; empty if it named none.

    The file with the name of the phase is removed.
    """
    try:
        phase = phase_file(result).read_text()
    except OSError:  # the process ended before its first phase, or is of an old version
        return ""
    phase_file(result).unlink()
    return phase


def lost_outcome(message: str, sent: float) -> Outcome:
    """Return the outcome of a request whose server has died.

    Args:
        message: The last lines that the server printed; may be empty.
        sent: When the request was sent; seconds on the monotonic clock.
    """
    message = f"{failures.LOST}: {message}" if message else failures.LOST
    failure = Failure(type="Lost", message=message)
    return Outcome(b"", failure, time.monotonic() - sent)


def kill_run(child: int) -> None:
    """Kill a run with all processes that it started."""
    try:
        os.killpg(child, signal.SIGKILL)
    except ProcessLookupError:  # the child does not lead a group yet, or has ended
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def environment(home: Harness) -> dict[str, str]:
    """Return the environment variables of a measuring process.

    They keep TensorFlow quiet and make Python import a harness's modules. The harness's
    root comes first on the module path. Python alone would put the working folder
    first, and in this suite's own repository that folder has the same modules in
    another revision.
    """
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "2", "KERAS_BACKEND": "tensorflow"}
    paths = [str(home.root), os.environ.get("PYTHONPATH", ""), str(Path.cwd())]
    path = {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONSAFEPATH": "1"}
    # A process may work in another folder, where a relative path would lead elsewhere.
    cache = os.environ.get("FEEDRATE_CACHE")
    inputs = {"FEEDRATE_CACHE": str(Path(cache).absolute())} if cache else {}
    variables = {**os.environ, **quiet, **path, **inputs, "FEEDRATE_STARTED": STARTED}
    variables.pop("PYTHONOPTIMIZE", None)  # it would remove the checks' assertions
    return variables
