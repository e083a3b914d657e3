"""Rings are estimates, lines their 95 % intervals, dots single runs; right is faster.

The fastest trial is on top; trials that are not ranked are last. The factor at the
right is the speed against the baseline, paired within rounds. Read the factors first,
because the scale belongs to the machine. Names leave out the settings that all trials
share.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from bench import text
from bench.analysis import stats
from bench.report import figure

MOST_ROWS = 16
MOST_SCENES = 5
REACH = 2.0  # intervals beyond this many times the runs leave the panel
LOG_FROM = 20.0  # from this ratio on, a linear scale would hide the slow trials


@figure.styled
def draw(table: pd.DataFrame) -> Figure | None:
    """Draw examples a second by strategy, a panel for each workload and consumer.

    Args:
        table: The samples, from `table.from_runs`.
    """
    trials = stats.trials(table)
    trials = trials[trials["runs"] > 0]
    if trials.empty:
        return None
    runs = stats.runs(table)
    every = [group for _, group in trials.groupby("scene", sort=False)]
    scenes = every[: figure.panel_count(MOST_SCENES, len(every))]
    shown = [
        scene.assign(name=figure.short_names(scene["label"]))
        .sort_values(["ranked", "examples_per_second"], ascending=False)
        .head(MOST_ROWS)
        for scene in scenes
    ]
    fig, axes = figure.panels(
        [
            0.8 + figure.row_inches(list(rows["name"]), 0.33) * len(rows)
            for rows in shown
        ]
    )
    figure.note_cut(fig, len(scenes), len(every))
    for panel, rows, scene in zip(axes, shown, scenes, strict=True):
        _panel(panel, rows, runs)
        cut = (
            f" (fastest {len(rows)} of {len(scene)})" if len(scene) > len(rows) else ""
        )
        figure.title(panel, text.scene_title(rows.iloc[0]) + cut)
    return fig


def _panel(panel: Axes, rows: pd.DataFrame, runs: pd.DataFrame) -> None:
    places = figure.name_rows(panel, list(rows["name"]))
    for place, (_, row) in zip(places, rows.iterrows(), strict=True):
        panel.annotate(
            _factor(row),
            (1, place),
            (4, 0),
            xycoords=panel.get_yaxis_transform(),
            textcoords="offset points",
            va="center",
        )
    rate = rows["examples_per_second"].to_numpy()
    ends = [
        rate - rows["examples_per_second_low"],
        rows["examples_per_second_high"] - rate,
    ]
    known = ~np.isnan(ends[0].to_numpy())
    colors = np.select(
        [rows["best"], rows["ranked"]], [figure.VERMILION, figure.BLUE], figure.GREY
    )
    panel.hlines(
        places[known],
        rows["examples_per_second_low"][known],
        rows["examples_per_second_high"][known],
        colors=colors[known],
        linewidth=2.5,
    )
    machine = rows["machine"].iloc[0]
    own = runs[(runs["machine"] == machine) & runs["key"].isin(rows["key"])]
    place = dict(zip(rows["key"], places, strict=True))
    dots = np.exp(-own["log_seconds"].to_numpy(float))
    height = own["key"].map(place).to_numpy(float) + 0.2
    panel.scatter(dots, height, s=8, color=figure.INK, alpha=0.55, linewidths=0)
    panel.scatter(
        rate,
        places,
        s=34,
        facecolors="white",
        edgecolors=colors,
        linewidths=1.6,
        zorder=3,
    )
    if np.nanmax(dots) > LOG_FROM * np.nanmin(dots):
        panel.set_xscale("log")
        panel.set_xlim(np.nanmin(dots) / REACH, np.nanmax(dots) * REACH)
        panel.set_xlabel("examples a second (log scale)")
    else:
        ends = [*dots, *rows["examples_per_second_high"]]
        panel.set_xlim(0, min(1.06 * np.nanmax(ends), REACH * np.nanmax(dots)))
        panel.set_xlabel("examples a second")
    panel.xaxis.set_major_formatter(EngFormatter(sep=""))


def _factor(row: pd.Series) -> str:
    if row["is_baseline"]:
        return "baseline"
    value, _ = text.rounded_with_bounds(row, "factor")
    mark = "" if row["ranked"] else " (not ranked)"
    return f"\u00d7{value}{mark}" if value != "-" else ""
