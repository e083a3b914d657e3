"""The table of placements is complete, and the rest of the suite follows it."""

from dataclasses import MISSING, fields

import pytest

from bench import catalog
from bench.pipeline import AXES, PLACEMENTS, Pipeline, Placement, allowed, steps
from bench.plan.refusals import refusal

ENTRY = catalog.find("prose")


def test_the_axis_allows_the_placements_of_the_table() -> None:
    assert allowed("placement") == (tuple(PLACEMENTS), False)
    assert AXES["placement"].default in PLACEMENTS
    assert AXES["placement"].metadata["doc"] == (
        "where the layers run: in tf.data's map, in the model, or once before"
    )


def test_a_row_that_lacks_a_property_cannot_be_written() -> None:
    assert all(
        part.default is MISSING and part.default_factory is MISSING
        for part in fields(Placement)
    )


@pytest.mark.parametrize("name", PLACEMENTS)
def test_the_properties_of_a_row_agree(name: str) -> None:
    row = PLACEMENTS[name]
    assert row.where
    assert row.columns
    assert row.maps_layers + row.in_model + row.stores_outputs == 1
    assert row.server in ("client", "model", "")
    assert row.stores_outputs == (not row.server)
    assert Pipeline(placement=name).place is row


def test_no_two_placements_share_a_heading_of_the_report() -> None:
    names = [column for row in PLACEMENTS.values() for column in row.columns]
    headings = [words for row in PLACEMENTS.values() for words in row.columns.values()]
    assert len(set(names)) == len(names)
    assert len(set(headings)) == len(headings)


@pytest.mark.parametrize("name", PLACEMENTS)
def test_steps_and_refusals_follow_the_row(name: str) -> None:
    """A dataset that maps no layers has no such step, and `order` means nothing."""
    row, p = PLACEMENTS[name], Pipeline(placement=name)
    mapped = [step.name for step in steps(p) if "layers" in step.name]
    assert bool(mapped) == row.maps_layers
    for settings in ({"order": "batch_map"}, {"cache": "mapped"}):
        reason = refusal(Pipeline(placement=name, **settings), "drain", "window", ENTRY)
        assert (reason is None) == row.maps_layers
    assert (refusal(p, "serve", "window", ENTRY) is None) == bool(row.server)
    compiled = refusal(Pipeline(placement=name, jit="on"), "drain", "window", ENTRY)
    assert (compiled is None) == row.in_model
