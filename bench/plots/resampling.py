"""Bars show the class share (line: target), rare examples seen, speed, records read.

A good method reaches the target with many unique positives, is fast, and reads few
records for each example that it returns. Thin lines are two standard errors. Both lower
scales are logarithmic. The speed is that of the pipeline; the other figures are counted
on labels and positions alone.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator

from bench import text
from bench.analysis import stats
from bench.pipeline import AXES
from bench.report import figure

TARGET = 0.5
MOST_SCENES = 3
HOW = ("none", "filter", "rejection", "rejection_known", "split")
FACTS = {
    "fact_positive_share": "positive share reached",
    "fact_unique_positives": "unique positives seen",
    "examples_per_second": "examples a second",
    "fact_records_read_per_example": "records read for each",
}
LOG = ("examples_per_second", "fact_records_read_per_example")


@figure.styled
def draw(table: pd.DataFrame) -> Figure | None:
    """Draw four figures for each resampling method, a block for each workload.

    Args:
        table: The samples, from `table.from_runs`.
    """
    if "fact_positive_share" not in table:
        return None
    # The share is counted in a trial's first run only; every run has a speed.
    shares = table.groupby(["machine", "key"])["fact_positive_share"]
    counted = table[shares.transform("count") > 0]
    if counted.empty:
        return None
    trials = stats.trials(counted)
    trials = trials[trials["runs"] > 0]
    every = [scene for _, scene in trials.groupby("scene", sort=False)]
    scenes = every[: figure.panel_count(MOST_SCENES, len(every))]
    if not scenes:
        return None
    facts = counted.groupby(["machine", "key"])[[n for n in FACTS if n in counted]]
    medians = facts.median().drop(columns="examples_per_second")
    heights = [0.75 + 0.3 * len(s) for s in scenes for _ in range(2)]
    fig, axes = figure.panels(heights, columns=2)
    figure.note_cut(fig, len(scenes), len(every))
    for number, scene in enumerate(scenes):
        order = scene["resample"].map(HOW.index)
        rows = scene.assign(order=order).sort_values(["order", "batch_size"])
        rows = rows.drop(columns=[n for n in medians if n in rows])
        rows = rows.join(medians, on=["machine", "key"])
        for place, name in enumerate(FACTS):
            _panel(axes[4 * number + place], rows, name, named=place % 2 == 0)
        figure.title(axes[4 * number], text.scene_title(rows.iloc[0]), 40)
    return fig


def _panel(panel: Axes, rows: pd.DataFrame, name: str, *, named: bool) -> None:
    usual = AXES["batch_size"].default
    labels = [
        row["resample"]
        + (f", batch {row['batch_size']}" if row["batch_size"] != usual else "")
        for _, row in rows.iterrows()
    ]
    places = figure.name_rows(panel, labels if named else [""] * len(rows))
    values = rows.get(name, pd.Series(np.nan, index=rows.index)).to_numpy(float)
    panel.set_xlabel(FACTS[name])
    if name in LOG:
        panel.set_xscale("log")
        known = values[values > 0]
        if len(known):
            panel.set_xlim(known.min() / 3, known.max() * 40)
        left = panel.get_xlim()[0]
        panel.xaxis.set_major_locator(LogLocator(numticks=5))
        panel.xaxis.set_major_formatter(EngFormatter(sep=""))
        panel.xaxis.set_minor_formatter("")
    else:
        left = 0.0
        panel.xaxis.set_major_locator(MaxNLocator(4))
        panel.xaxis.set_major_formatter("{x:g}")
        panel.set_xlim(0, 1.4 * max(np.nanmax(values, initial=0), TARGET))
    panel.tick_params(axis="x", labelsize=7)
    panel.barh(
        places,
        values - left,
        left=left,
        height=0.55,
        color=figure.SKY,
        edgecolor=figure.INK,
        linewidth=0.4,
    )
    ends = values.copy()
    if name == "fact_positive_share":
        panel.axvline(TARGET, color=figure.VERMILION, linewidth=1.4)
        error = 2 * np.nan_to_num(_error(rows))
        panel.hlines(
            places, values - error, values + error, colors=figure.INK, linewidth=1.2
        )
        ends = np.fmax(values + error, TARGET * (values + error > 0.4))
    for place, value, end in zip(places, values, ends, strict=True):
        if np.isfinite(value):
            digits = f"{value:.3f}" if name == "fact_positive_share" else ""
            panel.annotate(
                digits or text.figure(value),
                (end, place),
                (3, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )


def _error(rows: pd.DataFrame) -> np.ndarray:
    """Return the standard error of each trial's positive share, NaN if unknown."""
    if "fact_positive_share_error" not in rows:
        return np.full(len(rows), np.nan)
    return rows["fact_positive_share_error"].to_numpy(float)
