"""Tests of the guard's table of metrics: every row has all that other code asks."""

import ast
from dataclasses import fields
from pathlib import Path

import factory
import pytest
from trios import trio

from bench.analysis import stats, table
from bench.catalog import ROOT
from bench.errors import UsageError
from bench.guard import baseline, estimate, metrics, sentences, session, settings
from bench.guard.case_session import Case
from bench.guard.metrics import METRICS, PHASES, GuardMetric
from bench.guard.record import Row
from bench.guard.trio import Side
from bench.run.turns import PROTOCOL, Turn
from bench.trial import Measured

MODULES = sorted((ROOT / "bench" / "guard").glob("*.py"))
TRIALS = [
    factory.trial(),
    factory.trial(cache="mapped"),
    factory.trial(resample="split"),
    factory.trial(placement="offline"),
    factory.trial(unit="epoch"),
    factory.trial(consumer="serve"),
]


@pytest.mark.parametrize("name", METRICS)
def test_each_metric_has_every_property(name: str) -> None:
    metric = METRICS[name]
    assert metric.unit
    assert metric.short
    assert 0.01 <= metric.threshold <= 1
    sources = (metric.turn, metric.measured, metric.phases)
    assert sum(map(bool, sources)) == 1
    if metric.turn:
        assert metric.turn in {field.name for field in fields(Turn)}
    if metric.measured:
        assert metric.measured in {field.name for field in fields(Measured)}
    assert metric.per_example == name.endswith("_per_example")
    assert metric.turn or not (metric.percentile or metric.longest)
    assert (metric.stored is None) == bool(metric.phases)
    everywhere = all(metric.exists(trial) for trial in TRIALS)
    assert any(metric.exists(trial) for trial in TRIALS)
    assert bool(metric.needs) == (not everywhere)


@pytest.mark.parametrize("name", METRICS)
def test_each_metric_has_a_figure_of_live_processes_and_of_stored_runs(
    name: str,
) -> None:
    """The phase that only whole epochs have comes from the first sample."""
    metric = METRICS[name]
    phases = dict.fromkeys(metric.phases, 0.1)
    run = factory.run(factory.trial(), phases=phases, phase_work=phases)
    assert metric.stored_figure(run.measured, 0.001) > 0
    if name != "first_epoch_seconds":  # no live guard times whole epochs
        one = trio(
            phases=phases, phase_work=phases, peak_resident_bytes=10**8, noise=0.01
        )
        logs = estimate.turn_logs(one, name)
        assert logs.shape[1] == 3


def test_a_new_metric_touches_only_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings, session and sentences know a metric from its row alone."""
    row = GuardMetric(
        unit="bytes at the start",
        short="start memory",
        threshold=0.10,
        measured="start_resident_bytes",
        stored=lambda measured, _: measured.start_resident_bytes,
    )
    monkeypatch.setitem(METRICS, "start_resident_bytes", row)
    limits = settings.load(None, metrics=["start_resident_bytes"]).thresholds("x")
    assert limits == {"start_resident_bytes": 0.10}
    server = type("Server", (), {"protocol": PROTOCOL})()
    side = Side(server, factory.trial())
    result = session.live(
        [Case(key="x", base=side, head=side, thresholds=limits)],
        base="a",
        head="b",
        run_trio=lambda *_, number, **__: trio(start_resident_bytes=100, seed=number),
    )
    assert [row.verdict for row in result.rows] == ["unchanged"]
    assert sentences.name(result.rows[0]) == "x: start memory"
    assert "time" in result.not_looked_at[0]


def names_in(path: Path) -> list[str]:
    """Return the metric names that a module has as whole strings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    strings = [n for n in ast.walk(tree) if isinstance(n, ast.Constant)]
    return [node.value for node in strings if node.value in METRICS]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_only_the_table_spells_the_names_of_metrics(path: Path) -> None:
    """A history follows the seconds an example, and its column is named so."""
    allowed = {
        "metrics": set(METRICS),
        "history": {"seconds_per_example"},
    }
    assert set(names_in(path)) <= allowed.get(path.stem, set())


def test_stored_figures_are_those_of_a_baseline() -> None:
    runs = [
        factory.run(factory.trial(cache="mapped"), [0.01, 0.02, 0.04]),
        factory.run(factory.trial(unit="epoch"), [0.5, 0.1, 0.1]),
    ]
    seconds = stats.runs(table.from_runs(runs))["seconds_per_batch"]
    for number, run in enumerate(runs):
        size = run.trial.pipeline.batch_size
        figures = {
            name: metric.stored_figure(run.measured, seconds[number] / size)
            for name, metric in METRICS.items()
            if metric.exists(run.trial) or not metric.phases
        }
        figures = {name: figure for name, figure in figures.items() if figure}
        assert figures == pytest.approx(baseline.figures(run, seconds[number]))


def test_short_names_differ() -> None:
    assert len({metric.short for metric in METRICS.values()}) == len(METRICS)


def test_an_unknown_metric_is_refused() -> None:
    """An unknown metric is never judged by seconds in its place."""
    with pytest.raises(UsageError, match="No metric named 'joules'"):
        estimate.head_log_ratio(trio(), "joules")
    with pytest.raises(UsageError, match="No metric named 'joules'"):
        metrics.expanded(["phases", "joules"])


def test_a_row_of_a_later_version_is_shown_by_its_name() -> None:
    assert sentences.name(Row(key="x", metric="joules", verdict="unknown")) == (
        "x: joules"
    )


def test_phases_are_a_group_of_those_that_a_pipeline_has() -> None:
    assert metrics.expanded(["phases", "fill_seconds"]) == PHASES
    limits = dict.fromkeys(METRICS, 0.1)

    def phases(**settings) -> list[str]:
        existing = metrics.applicable(limits, factory.trial(**settings))
        return [name for name in existing if name in PHASES]

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
    figures = baseline.figures(factory.run(factory.trial()), 0.01)
    assert figures["adapt_seconds"] == factory.PHASES["adapt"]
    assert figures["first_batch_seconds"] == 0.55
    assert "offline_seconds" not in figures
    assert "first_epoch_seconds" not in figures


def test_the_first_of_whole_epochs_has_a_figure_of_its_own() -> None:
    """The median of epochs hides the first epoch; samples are seconds a batch."""
    trial = factory.trial(unit="epoch", cache="mapped")
    figures = baseline.figures(factory.run(trial, [0.5, 0.1, 0.1, 0.1]), 0.1)
    assert figures["first_epoch_seconds"] == 0.5 * 20
    assert figures["seconds_per_example"] * trial.pipeline.batch_size == 0.1
