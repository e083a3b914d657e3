"""This module makes a page on layers: the place of each, its gain by batches, traits.

The page shows trials that differ only in `CELL_AXES`. Most of them have one run, so the
figures are rounded to the precision that `analysis.single_runs` finds.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from bench import catalog, text
from bench.analysis import single_runs, stats
from bench.analysis.single_runs import Precision
from bench.errors import UsageError
from bench.flags import FLAGS, NOT_RANKED
from bench.pipeline import Pipeline, differences
from bench.report import layers, page
from bench.report.summary import Report
from bench.trial import DEFAULT_CONSUMER, Trial

CELL_AXES = {"placement", "order", "jit", "batch_size", "image_size"}
ONE_BY_ONE, BATCHED, COMPILED = "map_batch", "batch_map", "model_xla"
PLACES = (ONE_BY_ONE, BATCHED, "model", COMPILED, "offline")
UNKNOWN = "-"
FACTS = ("supports_jit", "jit_refusal", "draws", "statistics", "alone", "reproducible")
FACTS += ("input_bytes_per_example", "output_bytes_per_example")

Row = Mapping[str, object]


class Cell(NamedTuple):
    """A cell is one trial's position in the tables.

    Attributes:
        layer: The name of the layer, perhaps with a variant.
        image_size: The edge of its images in pixels; 0 for its own examples.
        place: A name in `layers.COLUMNS`.
        batch_size: Examples a batch.
    """

    layer: str
    image_size: int
    place: str
    batch_size: int = Pipeline.batch_size


def markdown(report: Report) -> str:
    """Return the page of a sweep of layers.

    Raises:
        UsageError: The report has no trial of a layer, or several machines.
    """
    if report.content["several_machines"]:
        raise UsageError(
            "The page on layers shows one machine, and these folders have "
            f"{len(report.content['machines'])}: name the folders of one machine."
        )
    cells = {cell: trial.key for trial in _trials(report) if (cell := _cell(trial))}
    if not cells:
        raise UsageError(
            "The page on layers needs trials of the layers on the shelf. Measure "
            "first: run_bench.py run layers."
        )
    tables = _Tables(report.samples, cells)
    measured = tables.measured
    return page.template("layers.md.j2").render(
        **_about(report, tables.runs),
        precision=tables.precision,
        percent=lambda share: f"{100 * share:.0f}",
        batch_sizes=tables.batch_sizes,
        sizes=tables.sizes,
        headings=[layers.COLUMNS[place] for place in PLACES],
        layers=[tables.row(layer) for layer in dict.fromkeys(c.layer for c in cells)],
        failures=[e for e in report.content["errors"] if e["key"] in measured],
        other_work=tables.other_work(),
        notes=report.content["notes"],
    )


def _trials(report: Report) -> list[Trial]:
    """Return every trial once, in the order of their names."""
    return sorted({run.key: run.trial for run in report.runs}.values(), key=str)


def _cell(trial: Trial) -> Cell | None:
    """Return the position of a trial; None for trials that the page does not show."""
    name, p = trial.workload, trial.pipeline
    usual = (trial.consumer, trial.unit, trial.data) == (DEFAULT_CONSUMER, "window", "")
    known = name.partition(":")[0] in catalog.entries("layers")
    if not (usual and known and differences(p).keys() <= CELL_AXES):
        return None
    row = {"placement": p.placement, "order": p.order, "jit": p.jit}
    return Cell(name, p.image_size, layers.placement(row), p.batch_size)


def _about(report: Report, runs: pd.DataFrame) -> dict[str, object]:
    """Return what the head of the page says about the sweep."""
    starts = [datetime.datetime.fromisoformat(run.started) for run in report.runs]
    ends = [
        start + datetime.timedelta(seconds=run.seconds)
        for start, run in zip(starts, report.runs, strict=True)
    ]
    return {
        "machine": runs["machine"].iloc[0],
        "date": f"{min(starts):%Y-%m-%d}",
        "duration": text.duration_text((max(ends) - min(starts)).total_seconds()),
        "trials": runs["key"].nunique(),
        "rounds": list(runs.groupby("round")["key"].nunique()),
    }


class _Tables:
    """The tables, row by row, from the runs of a sweep."""

    def __init__(self, samples: pd.DataFrame, cells: Mapping[Cell, str]) -> None:
        self.runs = stats.runs(samples)
        self.precision: Precision | None = single_runs.precision(self.runs)
        self.measured = set(cells.values())
        self._cells = cells
        trials = stats.trials(samples)
        self._trials = {row["key"]: row for row in trials.to_dict("records")}
        facts = [f"fact_{name}" for name in FACTS if f"fact_{name}" in self.runs]
        self._facts = self.runs.groupby("key")[facts].last().to_dict("index")
        own = [cell for cell in cells if cell.place == BATCHED]
        self.batch_sizes = sorted({cell.batch_size for cell in own})
        # The smallest images stand for a layer; larger ones have a column each.
        self.sizes = sorted({cell.image_size for cell in own if cell.image_size})[1:]

    def row(self, layer: str) -> dict[str, object]:
        """Return a layer's cells in all three tables, as text."""
        own = [cell for cell in self._cells if cell.layer == layer]
        # Batches are measured at every size of the tables; single examples at others,
        # which a claim compares.
        tabled = [cell for cell in own if cell.place == BATCHED] or own
        size = min(cell.image_size for cell in tabled)
        facts = self._facts_of(layer)
        return {
            "name": layer,
            "rates": [self._rate(Cell(layer, size, p), facts) for p in PLACES],
            "best": self._best(layer, size),
            "gains": [
                *(self._gain(layer, size, batch) for batch in self.batch_sizes),
                *(self._gain(layer, other) for other in self.sizes),
            ],
            **_traits(facts),
        }

    def other_work(self) -> list[dict[str, str]]:
        """Return for each layer with trials that are not ranked what they did."""
        reasons: dict[tuple[str, str], None] = {}
        for cell, key in self._cells.items():
            for flag in self._flags(key):
                reasons[cell.layer, FLAGS[flag].meaning] = None
        return [{"name": name, "meaning": meaning} for name, meaning in reasons]

    def _flags(self, key: str) -> list[str]:
        flags = self._trials[key]["flags"].split(";")
        return [flag for flag in flags if flag in NOT_RANKED]

    def _facts_of(self, layer: str) -> Row:
        """Return a layer's facts; those of batches come before those of examples."""
        known: dict[str, object] = {}
        cells = [cell for cell in self._cells if cell.layer == layer]
        for cell in sorted(cells, key=lambda cell: cell.place == ONE_BY_ONE):
            for name, value in self._facts[self._cells[cell]].items():
                if pd.notna(value):
                    known.setdefault(name.removeprefix("fact_"), value)
        return known

    def _speed(self, cell: Cell) -> float | None:
        """Return examples a second; None without a run that went well."""
        row = self._trials.get(self._cells.get(cell, ""))
        return row["examples_per_second"] if row and row["runs"] else None

    def _rate(self, cell: Cell, facts: Row) -> str:
        speed = self._speed(cell)
        if speed is not None:
            shown = self._rounded(speed, self.precision and self.precision.rate)
            return shown + r" \*" * bool(self._flags(self._cells[cell]))
        if cell in self._cells:
            return "failed"
        compiles = cell.place != COMPILED or facts.get("supports_jit") != "no"
        return UNKNOWN if compiles else "no XLA"

    def _best(self, layer: str, size: int) -> str:
        """Return the fastest place, with all places that may be as fast."""
        cells = [Cell(layer, size, place) for place in PLACES]
        speeds = {
            layers.COLUMNS[cell.place]: speed
            for cell in cells
            if (speed := self._speed(cell)) and not self._flags(self._cells[cell])
        }
        if not speeds:
            return UNKNOWN
        near = 1 + (self.precision.factor if self.precision else 0.0)
        ordered = sorted(speeds, key=speeds.get, reverse=True)
        least = speeds[ordered[0]] / near
        return " or ".join(place for place in ordered if speeds[place] >= least)

    def _gain(self, layer: str, size: int, batch: int = Pipeline.batch_size) -> str:
        """Return how many times as fast batches are as examples one by one."""
        pair = Cell(layer, size, BATCHED, batch), Cell(layer, size, ONE_BY_ONE)
        keys = [self._cells.get(cell, "") for cell in pair]
        if not all(keys) or any(map(self._flags, keys)):
            return UNKNOWN
        value = single_runs.factor(self.runs, *keys)
        return self._rounded(value, self.precision and self.precision.factor)

    @staticmethod
    def _rounded(value: float, share: float | None) -> str:
        """Return a figure with as many digits as its precision allows."""
        if pd.isna(value):
            return UNKNOWN
        near = 1 + (share or 0.0)
        return text.figure(value, value / near, value * near)


def _traits(facts: Row) -> dict[str, str]:
    """Return a layer's traits as text."""
    before, after = (facts.get(f"{n}_bytes_per_example") for n in ("input", "output"))
    compiles = str(facts.get("supports_jit", UNKNOWN))
    if reason := facts.get("jit_refusal"):
        compiles = f"no: {reason}"
    return {
        "draws": str(facts.get("draws", "none")),
        "statistics": "yes" if facts.get("statistics") == "batch" else "no",
        "compiles": compiles,
        "bytes": text.figure(after / before) if before else UNKNOWN,
        "alone": "yes" if facts.get("alone") == "unchanged" else "no",
        "reproducible": str(facts.get("reproducible", UNKNOWN)),
    }
