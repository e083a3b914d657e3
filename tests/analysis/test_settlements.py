"""Settlements: what two sittings show together, and what a damaged file does."""

from dataclasses import replace

import factory
import numpy as np
import pytest

from bench import store
from bench.analysis import settlements
from bench.analysis.intervals import Interval
from bench.analysis.settlements import FILE, Settlement, Trios
from bench.errors import UsageError
from bench.plan import claims
from bench.plan.claims import Side

ONE = Settlement(
    claim="batch_before_map_pays",
    workload="prices",
    started="2026-11-30T20:00:00+00:00",
    seconds=30.0,
    settled=True,
    factor=2.0,
    low=1.9,
    high=2.1,
    looks=1,
    trios=[Trios(trial="a", than="b", ratios=[(0.7, 0.01)] * 3)],
    machine=factory.MACHINE,
)
A, B, C = (claims.trial(f"prose[prefetch={n}]") for n in (1, 2, 3))


def at(time: str, **changes: object) -> Settlement:
    """Return the settlement of another time."""
    return replace(ONE, started=f"2026-11-30T{time}:00+00:00", **changes)


def test_what_is_stored_is_read_again(tmp_path) -> None:
    assert settlements.load(tmp_path) == []
    for one in (ONE, at("22:00", settled=False, factor=None, low=None, high=None)):
        store.append(tmp_path, one, FILE)
    first, second = settlements.load(tmp_path)
    assert first == ONE
    assert first.interval == Interval(2.0, 1.9, 2.1, 3)
    assert np.isnan(second.interval.low)


def test_a_line_that_is_cut_off_is_left_out_and_a_broken_one_is_an_error(
    tmp_path,
) -> None:
    store.append(tmp_path, ONE, FILE)
    with (tmp_path / FILE).open("a") as file:
        file.write('{"claim": "cut')
    assert settlements.load(tmp_path) == [ONE]
    (tmp_path / FILE).write_text("{}\n")
    with pytest.raises(UsageError, match=r"settled.jsonl, line 1: not a settlement"):
        settlements.load(tmp_path)


def test_only_sittings_an_hour_apart_judge_a_case() -> None:
    lines = [
        at("20:00"),
        at("20:50"),
        at("21:00", settled=False),
        at("21:01", factor=1.5),
    ]
    assert settlements.judgements(lines) == [lines[0], lines[3]]
    assert settlements.judgements(lines[2:3]) == []


def test_each_machine_has_its_own_judgements(tmp_path) -> None:
    other = {**factory.MACHINE, "tensorflow": "2.22.0"}
    store.append(tmp_path, ONE, FILE)
    store.append(tmp_path, replace(ONE, machine=other, factor=3.0), FILE)
    shown = settlements.by_turns([tmp_path], factory.runs({A: 0.1}, rounds=1))
    assert [one.latest.estimate for one in shown.values()] == [2.0, 3.0]
    assert len({machine for machine, _, _ in shown}) == 2
    lines = settlements.load(tmp_path)
    assert settlements.of_machine(lines, factory.MACHINE) == [ONE]


@pytest.mark.parametrize(
    ("trial", "than", "ratios", "wanted"),
    [
        (Side((A,)), Side((B,)), [2.0], 2.0),
        (Side((A,)), Side((B, C), "fastest"), [2.0, 3.0], 2.0),
        (Side((A,)), Side((B, C), "slowest"), [2.0, 3.0], 3.0),
        (Side((A,)), Side((B, C), "sum"), [2.0, 3.0], 5.0),
        (Side((A, B), "fastest"), Side((C,)), [2.0, 3.0], 3.0),
        (Side((A, B), "slowest"), Side((C,)), [2.0, 3.0], 2.0),
        (Side((A, B), "sum"), Side((C,)), [2.0, 2.0], 1.0),
        (Side((A, B)), Side((B, C)), [2.0, 3.0, 1.0, 4.0], 2.0),
    ],
)
def test_sides_of_several_trials(
    trial: Side, than: Side, ratios: list[float], wanted: float
) -> None:
    """`ratios` are the seconds of each trial of `than` over those of each `trial`."""
    pairs = [Interval(r, 0.9 * r, 1.1 * r, 3 + n) for n, r in enumerate(ratios)]
    whole = settlements.combined(trial, than, pairs)
    assert whole.estimate == pytest.approx(wanted)
    assert (whole.low, whole.high) == pytest.approx((0.9 * wanted, 1.1 * wanted))
    assert whole.count == 3
