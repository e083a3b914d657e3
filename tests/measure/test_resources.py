"""The peak of memory, before and after it is begun anew."""

import sys

import numpy as np
import pytest

from bench.measure import resources

HELD = 200_000_000  # bytes


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forgets a peak")
def test_what_was_freed_before_is_forgotten():
    """200 MB, held and let go, are in the peak until it is begun anew."""
    resources.forget_peak()
    before = resources.peak_resident_bytes()
    block = np.ones(HELD // 8)
    del block
    assert resources.peak_resident_bytes() - before > 0.9 * HELD
    resources.forget_peak()
    assert resources.peak_resident_bytes() - before < 0.5 * HELD


def test_without_such_a_kernel_it_is_the_peak_of_the_process(tmp_path, monkeypatch):
    """Nothing can be written or read there."""
    monkeypatch.setattr(resources, "PROCESS", tmp_path / "none")
    resources.forget_peak()
    assert resources.peak_resident_bytes() > 2**24
