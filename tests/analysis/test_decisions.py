"""Verdicts are tested against their definitions, and their table for completeness."""

from dataclasses import replace

import factory
import numpy as np
import pytest

from bench import flags
from bench.analysis import decisions, verdicts
from bench.analysis.decisions import Comparison, Obstacle
from bench.analysis.intervals import Interval
from bench.data.identity import CHANGED
from bench.errors import Exit
from bench.trial import CONSUMERS, Failure

TRIAL = factory.trial()
SIDE = decisions.side([factory.run(TRIAL)])


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (1.04, 1.10, "slower"),
        (1.02, 1.10, "unknown"),
        (0.90, 0.96, "faster"),
        (0.90, 0.98, "unknown"),
        (0.98, 1.02, "unchanged"),
        (0.90, 1.10, "unknown"),
    ],
)
def test_verdicts_by_interval_against_a_margin(low, high, verdict):
    assert decisions.verdict(Interval(1.0, low, high, 5), 0.03) == verdict


def test_holm_is_the_textbook_example_and_leaves_nan_out():
    given = np.array([0.01, np.nan, 0.04, 0.03])
    assert decisions.holm(given) == pytest.approx(
        [0.03, np.nan, 0.06, 0.06], nan_ok=True
    )


def test_one_run_is_unknown():
    """It has no interval."""
    assert decisions.verdict(Interval(1.0, np.nan, np.nan, 1), 0.03) == "unknown"


def test_the_table_has_all_properties_of_each_outcome():
    """A row that lacks a property is refused where it is written."""
    assert set(verdicts.VERDICTS) == {"slower", "faster", "unchanged", "unknown"}
    assert {*verdicts.VERDICTS, *verdicts.STATES} == set(verdicts.OUTCOMES)
    for name, row in verdicts.OUTCOMES.items():
        passes = row.exit == Exit.OK
        assert row.text == name.replace("_", " ")
        assert bool(row.annotation) == bool(row.junit) == (not passes)
        assert row.annotation in ("", "warning", "error")
        assert row.junit in ("", "failure", "error")
        assert bool(row.style) == (name != "unchanged")
    with pytest.raises(TypeError):
        verdicts.Verdict(text="slower")


def test_every_consumer_has_a_margin():
    """A consumer without one would get a margin of NaN, which no verdict passes."""
    assert set(decisions.MARGINS) == set(CONSUMERS)


@pytest.mark.parametrize(
    ("base", "head", "expected"),
    [
        ([1.0, 1.01, 0.99], [1.5, 1.51, 1.49], ("slower", "")),
        ([1.5, 1.51, 1.49], [1.0, 1.01, 0.99], ("faster", "")),
        ([1.0, 1.001, 0.999], [1.0, 1.001, 0.999], ("unchanged", "")),
        ([1.0, 1.2, 0.9], [1.0, 1.3, 0.8], ("unknown", "")),
        ([1.0, 1.0], [1.5, 1.5], ("unknown", "2 runs of a side: a verdict needs 3")),
        ([], [1.5, 1.5, 1.5], ("unknown", "0 runs of a side: a verdict needs 3")),
    ],
)
def test_one_comparison_is_decided_by_itself(base, head, expected):
    (one,) = decisions.judge([Comparison(base=base, head=head, margin=0.03)])
    assert (one.verdict, one.reason) == expected


def test_an_obstacle_goes_before_the_figures():
    slower = Comparison(
        base=[1.0, 1.01, 0.99],
        head=[1.5, 1.51, 1.49],
        margin=0.03,
        obstacle=Obstacle("unknown", "a reason"),
    )
    (one,) = decisions.judge([slower])
    assert (one.verdict, one.reason) == ("unknown", "a reason")
    assert one.ratio.estimate == pytest.approx(1.5, rel=0.01)
    assert decisions.judge([]) == []


def test_what_gets_no_verdict_does_not_count_among_the_comparisons():
    """Otherwise a barred trial would cost the others their verdicts."""
    one = Comparison(base=[1, 1.01, 0.99], head=[1.06, 1.07, 1.05], margin=0.03)
    barred = replace(one, obstacle=Obstacle("unknown", "a flag"))
    assert decisions.judge([one])[0].verdict == "slower"
    assert decisions.judge([one, *[barred] * 50])[0].verdict == "slower"
    noisy = replace(one, base=[1.0, 1.2, 0.9], head=[1.0, 1.3, 0.8])
    together = decisions.judge([one, *[noisy] * 50])[0]
    assert together.verdict == "unknown"
    assert together.reason == (
        "beyond 3 % by itself, but not certain once all 51 comparisons are counted "
        "(Holm)"
    )


def test_where_only_a_slow_down_matters_what_is_not_slower_is_unchanged():
    noisy = Comparison(base=[1.0, 1.2, 0.9], head=[0.7, 0.9, 0.8], margin=0.2)
    assert decisions.judge([noisy])[0].verdict == "unknown"
    one_way = replace(noisy, only_slower=True)
    assert decisions.judge([one_way])[0].verdict == "unchanged"


def test_verdicts_hold_jointly_within_each_group():
    """Here one p value of 1 % counts with four others, or with one."""
    estimate, freedom = np.full(5, 0.1), np.full(5, 1e9)
    error = (estimate - np.log1p(0.03)) / [2.33, 1.0, 1.0, 1.0, 1.0]
    enough = np.ones(5, bool)
    together = decisions.joint(estimate, error, freedom, 0.03, enough)
    assert list(together) == ["unknown"] * 5
    groups = np.array([0, 0, 1, 1, 1])
    apart = decisions.joint(estimate, error, freedom, 0.03, enough, groups)
    assert list(apart) == ["slower"] + ["unknown"] * 4


FAILED = replace(SIDE, failure="ValueError: no")


@pytest.mark.parametrize(
    ("base", "head", "expected"),
    [
        (SIDE, SIDE, None),
        (FAILED, FAILED, ("failed", "ValueError: no")),
        (None, FAILED, ("failed", "ValueError: no")),
        (FAILED, SIDE, ("not_comparable", "base failed: ValueError: no")),
        (FAILED, None, ("not_comparable", "base failed: ValueError: no")),
        (None, SIDE, ("not_comparable", "it is not in base")),
        (None, None, ("not_comparable", "it is not in base")),
        (SIDE, None, ("missing", "it is in base and not in head")),
        (
            replace(SIDE, machine=("other",)),
            replace(SIDE, flags=("retraced",)),
            ("not_comparable", "base has another machine, container limit or version"),
        ),
        (
            SIDE,
            replace(SIDE, flags=(CHANGED,), change="Round 1 did."),
            ("not_comparable", "its data changed between rounds. Round 1 did."),
        ),
        (
            replace(SIDE, flags=("retraced", "partly_timed")),
            replace(SIDE, flags=("retraced",)),
            ("unknown", "retraced in base, partly_timed in base, retraced in head"),
        ),
    ],
)
def test_obstacles_by_what_the_sides_know(base, head, expected):
    assert decisions.obstacle(base, head) == expected


def test_a_side_is_of_all_runs():
    """One failed run and one flag are enough; other flags weaken and do not bar."""
    failure = Failure(type="ValueError", message="no", phase="check")
    runs = [
        factory.run(TRIAL, error=failure),
        factory.run(TRIAL, flags=["ramp_cut", "retraced"], input_fingerprint="a"),
    ]
    side = decisions.side(runs)
    assert (side.trial, side.flags) == (TRIAL, ("retraced",))
    assert side.failure == "ValueError in check: no"
    assert side.inputs.fingerprint == "a"
    assert set(side.flags) <= set(flags.NOT_RANKED)
