"""Failures in words, and which runs a resumed sweep repeats."""

import re
import signal

import pytest

from bench import failures
from bench.shell import ROOT
from bench.trial import Failure


def test_every_phase_has_words() -> None:
    """The message of a limit has these words."""
    timed = {
        phase
        for path in (ROOT / "bench").rglob("*.py")
        for phase in re.findall(r'clock\.time\("(\w+)"\)', path.read_text())
    }
    assert len(timed) > 10
    assert timed <= set(failures.PHASES)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            (120.0, "adapt", "--limit"),
            "stopped while build() makes the layers, after its limit of 120 s; raise "
            "it with --limit",
        ),
        (
            (35.2, "check", "--budget"),
            "stopped while the first batches are made and checked, after 35 s, as the "
            "budget had ended; raise it with --budget",
        ),
        (
            (1.5, "", "--limit"),
            "stopped after its limit of 1.5 s; raise it with --limit",
        ),
    ],
)
def test_the_message_of_a_limit_has_phase_time_and_option(
    arguments: tuple, message: str
) -> None:
    failure = failures.timeout(*arguments)
    assert failure == Failure(type="Timeout", message=message, phase=arguments[1])


@pytest.mark.parametrize(
    ("failure", "again"),
    [
        (failures.ended_by_signal(signal.SIGKILL, "", "adapt"), True),
        (failures.ended_by_signal(signal.SIGTERM, ": bye", ""), True),
        (failures.ended_by_signal(signal.SIGSEGV, "", "steady"), False),
        (failures.ended_by_signal(signal.SIGABRT, "", ""), False),
        (Failure(type="Killed", message="ended by SIGSEGV"), False),
        (Failure(type="Killed", message="ended by SIGHUP"), True),
        (Failure(type="Lost", message="the fork server is gone"), True),
        (Failure(type="Died", message="the fork server is gone: bye"), True),
        (Failure(type="Died", message="left with status 3"), False),
        (Failure(type="KeyError", message="'a' ended by SIGKILL"), False),
        (Failure(type="Timeout", message="stopped"), False),
    ],
)
def test_only_failures_from_outside_may_succeed_next_time(
    failure: Failure, again: bool
) -> None:
    """A crash is the run's own, and would occur again."""
    assert failures.is_from_outside(failure) == again


def test_a_signal_is_named_with_the_phase_that_it_ended() -> None:
    assert failures.ended_by_signal(signal.SIGKILL, ": log", "adapt") == Failure(
        type="Killed",
        message="ended by SIGKILL (often: out of memory): log",
        phase="adapt",
    )
    crashed = failures.ended_by_signal(signal.SIGSEGV, "", "steady")
    assert (crashed.type, crashed.message) == ("Crashed", "crashed by SIGSEGV")


def test_a_failure_in_one_line_or_in_all_lines() -> None:
    """The line has the phase, unless the message is a full sentence."""
    failure = Failure(type="KeyError", message="'a'\nand more", phase="build")
    assert failures.sentence(failure) == "KeyError in build: 'a'"
    whole = failures.sentence(failure, whole=True)
    assert whole == "KeyError in build: 'a'\nand more"
    ours = Failure(type="UsageError", message="Leave out --data.", phase="inputs")
    assert failures.sentence(ours) == "Leave out --data."


def test_a_failure_of_an_earlier_version_has_its_cause_first() -> None:
    stored = Failure(
        type="ValueError",
        message="in user code: (__autograph_generated_fileq.py, line 12, in tf__f)\n\n"
        '    File "/home/me/mine.py", line 15, in decode  *\n'
        "        return tf.reshape(x, [3, 3])\n\n"
        "    ValueError: Cannot reshape",
        phase="build",
    )
    assert failures.unwrapped(stored) == Failure(
        type="ValueError",
        message="Cannot reshape (mine.py, line 15, in decode)",
        phase="build",
    )
    plain = Failure(type="ValueError", message="bad pixel", phase="build")
    assert failures.unwrapped(plain) is plain
