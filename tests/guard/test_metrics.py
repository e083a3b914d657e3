"""One table has every property of what a guard looks at."""

import factory
import pytest
from trios import trio

from bench.errors import UsageError
from bench.guard import baseline, estimate, metrics
from bench.guard.metrics import METRICS, PHASES
from bench.trial import Measured


@pytest.mark.parametrize("name", METRICS)
def test_each_metric_has_words_a_threshold_and_one_source(name: str) -> None:
    metric = METRICS[name]
    assert metric.unit
    assert metric.short
    assert 0.01 <= metric.threshold <= 1
    assert sum(map(bool, (metric.turn, metric.measured, metric.phases))) == 1
    assert metric.per_example == name.endswith("_per_example")


def test_short_names_tell_metrics_apart() -> None:
    assert len({metric.short for metric in METRICS.values()}) == len(METRICS)


def test_a_metric_that_is_not_in_the_table_is_refused() -> None:
    """It is never judged by seconds in its place."""
    with pytest.raises(UsageError, match="No metric named 'joules'"):
        estimate.head(trio(), "joules")
    with pytest.raises(UsageError, match="No metric named 'joules'"):
        metrics.expanded(["phases", "joules"])


def test_phases_are_a_group_and_those_that_a_pipeline_has() -> None:
    assert metrics.expanded(["phases", "fill_seconds"]) == PHASES
    limits = dict.fromkeys(METRICS, 0.1)

    def phases(**settings) -> list[str]:
        kept = metrics.existing(limits, factory.trial(**settings))
        return [name for name in kept if name in PHASES]

    assert phases() == ["adapt_seconds", "first_batch_seconds"]
    assert "fill_seconds" in phases(cache="mapped")
    assert "fill_seconds" in phases(resample="split")
    assert "offline_seconds" in phases(placement="offline")
    epochs = phases(unit="epoch", cache="mapped")
    assert epochs == ["adapt_seconds", "first_epoch_seconds"]
    assert phases(consumer="serve") == ["adapt_seconds"]


def test_a_figure_adds_the_phases_that_took_place() -> None:
    measured = Measured(
        phases={"build": 1.0, "first_batch": 2.0},
        phase_work={"build": 0.5, "first_batch": 1.0},
    )
    metric = METRICS["first_batch_seconds"]
    assert (metric.figure(measured), metric.elapsed(measured)) == (1.5, 3.0)
    assert METRICS["fill_seconds"].figure(measured) is None


def test_stored_runs_have_figures_of_phases() -> None:
    found = baseline.figures(factory.run(factory.trial()), 0.01)
    assert found["adapt_seconds"] == factory.PHASES["adapt"]
    assert found["first_batch_seconds"] == 0.55
    assert "offline_seconds" not in found
    assert "first_epoch_seconds" not in found


def test_the_first_of_whole_epochs_has_a_figure_of_its_own() -> None:
    """The median of epochs does not see it; samples are seconds a batch."""
    trial = factory.trial(unit="epoch", cache="mapped")
    found = baseline.figures(factory.run(trial, [0.5, 0.1, 0.1, 0.1]), 0.1)
    assert found["first_epoch_seconds"] == 0.5 * 20
    assert found["seconds_per_example"] * trial.pipeline.batch_size == 0.1
