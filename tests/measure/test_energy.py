"""Joules an example, from counters that a test has written."""

import ctypes
from pathlib import Path

import pytest

from bench.measure import energy


def zone(root: Path, name: str, microjoules: int) -> None:
    """A zone as the kernel shows it."""
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "energy_uj").write_text(f"{microjoules}\n")
    (folder / "max_energy_range_uj").write_text("262143328850\n")


def test_top_zones_are_read_and_not_those_within_them(tmp_path, monkeypatch):
    """Two sockets, with the cores of the first, and no NVIDIA driver."""
    zone(tmp_path, "intel-rapl:0", 3_000_000)
    zone(tmp_path, "intel-rapl:0:0", 1_000_000)
    zone(tmp_path, "intel-rapl:1", 500_000)
    monkeypatch.setattr(energy, "RAPL", tmp_path)
    monkeypatch.setattr(energy, "_gpus", dict)
    assert energy.counters() == {
        "package:intel-rapl:0": (3.0, pytest.approx(262143.32885)),
        "package:intel-rapl:1": (0.5, pytest.approx(262143.32885)),
    }


def test_a_counter_that_cannot_be_read_is_left_out(tmp_path, monkeypatch):
    """As for any user but root: its limit alone can be read."""
    zone(tmp_path, "intel-rapl:0", 1)
    (tmp_path / "intel-rapl:0" / "energy_uj").unlink()
    monkeypatch.setattr(energy, "RAPL", tmp_path)
    monkeypatch.setattr(energy, "_gpus", dict)
    assert energy.counters() == {}


def test_no_driver_no_gpu():
    """A library that is not there."""
    assert energy._gpus("libno-such-thing.so.1") == {}


class Driver:
    """NVML with one GPU that counts and an older one that does not."""

    def __getattr__(self, name):
        """What starts and ends the library, which succeeds."""
        return lambda: 0

    def nvmlDeviceGetCount_v2(self, count):
        """Two."""
        count._obj.value = 2
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, number, handle):
        """A handle that is not null."""
        handle._obj.value = number + 1
        return 0

    def nvmlDeviceGetTotalEnergyConsumption(self, handle, millijoules):
        """Not supported is NVML's 3."""
        millijoules._obj.value = 12_500
        return 0 if handle.value == 1 else 3


def test_a_gpu_that_counts_is_read_in_joules(monkeypatch):
    """The other one is left out."""
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver())
    assert energy._gpus() == {"gpu:0": (12.5, 0.0)}


def test_packages_add_up_also_over_a_new_beginning():
    """The second counter went from 90 of 100 to 5."""
    before = {"package:0": (10.0, 100.0), "package:1": (90.0, 100.0), "gpu:0": (1.0, 0)}
    after = {"package:0": (14.0, 100.0), "package:1": (5.0, 100.0), "gpu:0": (3.0, 0)}
    assert energy.spent(before, after) == {"package": 19.0, "gpu": 2.0}


def test_joules_an_example_of_a_pass_of_its_own():
    """A window of 10 examples takes 0.5 s and 4 J; the first one is not counted."""
    state = {"now": 0.0, "joules": 7.0}

    def window() -> None:
        state["now"] += 0.5
        state["joules"] += 4.0

    found = energy.facts(
        window,
        10,
        lambda: {"package:0": (state["joules"], 1e6)},
        lambda: state["now"],
    )
    assert found == {"package_joules_per_example": pytest.approx(0.4)}
    assert state["now"] == 1.5
