"""What processes that are started find in their environment."""

import subprocess
import sys

import pytest

from bench import requests
from bench.requests import Home, environment


def test_all_processes_of_a_start_know_it_by_one_token() -> None:
    """Those that they start in turn, too."""
    found = subprocess.run(
        [sys.executable, "-c", "from bench import requests; print(requests.STARTED)"],
        env=environment(Home()),
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == requests.STARTED
    assert int(requests.STARTED) > 0


def test_assertions_are_never_optimized_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that refuses nothing would let anything be timed."""
    monkeypatch.setenv("PYTHONOPTIMIZE", "1")
    done = subprocess.run(
        [sys.executable, "-c", "assert False"],
        env=environment(Home()),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
