"""The share of wall time in windows, of runs whose parts are known."""

import math

import factory
import pytest

from bench.analysis import table
from bench.selftest import overhead

PHASES = {"adapt": 0.5, "trace": 0.5, "first_batch": 0.1, "ramp": 0.4, "steady": 1.0}


def frame(**seconds: float):
    """A row a run, with these phases and a wall time of 3 s, as the record has them."""
    one = factory.run(factory.trial(), phases=PHASES | seconds)
    other = factory.run(factory.trial(workload="prices"), phases=PHASES, round=1)
    runs = table.runs_frame([one, other])
    return runs.assign(run_seconds=3.0)


def test_the_share_counts_windows_and_neither_adapt_nor_trace():
    """1.5 s of 3 s in both."""
    assert overhead.measured_share(frame()) == pytest.approx(0.5)


def test_filling_a_cache_and_calibrating_are_windows():
    """0.6 s more in one of the two."""
    runs = frame(fill=0.4, calibrate=0.2)
    assert overhead.measured_share(runs) == pytest.approx((1.5 + 2.1) / 6)


def test_there_is_no_share_without_runs():
    """Not 0, which would be a finding."""
    assert math.isnan(overhead.measured_share(frame().iloc[:0]))
