"""Failures in words: what a run was doing, why it has no result, and what to do."""

from __future__ import annotations

import signal
from dataclasses import replace

from bench import cause
from bench.trial import Failure

# Every phase of a run, and what the run does in it.
PHASES = {
    "start": "its process starts",
    "tensorflow": "TensorFlow starts",
    "inputs": "the file is imported and its inputs are made",
    "adapt": "build() makes the layers",
    "prepare": "the layers are looked at",
    "offline": "all examples are preprocessed and stored",
    "build": "the pipeline is built",
    "check": "the first batches are made and checked",
    "trace": "the model is built and its first step is traced",
    "first_batch": "the first batch is made",
    "fill": "the cache is filled",
    "calibrate": "batches are timed",
    "ramp": "the pipeline warms up",
    "steady": "batches are timed",
    "graph": "the graph that ran is read",
    "train": "the model to be served is trained",
    "export": "the model is exported",
    "load": "the exported model is loaded",
}
# What a process gets from its own fault; every other signal comes from outside.
CRASHES = frozenset(
    signal.Signals[name]
    for name in (
        "SIGSEGV",
        "SIGABRT",
        "SIGBUS",
        "SIGFPE",
        "SIGILL",
        "SIGSYS",
        "SIGTRAP",
    )
)
LOST = "the fork server is gone"


def sentence(failure: Failure, *, whole: bool = False) -> str:
    """`ValueError in adapt: no such column (mine.py, line 12, in build)`.

    Args:
        failure: Why a run has no samples.
        whole: Whether all lines of the message are wanted, and not just the first.
    """
    message = failure.message.strip()
    message = message if whole else message.partition("\n")[0]
    where = f" in {failure.phase}" if failure.phase else ""
    if failure.type == "UsageError":  # an error of ours, whose sentence says it all
        return message
    return f"{failure.type}{where}: {message}"


def timeout(seconds: float, phase: str, option: str) -> Failure:
    """The failure of a run that was stopped by a limit.

    Args:
        seconds: After how long.
        phase: What the run was doing; empty if it is unknown.
        option: `--limit` or `--budget`, which sets the limit.
    """
    doing = f" while {PHASES[phase]}," if phase in PHASES else ""
    limit = {
        "--limit": f"after its limit of {seconds:g} s",
        "--budget": f"after {seconds:.0f} s, as the budget had ended",
    }[option]
    message = f"stopped{doing} {limit}; raise it with {option}"
    return Failure(type="Timeout", message=message, phase=phase)


def ended_by(number: int, log: str, phase: str) -> Failure:
    """The failure of a process that a signal ended.

    Args:
        number: The signal.
        log: What the process printed last, after a colon; empty if nothing.
        phase: What the process was doing; empty if it is unknown.
    """
    name = signal.Signals(number).name
    if number in CRASHES:
        return Failure(type="Crashed", message=f"crashed by {name}{log}", phase=phase)
    hint = " (often: out of memory)" if name == "SIGKILL" else ""
    return Failure(type="Killed", message=f"ended by {name}{hint}{log}", phase=phase)


def from_outside(failure: Failure) -> bool:
    """Whether something outside the run ended it, so that it may go well next time."""
    if failure.type == "Died":  # as earlier versions spelled a lost server
        return failure.message.startswith(LOST)
    if failure.type == "Killed":  # as earlier versions spelled a crash, too
        return not any(f"ended by {each.name}" in failure.message for each in CRASHES)
    return failure.type == "Lost"


def readable(failure: Failure) -> Failure:
    """A stored failure with its cause first; earlier versions stored the wrappers."""
    if not cause.wrapped(failure.message):
        return failure
    read = cause.read(failure.type, failure.message)
    return replace(failure, type=read.type, message=cause.sentence(read))
