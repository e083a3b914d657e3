"""This module describes failures: what a run was doing, and why it has no result."""

from __future__ import annotations

import signal
from dataclasses import replace

from bench import cause
from bench.trial import PHASES, Failure

# Signals that a process causes itself; every other signal comes from outside.
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
    """Describe a failure, such as `ValueError in adapt: no such column`.

    The message of a `UsageError` is a full sentence, so it is returned alone.

    Args:
        failure: The failure of a run.
        whole: Whether to return all lines of the message, or only the first.
    """
    message = failure.message.strip()
    message = message if whole else message.partition("\n")[0]
    where = f" in {failure.phase}" if failure.phase else ""
    if failure.type == "UsageError":  # its message is a full sentence
        return message
    return f"{failure.type}{where}: {message}"


def timeout(seconds: float, phase: str, option: str) -> Failure:
    """Return the failure of a run that a limit stopped.

    Args:
        seconds: The time after which the run was stopped.
        phase: The phase of the run; empty if the phase is unknown.
        option: `--limit` or `--budget`, which sets the limit.
    """
    doing = f" while {PHASES[phase].activity}," if phase in PHASES else ""
    limit = {
        "--limit": f"after its limit of {seconds:g} s",
        "--budget": f"after {seconds:.0f} s, as the budget had ended",
    }[option]
    message = f"stopped{doing} {limit}; raise it with {option}"
    return Failure(type="Timeout", message=message, phase=phase)


def ended_by_signal(number: int, log: str, phase: str) -> Failure:
    """Return the failure of a process that a signal ended.

    Args:
        number: The number of the signal.
        log: The last output of the process, after a colon; empty without output.
        phase: The phase of the process; empty if the phase is unknown.
    """
    name = signal.Signals(number).name
    if number in CRASHES:
        return Failure(type="Crashed", message=f"crashed by {name}{log}", phase=phase)
    hint = " (often: out of memory)" if name == "SIGKILL" else ""
    return Failure(type="Killed", message=f"ended by {name}{hint}{log}", phase=phase)


def is_from_outside(failure: Failure) -> bool:
    """Return whether a failure came from outside the run, so a new run may succeed."""
    if failure.type == "Died":  # the type of a lost server in earlier versions
        return failure.message.startswith(LOST)
    if failure.type == "Killed":  # in earlier versions also the type of a crash
        return not any(f"ended by {each.name}" in failure.message for each in CRASHES)
    return failure.type == "Lost"


def unwrapped(failure: Failure) -> Failure:
    """Return a stored failure without the texts that TensorFlow and Keras add to it.

    The type and message become those of the cause, followed by its place in the user's
    file if known. A failure without such texts is returned unchanged. Only results that
    earlier versions stored have them.
    """
    if not cause.is_wrapped(failure.message):
        return failure
    unwrapped = cause.from_text(failure.type, failure.message)
    message = cause.sentence(unwrapped)
    return replace(failure, type=unwrapped.type, message=message)
