"""The matrix of layers and places: its plan, its cells and its page."""

import factory
import pytest

from bench.pipeline import Pipeline
from bench.plan import hosts as plan_hosts
from bench.selftest import hosts
from bench.selftest.hosts import PLACES, Cell
from bench.trial import Failure, Trial

ALONE, BATCHED, GRAIN, GRAIN_BATCHED, MODEL = PLACES


def trial(layer: str, place: str) -> Trial:
    """Return the trial of a layer in a place."""
    return Trial(workload=layer, pipeline=Pipeline(**PLACES[place]))


@pytest.fixture
def cells(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Cell]]:
    """Return the matrix of two layers, one of which a model cannot have."""
    monkeypatch.setattr(plan_hosts, "has_grain", lambda: True)
    layers = ["rescaling", "cut_mix"]
    differs = Failure(type="AssertionError", message="gives uint8", phase="check")
    broken = Failure(type="ValueError", message="no strings", phase="steady")
    runs = [
        factory.run(trial("rescaling", ALONE), [0.0128, 0.0128]),
        factory.run(trial("rescaling", BATCHED), [0.0064, 0.0064], flags=["ramp_cut"]),
        factory.run(trial("rescaling", GRAIN), error=differs),
        factory.run(trial("rescaling", GRAIN_BATCHED), error=broken),
        factory.run(trial("cut_mix", GRAIN), flags=["draws_repeated"]),
        factory.run(trial("cut_mix", ALONE), flags=["frozen_trace"]),
    ]
    return hosts.matrix(layers, hosts.make_plan(layers, 1), runs)


def test_a_cell_states_how_its_layer_does(cells: dict) -> None:
    """A rate counts only where the trial may be ranked; 32 examples take 12.8 ms."""
    row = cells["rescaling"]
    assert row[ALONE].examples_per_second == pytest.approx(2500)
    assert [str(row[place]) for place in PLACES] == [
        "2.5 k/s, 100 µs", "5 k/s, 100 µs", "wrong", "fails", "not run"
    ]  # fmt: skip
    assert row[GRAIN].reason == "AssertionError in check: gives uint8"
    row = cells["cut_mix"]
    states = [row[place].state for place in PLACES]
    assert states == ["frozen", "not run", "draws twice", "not run", "refused"]
    assert row[MODEL].reason.startswith("placement=model: 'cut_mix' has ON")
    assert str(row[ALONE]) == "frozen"


def test_the_page_has_every_cell_the_counts_and_the_reasons(cells: dict) -> None:
    grain = factory.run(trial("rescaling", GRAIN), facts={"grain_version": "0.2.18"})
    lines = hosts.page(cells, [grain]).splitlines()
    assert (
        "1 round on 4 processors, tensorflow 2.21.0, keras 3.15.1, grain 0.2.18."
        in lines[2]
    )
    assert (
        "| rescaling | 2.5 k/s, 100 µs | 5 k/s, 100 µs | wrong | fails | not run |"
        in (lines)
    )
    assert "| works | 1 | 1 | 0 | 0 | 0 |" in lines
    assert "| not run | 0 | 1 | 0 | 1 | 1 |" in lines
    assert (
        "- AssertionError in check: gives uint8 *rescaling (Grain, map then batch)*"
        in lines
    )


def test_where_all_is_well_the_page_says_so() -> None:
    row = {place: Cell("works", "", 10.0, 1e-3) for place in PLACES}
    last = hosts.page({"rescaling": row}, []).splitlines()[-1]
    assert last == "None: every layer works in every place."
