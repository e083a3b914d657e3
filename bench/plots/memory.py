"""Speed against peak memory: up and left is better, numbered rings have no rival.

The stepped line is the Pareto front: whoever is below or right of it is beaten in both.
Memory that is within 2 % of a faster trial's counts as the same. It is the most that
the process held while it was timed, TensorFlow and the inputs included.
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
SAME = 1.02  # memory within this factor of another's is the same: processes differ so
NARROWEST = 0.05  # the axis reaches at least so far to both sides, so noise looks small


@figure.styled
def draw(table: pd.DataFrame) -> Figure | None:
    """Speed over memory of all trials of a scene, a panel for each.

    Args:
        table: From `table.from_runs`.
    """
    if table["peak_resident_bytes"].isna().all():
        return None
    trials = stats.trials(table)
    trials = trials.assign(gigabytes=trials["peak_resident_bytes"] / 1e9)
    trials = trials[trials["ranked"] & (trials["gigabytes"] > 0)]
    trials = trials[trials["factor"].notna()]
    found = [s for _, s in trials.groupby("scene", sort=False) if len(s) > 1]
    scenes = found[: figure.most(MOST_SCENES, len(found))]
    if not scenes:
        return None
    scenes = [scene.assign(name=figure.names(scene["label"])) for scene in scenes]
    fronts = [front(scene).head(MOST_NAMES) for scene in scenes]
    heights = [h for some in fronts for h in (2.3, 0.2 + 0.19 * len(some))]
    drawn, axes = figure.panels(heights)
    figure.note(drawn, len(scenes), len(found))
    for panel, below, scene, best in zip(
        axes[::2], axes[1::2], scenes, fronts, strict=True
    ):
        _panel(panel, scene, best)
        _names(below, best)
    return drawn


def front(scene: pd.DataFrame) -> pd.DataFrame:
    """The trials than which no other is as fast with less memory, or faster with it.

    Memory within `SAME` of a faster trial's is no less.
    """
    order = scene.sort_values(["gigabytes", "factor"], ascending=[True, False])
    before = order["factor"].cummax().shift(fill_value=-np.inf)
    order = order[order["factor"] > before]  # each is faster than all before it
    after = order["gigabytes"].shift(-1, fill_value=np.inf)
    kept = order["gigabytes"] * SAME < after
    return order[kept]


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
    figure.title(panel, text.title(scene.iloc[0]))


def _names(below: Axes, best: pd.DataFrame) -> None:
    below.axis("off")
    lines = []
    memory = _spelled(list(best["gigabytes"]))
    for number, (held, (_, row)) in enumerate(
        zip(memory, best.iterrows(), strict=True), start=1
    ):
        value, _ = text.triple(row, "factor")
        name = figure.label(row["name"], 44, 1)
        lines.append(f"{number}  {name}: {held} GB, \u00d7{value}")
    below.text(0, 1, "\n".join(lines), va="top", fontsize=8, transform=below.transAxes)


def _spelled(gigabytes: list[float]) -> list[str]:
    """With as many digits as tell them apart, from two to four."""
    for digits in (2, 3, 4):
        spelled = [f"{value:.{digits}f}" for value in gigabytes]
        if len(set(spelled)) == len(spelled):
            break
    return spelled
