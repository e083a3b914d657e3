"""Marks are milliseconds a request, by 50 % (ring), 95 % (square), 99 % (triangle).

A ring has 50 % of the requests to its left, a square 95 % and a triangle 99 %. Rows
name where the layers run, in the client or in the model, and the examples of a request.
Left is better. A long bar means that some clients wait much longer than most.
Marks are medians over runs (one process each); dots are the 50 % of every run.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench import text
from bench.analysis import stats
from bench.pipeline import PLACEMENTS
from bench.report import figure
from bench.trial import REQUESTING

MOST_SCENES = 8
MOST_ROWS = 12
PERCENTILES = {"p50": "o", "p95": "s", "p99": "^"}
COLORS = {"dataset": figure.BLUE, "model": figure.VERMILION}
WHERE = {name: place.server for name, place in PLACEMENTS.items() if place.server}


@figure.styled
def draw(table: pd.DataFrame) -> Figure | None:
    """Draw latency percentiles by placement and batch size, a panel for each workload.

    Args:
        table: The samples, from `table.from_runs`.
    """
    names = [f"fact_latency_{name}_seconds" for name in PERCENTILES]
    if any(name not in table for name in names):
        return None
    runs = stats.runs(table)
    runs = runs[runs["consumer"].isin(REQUESTING) & runs[names].notna().all(axis=1)]
    if runs.empty:
        return None
    by = ["machine", "workload", "data", "image_size"]
    scenes = [group for _, group in runs.groupby(by, sort=False)]
    groups = scenes[: figure.panel_count(MOST_SCENES, len(scenes))]
    counts = [min(MOST_ROWS, group["key"].nunique()) for group in groups]
    fig, axes = figure.panels([0.85 + 0.32 * count for count in counts])
    figure.note_cut(fig, len(groups), len(scenes))
    for panel, group in zip(axes, groups, strict=True):
        _panel(panel, group, names)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend_below(fig, handles, labels)
    return fig


def _panel(panel: Axes, group: pd.DataFrame, names: list[str]) -> None:
    first = group.drop_duplicates("key").sort_values(
        ["batch_size", "placement", "device", "jit"]
    )[:MOST_ROWS]
    places = figure.name_rows(panel, [_name(row) for _, row in first.iterrows()])
    medians = 1e3 * group.groupby("key")[names].median().loc[first["key"]]
    colors = [COLORS[placement] for placement in first["placement"]]
    panel.hlines(
        places, medians[names[0]], medians[names[-1]], colors=colors, linewidth=2
    )
    own = group[group["key"].isin(first["key"])]
    where = own["key"].map(dict(zip(first["key"], places, strict=True)))
    panel.scatter(1e3 * own[names[0]], where + 0.22, s=7, color=figure.INK, alpha=0.5)
    for name, (percent, mark) in zip(names, PERCENTILES.items(), strict=True):
        panel.scatter(
            medians[name],
            places,
            marker=mark,
            s=32,
            facecolors="white",
            edgecolors=colors,
            linewidths=1.5,
            zorder=3,
            label=f"{percent[1:]} % within",
        )
    ends = medians.to_numpy()
    reach = np.append(ends.ravel(), 1e3 * own[names[0]])
    if reach.max() > 20 * reach.min():
        panel.set_xscale("log")
        panel.set_xlabel("milliseconds a request (log scale)")
        panel.xaxis.set_major_formatter("{x:g}")
        panel.xaxis.set_minor_formatter("")
    else:
        panel.set_xlabel("milliseconds a request")
        panel.set_xlim(0, 1.12 * reach.max())
    for place, (low, _, high) in zip(places, ends, strict=True):
        panel.annotate(
            f"{text.figure(low)} to {text.figure(high)}",
            (high, place - 0.3),
            ha="right",
            va="center",
            fontsize=7,
        )
    figure.title(panel, text.scene_title(first.iloc[0]))


def _name(row: pd.Series) -> str:
    parts = [WHERE[row["placement"]]]
    parts += [row["device"]] if row["device"] != "auto" else []
    parts += [f"jit {row['jit']}"] if row["jit"] != "off" else []
    size = row["batch_size"]
    parts += [f"{size} example{'s' if size > 1 else ''}"]
    return ", ".join(parts)
