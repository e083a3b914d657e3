"""When a pipeline is at its ceiling, and the sentences about that."""

import pytest

from bench.report import advice_limits
from bench.run.user_pipeline import PipelineReading


def reading(training: float, alone: float = 0.01) -> PipelineReading:
    return PipelineReading(
        seconds_per_batch=0.002,
        cpu_seconds_per_batch=0.004,
        ceiling_seconds=0.001,
        model_seconds_per_batch=alone,
        training_seconds_per_batch=training,
    )


@pytest.mark.parametrize(
    ("training", "percent"), [(0.0099, 1), (0.0101, 1), (0.01021, 3), (0.0103, 3)]
)
def test_within_three_percent_the_model_hides_the_pipeline(
    training: float, percent: int
) -> None:
    sentences = advice_limits.reached(reading(training))
    assert "hidden behind the model" in sentences
    assert f"nothing to gain beyond {percent} %," in sentences


def test_beyond_that_something_may_be_gained() -> None:
    assert advice_limits.reached(reading(0.0104)) == ""
    assert advice_limits.reached(PipelineReading(seconds_per_batch=1.0)) == ""


def test_what_changes_gained_counts() -> None:
    assert advice_limits.reached(reading(0.03), 0.34) == (
        "With the accepted changes the pipeline is hidden behind the model: a training "
        "step takes 10.2 ms, and 10 ms with the model alone. There is nothing to gain "
        "beyond 2 %, so the search ended here (steady state, one process)."
    )


def test_without_a_model_the_ceiling_is_a_batch_in_memory() -> None:
    """The processors are no ceiling: they may be busy with work that can be saved."""
    busy = PipelineReading(
        seconds_per_batch=0.01, cpu_seconds_per_batch=1.0, ceiling_seconds=0.001
    )
    assert advice_limits.reached(busy) == ""
    assert advice_limits.reached(busy, 0.102) == (
        "With the accepted changes the pipeline is at its ceiling: a batch takes 1.02 "
        "ms, and 1 ms from memory. There is nothing to gain beyond 2 %, so the search "
        "ended here (steady state, one process)."
    )


@pytest.mark.parametrize(
    ("processors", "ceiling", "spread"), [(2, "10 ms", "2 ms"), (0.1, "40 ms", "40 ms")]
)
def test_the_ceiling_of_training_is_the_slower_of_model_and_processors(
    monkeypatch: pytest.MonkeyPatch, processors: float, ceiling: str, spread: str
) -> None:
    monkeypatch.setattr(advice_limits, "usable_processors", lambda: processors)
    assert advice_limits.training(reading(0.012)) == (
        "A training step takes 12 ms; the model alone takes 10 ms, and the pipeline "
        f"alone 2 ms. The ceiling of training is {ceiling}: the slower of the model "
        "alone and of the pipeline's work spread evenly over "
        f"{processors} processors, which takes {spread} unless a change saves work."
    )


def test_without_a_model_nothing_is_stated_about_training() -> None:
    assert advice_limits.training(PipelineReading(seconds_per_batch=1.0)) == ""
