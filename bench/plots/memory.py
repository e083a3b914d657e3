"""Dots are speed over peak memory; up and left is better, numbered rings are unbeaten.

The stepped line is the Pareto front: a trial below or right of it is beaten in both
speed and memory. Memory within 2 % counts as equal. Peak memory is the resident memory
of the process while it was timed, with TensorFlow and the inputs.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bench import text
from bench.analysis import stats
from bench.report import figure

MOST_SCENES = 5
MOST_NAMES = 8
SAME = 1.02  # memory within this factor counts as equal: processes differ so much
NARROWEST = 0.05  # share by which the axis exceeds the data, so that noise looks small


@figure.styled
def draw(table: pd.DataFrame) -> Figure | None:
    """Draw speed over peak memory, a panel for each scene (set of comparable trials).

    Args:
        table: The samples, from `table.from_runs`.
    """
    if table["peak_resident_bytes"].isna().all():
        return None
    trials = stats.trials(table)
    trials = trials.assign(gigabytes=trials["peak_resident_bytes"] / 1e9)
    trials = trials[trials["ranked"] & (trials["gigabytes"] > 0)]
    trials = trials[trials["factor"].notna()]
    several = [s for _, s in trials.groupby("scene", sort=False) if len(s) > 1]
    scenes = several[: figure.panel_count(MOST_SCENES, len(several))]
    if not scenes:
        return None
    scenes = [scene.assign(name=figure.short_names(scene["label"])) for scene in scenes]
    fronts = [front(scene).head(MOST_NAMES) for scene in scenes]
    heights = [h for some in fronts for h in (2.3, 0.2 + 0.19 * len(some))]
    fig, axes = figure.panels(heights)
    figure.note_cut(fig, len(scenes), len(several))
    for panel, below, scene, best in zip(
        axes[::2], axes[1::2], scenes, fronts, strict=True
    ):
        _panel(panel, scene, best)
        _names(below, best)
    return fig


def front(scene: pd.DataFrame) -> pd.DataFrame:
    """Return the Pareto front: trials that no other trial beats in speed and memory.

    Args:
        scene: Trials with the columns `factor` and `gigabytes`. Memory within the
            factor `SAME` counts as equal.
    """
    order = scene.sort_values(["gigabytes", "factor"], ascending=[True, False])
    before = order["factor"].cummax().shift(fill_value=-np.inf)
    order = order[order["factor"] > before]  # each is faster than all before it
    after = order["gigabytes"].shift(-1, fill_value=np.inf)
    return order[order["gigabytes"] * SAME < after]


def _panel(panel: Axes, scene: pd.DataFrame, best: pd.DataFrame) -> None:
    panel.scatter(scene["gigabytes"], scene["factor"], s=16, color=figure.GREY)
    panel.step(
        [*best["gigabytes"], scene["gigabytes"].max()],
        [*best["factor"], best["factor"].iloc[-1]],
        where="post",
        color=figure.VERMILION,
        linewidth=1.2,
    )
    panel.scatter(
        best["gigabytes"],
        best["factor"],
        s=110,
        facecolors="white",
        edgecolors=figure.VERMILION,
        zorder=3,
    )
    for number, (_, row) in enumerate(best.iterrows(), start=1):
        panel.text(
            row["gigabytes"],
            row["factor"],
            str(number),
            ha="center",
            va="center",
            fontsize=7,
            color=figure.GREY_INK,
            zorder=4,
        )
    low, high = scene["factor"].min(), scene["factor"].max()
    if high > 10 * low:
        panel.set_yscale("log")
        panel.set_ylim(low / 1.5, high * 1.5)
        panel.yaxis.set_minor_formatter("")
    else:
        panel.set_ylim(0, 1.15 * high)
    panel.yaxis.set_major_formatter("\u00d7{x:g}")
    panel.xaxis.set_major_locator(MaxNLocator(6))
    panel.margins(x=0.08)
    least, most = scene["gigabytes"].min(), scene["gigabytes"].max()
    if most < (1 + NARROWEST) * least:
        panel.set_xlim((1 - NARROWEST) * least, (1 + NARROWEST) * most)
    panel.set_xlabel("peak resident memory, GB (2 % apart counts as equal)")
    baseline = scene["baseline"].iloc[0]
    panel.set_ylabel(figure.label(f"times as fast as {baseline}", 26))
    figure.title(panel, text.scene_title(scene.iloc[0]))


def _names(below: Axes, best: pd.DataFrame) -> None:
    below.axis("off")
    lines = []
    sizes = _distinct(list(best["gigabytes"]))
    for number, (size, (_, row)) in enumerate(
        zip(sizes, best.iterrows(), strict=True), start=1
    ):
        value, _ = text.rounded_with_bounds(row, "factor")
        name = figure.label(row["name"], 44, 1)
        lines.append(f"{number}  {name}: {size} GB, \u00d7{value}")
    below.text(0, 1, "\n".join(lines), va="top", fontsize=8, transform=below.transAxes)


def _distinct(gigabytes: list[float]) -> list[str]:
    """Return numbers as text with two to four decimals, as many as distinguish them."""
    for digits in (2, 3, 4):
        texts = [f"{value:.{digits}f}" for value in gigabytes]
        if len(set(texts)) == len(texts):
            break
    return texts
