"""Lines show microseconds an example over batch or image size; flat is a fixed cost.

A falling line has a cost for each batch, which more examples share in larger batches.
For images the dotted grey line grows with the number of pixels. Bars are 95 %
intervals; both scales are logarithmic.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench import text
from bench.analysis import stats
from bench.pipeline import AXES
from bench.report import figure

MOST_PANELS = 5
MOST_LINES = 6
MARKS = "osD^vP"
SIZES = {
    "batch_size": "examples a batch",
    "image_size": "edge of the images, pixels",
}


@figure.styled
def draw(table: pd.DataFrame) -> Figure | None:
    """Draw microseconds an example over batch size and over image size.

    Each workload and kind of size has a panel.

    Args:
        table: The samples, from `table.from_runs`.
    """
    trials = stats.trials(table)
    trials = trials[trials["runs"] > 0]
    scenes = [(size, group) for size in SIZES for _, group in _scenes(trials, size)]
    if not scenes:
        return None
    panels = [
        (size, _lines(group, size))
        for size, group in scenes[: figure.panel_count(MOST_PANELS, len(scenes))]
    ]
    heights = [h for _, ls in panels for h in (2.1, 0.15 + 0.19 * len(ls))]
    fig, axes = figure.panels(heights)
    figure.note_cut(fig, len(panels), len(scenes))
    for panel, below, (size, lines) in zip(axes[::2], axes[1::2], panels, strict=True):
        _panel(panel, lines, size)
        below.axis("off")
        below.legend(
            *panel.get_legend_handles_labels(), loc="center", frameon=False, fontsize=8
        )
    return fig


def _scenes(trials: pd.DataFrame, size: str) -> object:
    known = trials[trials[size] > 0]  # image_size=0 is the entry's own, unknown size
    by = ["machine", "workload", "consumer", "unit", "data"]
    by += ["storage", "read_latency_ms", *(s for s in SIZES if s != size)]
    line = [*by, *(name for name in AXES if name not in (*SIZES, *by))]
    sizes = known.groupby(line, sort=False)[size].transform("nunique")
    return known[sizes > 1].groupby(by, sort=False)


def _lines(group: pd.DataFrame, size: str) -> list[pd.DataFrame]:
    """Return groups of trials that differ in their size alone, each sorted by size.

    The groups with the most trials come first; there are at most `MOST_LINES`.
    """
    others = [name for name in AXES if name not in SIZES]
    lines = [
        line.sort_values(size)
        for _, line in group.groupby(others, sort=False)
        if line[size].nunique() > 1
    ]
    return sorted(lines, key=len, reverse=True)[:MOST_LINES]


def _panel(panel: Axes, lines: list[pd.DataFrame], size: str) -> None:
    for number, line in enumerate(lines):
        color = figure.DARK[number % len(figure.DARK)]
        cost = 1e6 / line["examples_per_second"].to_numpy(float)
        low = 1e6 / line["examples_per_second_high"].to_numpy(float)
        high = 1e6 / line["examples_per_second_low"].to_numpy(float)
        known = np.isfinite(low) & (high < 100 * cost) & (low > cost / 100)
        at = line[size].to_numpy(float)
        panel.plot(
            at,
            cost,
            marker=MARKS[number % len(MARKS)],
            markersize=5,
            color=color,
            label=figure.label(_name(line.iloc[0]), 60, 1),
        )
        panel.vlines(at[known], low[known], high[known], colors=color, linewidth=1)
    if size == "image_size":
        pixels = np.array(sorted({n for line in lines for n in line[size]}), float)
        start = 1e6 / max(line["examples_per_second"].max() for line in lines)
        panel.plot(pixels, start * (pixels / pixels[0]) ** 2, ":", color=figure.GREY)
    panel.set_xscale("log")
    panel.set_yscale("log")
    ticks = sorted({int(n) for line in lines for n in line[size]})
    panel.set_xticks(ticks, [f"{n:,}" for n in ticks])
    panel.xaxis.set_minor_formatter("")
    panel.yaxis.set_major_formatter("{x:,g}")
    panel.yaxis.set_minor_formatter(
        lambda value, _: f"{value:,g}" if f"{value:e}"[0] in "25" else ""
    )
    panel.set_xlabel(SIZES[size])
    panel.set_ylabel("\u00b5s an example")
    one = lines[0].iloc[0].copy()
    if size == "image_size":  # the axis shows it
        one["image_size"] = AXES[size].default
    figure.title(panel, text.scene_title(one))


def _name(row: pd.Series) -> str:
    """Return a trial's settings as text, without the sizes, which the axis shows."""
    parts = [
        p for p in str(row["label"]).split(",") if p.partition("=")[0] not in SIZES
    ]
    return ", ".join(parts) or "naive"
