"""Bars are busy time a batch by stage, of all threads; rings are time on the clock.

A ring beyond its bar waited: for a free processor, storage, Python, or the model
(hatched, if it was measured alone). A ring short of its bar had stages that worked at
the same time. The times come from the graph that ran; `other` is shuffling, prefetching
and passing data on.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bench import text
from bench.analysis import bottleneck, stats
from bench.report import figure
from bench.stages import STAGES
from bench.trial import HOLDING

MOST_ROWS = 12
MOST_SCENES = 6
COLORS = {
    "source": figure.ORANGE,
    "map": figure.BLUE,
    "batch": figure.GREEN,
    "cache": figure.PURPLE,
    "other": figure.SKY,
}
LABELS = {"source": "source, all of read", "map": "decode and map"}


@figure.styled
def draw(table: pd.DataFrame) -> Figure | None:
    """Draw the busy time of each trial's stages, a panel for each workload.

    Args:
        table: The samples, from `table.from_runs`.
    """
    columns = [f"stage_{name}_seconds_per_batch" for name in STAGES]
    runs = stats.runs(table)
    runs = runs[runs[columns].notna().all(axis=1) & ~runs["consumer"].isin(HOLDING)]
    if runs.empty:
        return None
    medians = runs.groupby(["machine", "key"])[[*columns, "seconds_per_batch"]].median()
    trials = runs.drop_duplicates(["machine", "key"])
    trials = trials.drop(columns=[*columns, "seconds_per_batch"])
    trials = trials.join(medians, on=["machine", "key"])
    by = ["machine", "workload", "consumer", "unit", "data", "image_size"]
    by += ["storage", "read_latency_ms"]
    every = [scene for _, scene in trials.groupby(by, sort=False)]
    scenes = [
        scene.assign(name=figure.short_names(scene["label"])).sort_values(
            "seconds_per_batch", ascending=False
        )[:MOST_ROWS]
        for scene in every[: figure.panel_count(MOST_SCENES, len(every))]
    ]
    shown = {scene["workload"].iloc[0] for scene in scenes}
    alone = bottleneck.model_seconds(table[table["workload"].isin(shown)])
    fig, axes = figure.panels(
        [
            0.85 + figure.row_inches(list(scene["name"]), 0.36) * len(scene)
            for scene in scenes
        ]
    )
    figure.note_cut(fig, len(scenes), len(every))
    for panel, scene in zip(axes, scenes, strict=True):
        model = [
            alone.get((row["machine"], row["key"]), 0.0) for _, row in scene.iterrows()
        ]
        _panel(panel, scene, columns, np.array(model))
    legend = {}
    for panel in axes:
        handles, labels = panel.get_legend_handles_labels()
        legend |= dict(zip(labels, handles, strict=True))
    figure.legend_below(fig, list(legend.values()), list(legend))
    return fig


def _panel(
    panel: Axes, scene: pd.DataFrame, columns: list[str], model: np.ndarray
) -> None:
    places = figure.name_rows(panel, list(scene["name"]))
    left = np.zeros(len(scene))
    style = {"height": 0.6, "edgecolor": figure.INK, "linewidth": 0.4}
    for name, column in zip(STAGES, columns, strict=True):
        width = 1e3 * scene[column].to_numpy(float)
        shown = LABELS.get(name, name)
        panel.barh(places, width, left=left, color=COLORS[name], label=shown, **style)
        left += width
    if model.any():
        panel.barh(
            places,
            1e3 * model,
            left=left,
            color="white",
            hatch="////",
            label="model alone",
            **style,
        )
        left += 1e3 * model
    clock = 1e3 * scene["seconds_per_batch"].to_numpy(float)
    panel.scatter(
        clock,
        places,
        s=36,
        facecolors="white",
        edgecolors=figure.VERMILION,
        linewidths=1.6,
        zorder=3,
        label="on the clock",
    )
    panel.set_xlim(0, 1.08 * max(left.max(), clock.max()))
    panel.xaxis.set_major_locator(MaxNLocator(6))
    panel.set_xlabel("milliseconds a batch")
    figure.title(panel, text.scene_title(scene.iloc[0]))
