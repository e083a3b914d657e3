"""The identity of a machine, and the conditions around a run."""

import subprocess
import sys
from typing import NamedTuple

import msgspec
import pytest

from bench import catalog, machine


class Frequency(NamedTuple):
    """Return a frequency as psutil does."""

    current: float


def test_the_fingerprint_names_machine_and_versions() -> None:
    """The fingerprint can be stored as JSON."""
    facts = machine.fingerprint()
    assert {*machine.IDENTITY, *machine.PACKAGES, "python", "git_commit"} <= set(facts)
    assert facts["cpu"]
    assert facts["cpu_count"] >= 1
    assert facts["memory_bytes"] > 2**28
    assert facts["tensorflow"].startswith("2.21")
    assert isinstance(facts["git_dirty"], bool)
    assert msgspec.json.decode(msgspec.json.encode(facts)) == facts


def test_the_identity_is_of_machine_and_versions_not_of_the_commit() -> None:
    """Results of two commits may be compared."""
    facts = machine.fingerprint()
    moved = facts | {"git_commit": "other", "git_dirty": True, "governor": "x"}
    assert machine.identity(moved) == machine.identity(facts)
    for name in (*machine.IDENTITY, *machine.PACKAGES, "python"):
        assert machine.identity(facts | {name: "other"}) != machine.identity(facts)


CONFINED = """
import os, threading
from bench import machine

stop = threading.Event()
thread = threading.Thread(target=stop.wait)
thread.start()
seen = []
for count in (1, 0):
    machine.confine(count)
    seen += [len(os.sched_getaffinity(i)) for i in (0, thread.native_id)]
stop.set()
print(seen == [1, 1, len(machine.PROCESSORS), len(machine.PROCESSORS)])
"""


def test_every_thread_is_confined_and_released() -> None:
    """The test uses a process of its own."""
    run = [sys.executable, "-c", CONFINED]
    done = subprocess.run(run, capture_output=True, text=True, cwd=catalog.ROOT)
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_conditions_are_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shares are between 0 and 1; the run's own time is not foreign."""
    monkeypatch.setattr(machine, "LEAST_SECONDS", 0.0)
    conditions = machine.Conditions()
    sum(range(3_000_000))
    read = conditions.read(1e9)
    assert read["foreign_cpu_share"] == 0.0
    assert read["load_at_start"] >= 0
    assert 0 <= read["steal_share"] <= 1
    assert 0 <= machine.Conditions().read(0.0)["foreign_cpu_share"] <= 1


def test_a_span_of_few_ticks_has_no_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    """So no run is repeated for its load."""
    monkeypatch.setattr(machine, "LEAST_SECONDS", 1e9)
    read = machine.Conditions().read(0.0)
    assert (read["steal_share"], read["foreign_cpu_share"]) == (0.0, 0.0)
    assert machine.foreign_share(read) == 0.0


def test_the_foreign_share_is_that_of_processes_and_guests() -> None:
    """It is their sum if both are known."""
    assert machine.foreign_share({"steal_share": 0.1}) == 0.1
    assert machine.foreign_share(
        {"load_at_start": 9.0, "steal_share": 0.125, "foreign_cpu_share": 0.25}
    ) == pytest.approx(0.375)


@pytest.mark.parametrize(
    ("report", "values"),
    [
        (
            "1980, 2619, 31\n345, 2619, 28",
            {"gpu_sm_mhz": 1980.0, "gpu_memory_mhz": 2619.0, "gpu_celsius": 31.0},
        ),
        ("1980, [N/A], 31", {"gpu_sm_mhz": 1980.0, "gpu_celsius": 31.0}),
        ("", {}),
    ],
)
def test_clocks_are_those_that_the_machine_reports(
    report: str, values: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are those of the processors and of the first GPU, before and after a run."""
    monkeypatch.setattr(machine.psutil, "cpu_freq", lambda: Frequency(2300.0))
    monkeypatch.setattr(machine, "gpus", lambda: ["one", "two"])
    monkeypatch.setattr(machine, "_output", lambda *command: report)
    assert machine.clocks() == {"cpu_mhz": 2300.0, **values}
    read = machine.Conditions().read(0.0)
    for name, value in machine.clocks().items():
        assert read[f"{name}_before"] == read[f"{name}_after"] == value


def test_a_machine_may_report_no_clocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Some guests and containers report none."""
    monkeypatch.setattr(machine, "gpus", list)
    for report in (None, Frequency(0.0)):
        monkeypatch.setattr(machine.psutil, "cpu_freq", lambda report=report: report)
        assert machine.clocks() == {}
