"""The environment of processes, the limits of requests, and last lines of logs."""

import math
import subprocess
import sys
from pathlib import Path

import pytest

from bench import failures, shell
from bench.run import protocol
from bench.run.protocol import Harness, Outcome, environment
from bench.trial import Effort, Trial


def test_all_processes_of_a_start_know_it_by_one_token() -> None:
    """Processes that they start in turn know it, too."""
    process = subprocess.run(
        [sys.executable, "-c", "from bench.shell import STARTED; print(STARTED)"],
        env=environment(Harness()),
        capture_output=True,
        text=True,
        check=True,
    )
    assert process.stdout.strip() == shell.STARTED
    assert int(shell.STARTED) > 0


def test_assertions_are_never_optimized_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its assertions a check would accept any layers."""
    monkeypatch.setenv("PYTHONOPTIMIZE", "1")
    done = subprocess.run(
        [sys.executable, "-c", "assert False"],
        env=environment(Harness()),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1


class Late:
    """An executor whose requests all run into their limits."""

    def execute(self, verb: str, trial: Trial, effort: Effort, seed: int) -> Outcome:
        """Return the outcome of a request that its limit stopped."""
        failure = failures.timeout(effort.limit_seconds, "check", "--limit")
        return Outcome(b"", failure, effort.limit_seconds)


@pytest.mark.parametrize(
    ("left", "limit", "option"),
    [(math.inf, 120.0, "--limit"), (500.0, 120.0, "--limit"), (35.0, 35.0, "--budget")],
)
def test_the_shorter_of_limit_and_budget_ends_a_run_and_is_named(
    left: float, limit: float, option: str
) -> None:
    outcome, effort = protocol.execute_within(
        Late(), "measure", Trial(workload="prose"), Effort(), 1, left
    )
    assert effort == Effort(limit_seconds=limit)
    assert outcome.failure == failures.timeout(limit, "check", option)


@pytest.mark.parametrize("known", [True, False])
def test_a_process_that_was_killed_leaves_its_phase(
    tmp_path: Path, known: bool
) -> None:
    """The phase is empty if there was none yet; the file is removed."""
    result = tmp_path / "result-1.json"
    if known:
        protocol.phase_file(result).write_text("adapt")
    outcome = protocol.read_outcome(False, 9, result, Effort(), "", 0.0)
    assert outcome.failure.type == "Killed"
    assert outcome.failure.phase == ("adapt" if known else "")
    assert list(tmp_path.iterdir()) == []


def test_last_words_are_the_process_s_own() -> None:
    """Lines in which TensorFlow reports that there is no GPU are left out."""
    log = (
        "E0000 00:00:1 1 cuda_platform.cc:52] failed call to cuInit: UNKNOWN ERROR\n"
        "one\ntwo\nthree\n"
        "I0000 00:00:1 1 cudart_stub.cc:31] Could not find cuda drivers\nfour\n"
    )
    assert protocol.last_lines(log) == "two | three | four"
    assert protocol.last_lines("") == ""
