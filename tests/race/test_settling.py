"""Settling claims with made-up trios: the order, the looks, the budget, the record."""

import itertools
import math
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from trios import trio

from bench.analysis import settlements
from bench.analysis.settlements import Settlement
from bench.plan import claims
from bench.plan.claims import Case, Claim, Side, prediction
from bench.race import settling
from bench.race.settling import Agenda, Cell
from bench.run import turns

SECONDS = 5.0  # of a trio
FAST, SLOW, OTHER = (
    claims.trial(f"prose{spelled}")
    for spelled in ("[order=batch_map]", "", "[prefetch=2]")
)
NOW = datetime(2026, 11, 30, 20, 0, tzinfo=UTC)


class Machine:
    """A machine on which each pair of trials has a true ratio, and a trio takes 5 s."""

    protocol = turns.PROTOCOL

    def __init__(self, *ratios: float, noise: float = 0.005) -> None:
        self.ratios = dict(zip([(FAST, SLOW), (FAST, OTHER)], ratios, strict=False))
        self.now, self.starts, self.numbers = 0.0, 0, itertools.count()
        self.rng, self.noise = np.random.default_rng(1), noise
        self.stop_after = math.inf

    def start(self) -> None:
        self.starts += 1

    def run_trio(self, base: object, head: object, *_: object, **how: object) -> object:
        number = next(self.numbers)
        if number >= self.stop_after:
            raise KeyboardInterrupt
        self.now += SECONDS
        ratio = self.ratios[base.trial, head.trial]
        log, control = self.rng.normal([math.log(ratio), 0], self.noise)
        return trio(log, control, noise=0.02, rounds=60, seed=number)

    def settle(
        self, cells: list[Cell], folder: Path, budget: float = 1e6
    ) -> tuple[int, list[str]]:
        lines: list[str] = []
        settled = settling.settle(
            Agenda(cells),
            folder,
            self,
            budget,
            clock=lambda: self.now,
            run_trio=self.run_trio,
            report_progress=lines.append,
        )
        return settled, lines


def claim(predict: str = "> 1.05", name: str = "one", **changes: object) -> Claim:
    """Return the claim that FAST is faster than SLOW."""
    than = changes.pop("than", Side((SLOW,)))
    cases = (Case(workload="prose", trial=Side((FAST,)), than=than),)
    return Claim(
        id=name,
        sentence="It is faster.",
        source="nobody",
        sweep="quick",
        cases=cases,
        predict=prediction(predict),
        **changes,
    )


def cell(*arguments: str, open: Settlement | None = None, **changes: object) -> Cell:
    one = claim(*arguments, **changes)
    return Cell(one, one.cases[0], open)


@pytest.mark.parametrize(
    ("ratio", "predict", "word"),
    [
        (2.0, "> 1.05", "holds"),
        (0.8, "> 1.05", "does not hold"),
        (1.0, "0.9 to 1.1", "holds"),
        (0.97, "> 1.05", "does not hold"),
    ],
)
def test_a_clear_ratio_is_settled_by_three_trios(
    ratio: float, predict: str, word: str, tmp_path: Path
) -> None:
    settled, lines = Machine(ratio).settle([cell(predict)], tmp_path)
    (one,) = settlements.load(tmp_path)
    assert (settled, one.settled, one.count, one.looks) == (1, True, 3, 1)
    assert one.low < ratio < one.high
    assert (one.claim, one.workload, one.seconds) == ("one", "prose", 3 * SECONDS)
    assert f", {word}; 3 trios, 15 s" in lines[0]


def test_looks_come_at_fixed_numbers_of_trios_and_spend_less_each_time() -> None:
    """All shares of alpha together stay below alpha, whenever the cell is settled."""
    shares = [1 / (k * (k + 1)) for k in range(1, len(settling.LOOKS) + 2)]
    assert sum(shares) < 1
    assert sorted(set(settling.LOOKS)) == list(settling.LOOKS)


def test_a_ratio_at_the_limit_takes_all_trios_and_stays_open(tmp_path: Path) -> None:
    settled, lines = Machine(1.05).settle([cell()], tmp_path)
    (one,) = settlements.load(tmp_path)
    assert (settled, one.settled, one.count) == (0, False, settling.LOOKS[-1])
    assert one.looks == len(settling.LOOKS)
    assert one.low < 1.05 < one.high
    assert "not settled" in lines[0]


def test_false_verdicts_are_rare_though_there_are_many_looks(tmp_path: Path) -> None:
    """At the limit itself, at most one cell in twenty is settled."""
    wrong = 0
    for number in range(40):
        here = Machine(1.05)
        here.rng = np.random.default_rng(number)
        settled, _ = here.settle([cell()], tmp_path, 60.0)
        wrong += settled
    assert wrong <= 4


def test_a_side_of_several_trials_is_compared_pair_by_pair(tmp_path: Path) -> None:
    than = Side((SLOW, OTHER), "sum")
    one = cell("0.87 to 1.15", than=than)
    Machine(0.4, 0.6).settle([one], tmp_path)
    (outcome,) = settlements.load(tmp_path)
    assert outcome.settled and outcome.factor == pytest.approx(1.0, rel=0.02)
    assert [pair.than for pair in outcome.trios] == [SLOW.key, OTHER.key]
    fastest = cell("> 0.95", than=Side((SLOW, OTHER)))
    Machine(1.0, 0.5).settle([fastest], tmp_path)
    assert settlements.load(tmp_path)[1].factor == pytest.approx(0.5, rel=0.02)


def test_a_scale_multiplies_the_ratio(tmp_path: Path) -> None:
    Machine(0.1).settle([cell("> 2", scale=196.0)], tmp_path)
    assert settlements.load(tmp_path)[0].factor == pytest.approx(19.6, rel=0.02)


def test_an_equal_share_for_each_cell_and_the_rest_for_later_ones(
    tmp_path: Path,
) -> None:
    """The first is settled early, so the second gets more than half."""
    cells = [cell("> 1.05", "clear"), cell("> 2", "near")]
    Machine(2.0).settle(cells, tmp_path, 100.0)
    first, second = settlements.load(tmp_path)
    assert (first.claim, first.seconds) == ("clear", 15.0)
    assert (second.claim, second.settled) == ("near", False)
    assert 50 < second.seconds <= 90


def test_the_budget_ends_and_the_cells_that_are_left_are_counted(
    tmp_path: Path,
) -> None:
    here = Machine(2.0)
    _, lines = here.settle([cell() for _ in range(5)], tmp_path, 28.0)
    assert [one.count for one in settlements.load(tmp_path)] == [3, 2, 1]
    assert lines[-1] == "The budget ended before 2 cells; start again to go on."
    assert here.starts == 3


def test_a_cell_that_stayed_open_goes_on_with_all_its_trios(tmp_path: Path) -> None:
    here = Machine(1.2)
    here.settle([cell()], tmp_path, 13.0)
    (first,) = settlements.load(tmp_path)
    assert (first.settled, first.count, first.looks) == (False, 2, 0)
    here.settle([cell(open=first)], tmp_path)
    second = settlements.load(tmp_path)[1]
    assert (second.settled, second.count, second.looks) == (True, 3, 1)
    assert second.trios[0].ratios[: first.count] == first.trios[0].ratios


def test_an_interrupt_stores_what_was_measured(tmp_path: Path) -> None:
    here = Machine(2.0)
    here.stop_after = 2
    with pytest.raises(KeyboardInterrupt):
        here.settle([cell()], tmp_path)
    (one,) = settlements.load(tmp_path)
    assert (one.settled, one.count, one.factor) == (False, 2, None)
    here.stop_after = 2  # before the first trio
    with pytest.raises(KeyboardInterrupt):
        here.settle([cell(open=one)], tmp_path)
    assert settlements.load(tmp_path) == [one]


def test_a_pair_that_fails_is_stored_with_its_reason(tmp_path: Path) -> None:
    here = Machine(2.0)
    here.run_trio = lambda *sides, **how: SimpleNamespace(
        failures={"base": settling_failure()}, turns=[], measured=[], preparation={}
    )
    _, lines = here.settle([cell()], tmp_path)
    (one,) = settlements.load(tmp_path)
    assert "no layers today" in one.reason
    assert not one.settled and one.factor is None
    assert "no layers today" in lines[0]


def settling_failure() -> object:
    from bench.trial import Failure

    return Failure(type="ValueError", message="no layers today", phase="adapt")


def rows(*values: tuple[str, float, str]) -> pd.DataFrame:
    """Return the verdicts by rounds of claims: name, factor, verdict."""
    return pd.DataFrame(
        [
            {
                "claim": name,
                "workload": "prose",
                "data": "",
                "factor": factor,
                "verdict": verdict,
            }
            for name, factor, verdict in values
        ]
    )


def line(name: str, hour: int, settled: bool = True) -> Settlement:
    return Settlement(
        claim=name,
        workload="prose",
        started=datetime(2026, 11, 30, hour, tzinfo=UTC).isoformat(),
        seconds=20.0,
        settled=settled,
        factor=2.0,
        low=1.9,
        high=2.1,
        looks=1,
    )


def test_open_cells_come_first_and_of_these_the_ones_far_from_the_limit() -> None:
    names = ("near", "far", "below", "unknown", "held", "confirm")
    chosen = [claim(name=name) for name in names]
    judged = rows(
        ("near", 1.06, "not settled"),
        ("far", 3.0, "not settled"),
        ("below", 0.5, "not settled"),
        ("unknown", math.nan, "not measured"),
        ("held", 9.0, "holds"),
        ("confirm", 9.0, "holds"),
    )
    earlier = [line("confirm", 12), line("near", 12, settled=False)]
    plan = settling.agenda(chosen, judged, earlier, NOW)
    order = [one.claim.id for one in plan.cells]
    assert order == ["far", "below", "near", "unknown", "held", "confirm"]
    assert {one.claim.id: one.open for one in plan.cells}["near"] == earlier[1]
    assert plan.cells[-1].open is None
    assert plan.left_out == {}


def test_a_settled_cell_waits_an_hour_and_is_done_after_two_sittings() -> None:
    chosen = [claim(name=name) for name in ("now", "twice", "counted")]
    chosen[2] = claim(name="counted", measure="fact_cache_bytes", counted=True)
    earlier = [line("now", 20), line("twice", 10), line("twice", 12)]
    plan = settling.agenda(chosen, rows(), earlier, NOW)
    assert plan.cells == []
    assert plan.left_out == {
        "now, prose": "settled; to be confirmed after 21:00 UTC",
        "twice, prose": "settled 2 times",
        "counted, prose": "it compares no times of two trials",
    }
