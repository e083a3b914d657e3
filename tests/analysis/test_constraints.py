"""What binds a pipeline, from lifts that are given."""

import pytest

from bench.analysis.constraints import Constraint, binding
from bench.run.user_pipeline import Lift, PipelineReading, Stage


def reading(*lifts: Lift, stage: Stage | None = None, busy: float = 0.4) -> object:
    """A source, a stage with nine tenths of the wait, and a batch."""
    stage = stage or Stage(method="map", processors=busy)
    stage.wait = 0.9
    source = Stage(method="range", wait=0.1)
    last = Stage(method="batch", wait=0.0, processors=busy)
    return PipelineReading(stages=[source, stage, last], lifts=list(lifts))


def lift(factor: float | None, constraint: str = "stage", **others: object) -> Lift:
    place = {"stage": 1} if constraint == "stage" else {}
    return Lift(constraint=constraint, factor=factor, **place | others)


def test_the_stage_whose_removal_gains_the_most_binds() -> None:
    other = lift(1.2, stage=0)
    assert binding(reading(other, lift(3.0)), 2) == Constraint("stage", 1, 3.0)


def test_the_longest_wait_counts_where_all_processors_are_busy() -> None:
    other = lift(5.0, stage=0)
    expected = Constraint("CPU cores", 1, 3.0)
    assert binding(reading(other, lift(3.0), busy=1.9), 2) == expected


def test_the_order_does_not_bind_where_all_processors_are_busy() -> None:
    order = lift(1.6, "order")
    assert binding(reading(order, lift(9.0), busy=1.8), 2).resource == "CPU cores"


def test_the_order_binds_where_lifting_it_gains_half() -> None:
    order = lift(1.6, "order")
    assert binding(reading(order, lift(9.0)), 2) == Constraint("ordering", -1, 1.6)
    order.factor = 1.4
    assert binding(reading(order, lift(9.0)), 2).resource == "stage"


@pytest.mark.parametrize(
    ("stage", "resource"),
    [
        (Stage(method="map", traits=["python"], processors=2.0), "Python"),
        (Stage(method="interleave", traits=["reads"], processors=0.1), "storage"),
        (Stage(method="TFRecordDataset", processors=0.1), "storage"),
        (Stage(method="map", traits=["reads"], processors=1.9), "CPU cores"),
        (Stage(method="map", processors=1.9), "CPU cores"),
    ],
)
def test_the_kind_of_the_stage_names_the_resource(stage: Stage, resource: str) -> None:
    constraint = binding(reading(lift(3.0), stage=stage, busy=1.9), 2)
    assert constraint == Constraint(resource, 1, 3.0)


def test_nothing_binds_by_itself_where_no_removal_gains() -> None:
    assert binding(reading(lift(1.05)), 2) == Constraint("none", 1, 1.05)


def test_without_a_lift_of_it_the_longest_wait_binds() -> None:
    failed, other = lift(None, reason="It fails."), lift(1.5, stage=0)
    expected = Constraint("stage", 1, None, "It fails.")
    assert binding(reading(failed, other), 2) == expected
    assert binding(reading(other), 2) == Constraint(
        "stage", 1, None, "it was not tried"
    )


def test_nothing_is_known_without_waits() -> None:
    assert binding(PipelineReading(stages=[Stage(method="range")]), 2) is None
