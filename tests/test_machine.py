"""The identity of a machine, and the conditions around a run."""

import subprocess
import sys
from pathlib import Path
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


def test_no_limit_is_what_older_records_have_no_field_for() -> None:
    facts = machine.fingerprint() | {"cpu_limit": None, "memory_limit_bytes": None}
    older = {name: value for name, value in facts.items() if name not in machine.LIMITS}
    assert machine.identity(older) == machine.identity(facts)
    for limited in ({"cpu_limit": 2}, {"memory_limit_bytes": 2**30}):
        assert machine.identity(facts | limited) != machine.identity(older)


HALF = {"cpu.max": "50000 100000", "memory.max": str(2**28)}
ONE = {"cpu.cfs_quota_us": "100000", "cpu.cfs_period_us": "100000"}
OPEN = {"cpu.max": "max 100000", "memory.max": "max"}
OPEN_1 = {"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000"}
OPEN_1 |= {"memory.limit_in_bytes": str(2**63 - 4096), "memory.usage_in_bytes": "1"}


def mount(top: str, folder: str, kind: str, options: str) -> str:
    """Return a line of /proc/self/mountinfo."""
    return f"31 23 0:28 {top} {folder} rw,relatime shared:9 - {kind} cgroup {options}"


UNIFIED = mount("/", "/sys/fs/cgroup", "cgroup2", "rw,nsdelegate")
DOCKER_1 = "\n".join(
    mount("/docker/1", f"/sys/fs/cgroup/{name}", "cgroup", f"rw,{name}")
    for name in ("cpu,cpuacct", "memory")
)


@pytest.mark.parametrize(
    ("group", "mounts", "files", "expected"),
    [
        ("0::/", UNIFIED, {}, (None, None)),
        ("0::/", UNIFIED, {"": HALF}, (0.5, 2**28)),
        ("0::/pod/app", UNIFIED, {"pod/app": OPEN, "pod": OPEN}, (None, None)),
        ("0::/pod/app", UNIFIED, {"pod/app": OPEN, "pod": HALF}, (0.5, 2**28)),
        (
            "0::/pod/app",
            UNIFIED,
            {"pod/app": {"cpu.max": "25000 100000"}, "pod": HALF},
            (0.25, 2**28),
        ),
        ("0::/../other", UNIFIED, {"": HALF}, (0.5, 2**28)),
        ("0::/pod", UNIFIED, {"pod": {"cpu.max": "150000 100000"}}, (1.5, None)),
        ("0::/pod", UNIFIED, {"pod": {"cpu.max": "400000 100000"}}, (None, None)),
        ("0::/pod", UNIFIED, {"other": HALF}, (None, None)),
        (
            "4:memory:/docker/1\n2:cpu,cpuacct:/docker/1",
            DOCKER_1,
            {"cpu,cpuacct": ONE, "memory": {"memory.limit_in_bytes": str(2**29)}},
            (1, 2**29),
        ),
        (
            "4:memory:/docker/1/in\n2:cpu,cpuacct:/docker/1/in",
            DOCKER_1,
            {"cpu,cpuacct": OPEN_1, "cpu,cpuacct/in": ONE, "memory": OPEN_1},
            (1, None),
        ),
        ("4:memory:/docker/1", DOCKER_1, {"cpu,cpuacct": ONE}, (None, None)),
        ("", "", {}, (None, None)),
    ],
)
def test_limits_are_the_least_of_nested_control_groups(
    group: str,
    mounts: str,
    files: dict,
    expected: tuple,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The files are those of a kernel, in a folder that stands for the root."""
    monkeypatch.setattr(machine, "PROCESSORS", [0, 1, 2, 3])
    write_groups(tmp_path, group, mounts, files)
    found = machine.limits(tmp_path)
    assert (found.cpus, found.memory_bytes) == expected
    assert type(found.cpus) is type(expected[0])
    assert machine.usable_processors(tmp_path) == (expected[0] or 4)


def write_groups(root: Path, group: str, mounts: str, files: dict) -> None:
    """Write the files of /proc and of control groups; a limit has a use beside it."""
    (root / "proc" / "self").mkdir(parents=True)
    (root / "proc" / "self" / "cgroup").write_text(f"{group}\n")
    (root / "proc" / "self" / "mountinfo").write_text(f"{mounts}\n")
    for name, content in files.items():
        folder = root / "sys" / "fs" / "cgroup" / name
        folder.mkdir(parents=True, exist_ok=True)
        used = {"memory.current": "0", "memory.usage_in_bytes": "0"}
        for file, text in (used | content).items():
            (folder / file).write_text(f"{text}\n")


@pytest.mark.parametrize(
    ("used", "expected"),
    [
        ({"memory.current": "100000"}, 2**28 - 100_000),
        (
            {
                "memory.current": "100000",
                "memory.stat": "anon 30000\ninactive_file 60000\nslab 1",
            },
            2**28 - 40_000,
        ),
        ({"memory.current": str(2**29)}, 0),
    ],
)
def test_available_memory_is_what_the_limit_leaves(
    used: dict, expected: int, tmp_path: Path
) -> None:
    """Pages of files that the kernel drops on demand count as free."""
    write_groups(tmp_path, "0::/", UNIFIED, {"": HALF | used})
    assert machine.available_memory(tmp_path) == expected


def test_without_limits_the_machine_s_memory_is_available(tmp_path: Path) -> None:
    write_groups(tmp_path, "0::/", UNIFIED, {"": OPEN})
    available = machine.psutil.virtual_memory().available
    assert machine.available_memory(tmp_path) == pytest.approx(available, rel=0.2)


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


def test_the_time_of_processes_that_still_run_is_counted() -> None:
    """A child works until it has used 0.2 s, and then waits for its input."""
    work = (
        "import time\nwhile time.process_time() < 0.2: pass\nprint(flush=True)\ninput()"
    )
    before = machine.living_children_cpu_seconds()
    with subprocess.Popen(
        [sys.executable, "-c", work], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        child.stdout.readline()
        assert machine.living_children_cpu_seconds() - before >= 0.15  # in ticks
        child.communicate(b"\n")
