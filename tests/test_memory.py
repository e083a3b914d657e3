"""The peak of memory, before and after it is begun anew."""

import sys

import numpy as np
import pytest

from bench import memory

HELD = 200_000_000  # bytes


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forgets a peak")
def test_what_was_freed_before_is_forgotten():
    """200 MB, held and let go, are in the peak until it is begun anew."""
    memory.forget_peak()
    before = memory.peak_resident_bytes()
    block = np.ones(HELD // 8)
    del block
    assert memory.peak_resident_bytes() - before > 0.9 * HELD
    memory.forget_peak()
    assert memory.peak_resident_bytes() - before < 0.5 * HELD


def test_without_such_a_kernel_it_is_the_peak_of_the_process(tmp_path, monkeypatch):
    """Nothing can be written or read there."""
    monkeypatch.setattr(memory, "PROCESS", tmp_path / "none")
    memory.forget_peak()
    assert memory.peak_resident_bytes() > 2**24
