"""The peak of memory, and joules an example, from counters that a test writes."""

import ctypes
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.measure import resources

HELD = 200_000_000  # bytes


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forgets a peak")
def test_memory_freed_before_is_forgotten():
    """200 MB, allocated and freed, are in the peak until it begins anew."""
    resources.forget_peak()
    before = resources.peak_resident_bytes()
    block = np.ones(HELD // 8)
    del block
    assert resources.peak_resident_bytes() - before > 0.9 * HELD
    resources.forget_peak()
    assert resources.peak_resident_bytes() - before < 0.5 * HELD


def test_without_such_a_kernel_the_peak_is_that_of_the_process(tmp_path, monkeypatch):
    """The kernel's files can be neither written nor read."""
    monkeypatch.setattr(resources, "PROCESS", tmp_path / "none")
    resources.forget_peak()
    assert resources.peak_resident_bytes() > 2**24


def zone(root: Path, name: str, microjoules: int) -> None:
    """Write a zone as the kernel shows it."""
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "energy_uj").write_text(f"{microjoules}\n")
    (folder / "max_energy_range_uj").write_text("262143328850\n")


def test_top_zones_are_read_and_not_those_within_them(tmp_path, monkeypatch):
    """Two sockets have a zone each; the cores of the first have one within it."""
    zone(tmp_path, "intel-rapl:0", 3_000_000)
    zone(tmp_path, "intel-rapl:0:0", 1_000_000)
    zone(tmp_path, "intel-rapl:1", 500_000)
    monkeypatch.setattr(resources, "RAPL", tmp_path)
    monkeypatch.setattr(resources, "_gpus", dict)
    assert resources.energy_counters() == {
        "package:intel-rapl:0": (3.0, pytest.approx(262143.32885)),
        "package:intel-rapl:1": (0.5, pytest.approx(262143.32885)),
    }


def test_a_counter_that_cannot_be_read_is_left_out(tmp_path, monkeypatch):
    """For any user but root, its limit alone can be read."""
    zone(tmp_path, "intel-rapl:0", 1)
    (tmp_path / "intel-rapl:0" / "energy_uj").unlink()
    monkeypatch.setattr(resources, "RAPL", tmp_path)
    monkeypatch.setattr(resources, "_gpus", dict)
    assert resources.energy_counters() == {}


def test_no_driver_no_gpu():
    """The library cannot be loaded."""
    assert resources._gpus("libno-such-thing.so.1") == {}


class Driver:
    """NVML with a GPU that counts, and an older GPU that does not."""

    def __getattr__(self, name):
        """Return a function that succeeds, such as the library's start and end."""
        return lambda: 0

    def nvmlDeviceGetCount_v2(self, count):
        """Report two GPUs."""
        count._obj.value = 2
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, number, handle):
        """Return a handle that is not null."""
        handle._obj.value = number + 1
        return 0

    def nvmlDeviceGetTotalEnergyConsumption(self, handle, millijoules):
        """Fail for the second GPU; 3 is NVML's code for not supported."""
        millijoules._obj.value = 12_500
        return 0 if handle.value == 1 else 3


def test_a_gpu_that_counts_is_read_in_joules(monkeypatch):
    """The GPU that does not count is left out."""
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver())
    assert resources._gpus() == {"gpu:0": (12.5, 0.0)}


def test_packages_add_up_also_where_a_counter_begins_anew():
    """The second counter goes from 90 of 100 to 5."""
    before = {"package:0": (10.0, 100.0), "package:1": (90.0, 100.0), "gpu:0": (1.0, 0)}
    after = {"package:0": (14.0, 100.0), "package:1": (5.0, 100.0), "gpu:0": (3.0, 0)}
    assert resources.joules_between(before, after) == {"package": 19.0, "gpu": 2.0}


def test_joules_an_example_come_from_a_pass_of_its_own():
    """A window of 10 examples takes 0.5 s and 4 J; the first window does not count."""
    state = {"now": 0.0, "joules": 7.0}

    def window() -> None:
        state["now"] += 0.5
        state["joules"] += 4.0

    facts = resources.energy_facts(
        window,
        10,
        lambda: {"package:0": (state["joules"], 1e6)},
        lambda: state["now"],
    )
    assert facts == {"package_joules_per_example": pytest.approx(0.4)}
    assert state["now"] == 1.5
