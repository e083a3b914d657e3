"""The tables of consumers and phases: each row states every property."""

from dataclasses import MISSING, fields
from typing import get_args, get_type_hints

import pytest

from bench.trial import (
    CONSUMER_ROWS,
    CONSUMERS,
    DEFAULT_CONSUMER,
    PHASES,
    ConsumerRow,
    Phase,
    Trial,
    phases_of,
)


@pytest.mark.parametrize("row", [ConsumerRow, Phase])
def test_no_property_of_a_row_has_a_default(row: type) -> None:
    """A row without one of its properties then raises an error."""
    for each in fields(row):
        assert each.default is each.default_factory is MISSING, each.name


def test_a_trial_accepts_the_consumers_of_the_table() -> None:
    hints = get_type_hints(Trial)
    assert get_args(hints["consumer"]) == tuple(CONSUMER_ROWS)
    assert Trial(workload="prose").consumer == DEFAULT_CONSUMER == next(iter(CONSUMERS))


@pytest.mark.parametrize("name", CONSUMER_ROWS)
def test_the_properties_of_a_consumer_agree(name: str) -> None:
    row = CONSUMER_ROWS[name]
    assert CONSUMERS[name] == row.help
    assert row.meaning.endswith(".")
    assert 0.01 <= row.margin <= 0.1
    assert row.has_model or not row.trains
    assert row.pulls in get_args(get_type_hints(ConsumerRow)["pulls"])
    assert not (row.takes_turns and row.pulls == "requests")


@pytest.mark.parametrize("name", PHASES)
def test_the_properties_of_a_phase_agree(name: str) -> None:
    phase = PHASES[name]
    assert phase.activity
    assert phase.kind in get_args(get_type_hints(Phase)["kind"])
    assert not phase.guarded or phase.kind in ("once", "window")


def test_phases_of_some_kinds_come_in_the_order_of_a_run() -> None:
    assert phases_of("overhead") == (
        *("fork", "tensorflow", "inputs", "check", "graph", "rest"),
    )
    assert phases_of("window", "once") == (
        *("adapt", "offline", "build", "trace", "first_batch", "fill"),
        *("calibrate", "ramp", "steady"),
    )
