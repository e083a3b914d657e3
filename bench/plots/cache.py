"""Lines are the seconds of each epoch; the first fills the cache, later ones gain.

Labels give the cache's bytes and the epoch from which the total is below that without a
cache. The total includes the preparation of `offline`. Beyond the measured epochs each
epoch counts the median of the steady epochs, which must be shorter by more than the
margin.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bench import text
from bench.analysis import decisions, stats
from bench.pipeline import AXES, PLACEMENTS
from bench.report import figure

MOST_PANELS = 5
MARKS = "osD^vPX"
COLORS = {
    "none": figure.GREY,
    "raw": figure.ORANGE,
    "decoded": figure.GREEN,
    "mapped": figure.BLUE,
    "offline": figure.VERMILION,
    "model": figure.PURPLE,
}
PLACES = ("cache", "cache_storage", "placement")
FURTHEST = 10_000  # epochs; nobody trains for longer


@figure.styled
def draw(table: pd.DataFrame) -> Figure | None:
    """Draw the seconds of each epoch with each cache, a panel for each cached pipeline.

    Args:
        table: The samples, from `table.from_runs`.
    """
    epochs = table[(table["unit"] == "epoch") & table["seconds_per_batch"].notna()]
    fixed = [name for name in AXES if name not in PLACES]
    by = ["machine", "workload", "consumer", "data", *fixed]
    grouped = epochs.groupby(by, sort=False)
    several = grouped["key"].transform("nunique") > 1
    several &= grouped["sample"].transform("max") > 0
    pipelines = [group for _, group in epochs[several].groupby(by, sort=False)]
    if not pipelines:
        return None
    groups = pipelines[: figure.panel_count(MOST_PANELS, len(pipelines))]
    counts = [len(group[list(PLACES)].drop_duplicates()) for group in groups]
    heights = [h for count in counts for h in (2.2, 0.15 + 0.19 * count)]
    fig, axes = figure.panels(heights)
    figure.note_cut(fig, len(groups), len(pipelines))
    for panel, below, group in zip(axes[::2], axes[1::2], groups, strict=True):
        _panel(panel, below, group)
    return fig


def _panel(panel: Axes, below: Axes, group: pd.DataFrame) -> None:
    seconds = group.assign(
        seconds=group["seconds_per_batch"] * group["batches_per_sample"]
    )
    margin = decisions.MARGINS[group["consumer"].iloc[0]]
    for number, ((cache, storage, placement), part) in enumerate(
        seconds.groupby(list(PLACES), sort=True)
    ):
        own = _epochs(part)
        name, gain = _name(cache, storage, placement), ""
        if cache != "none" or PLACEMENTS[placement].stores_outputs:
            without = _without(seconds, placement)
            gain = _gain(own, without, _preparation(part), margin)
        panel.plot(
            np.arange(len(own)) + 1,
            own,
            marker=MARKS[number % len(MARKS)],
            markersize=5,
            color=COLORS[cache if PLACEMENTS[placement].maps_layers else placement],
            linestyle="--" if storage == "disk" else "-",
            label="; ".join(p for p in (name, _size(part), gain) if p),
        )
    low, high = panel.dataLim.intervaly
    if high > 10 * low > 0:
        panel.set_yscale("log")
    else:
        panel.set_ylim(0, 1.08 * high)
    panel.yaxis.set_major_formatter("{x:g}")
    panel.yaxis.set_minor_formatter("")
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel.set_xlabel("epoch")
    panel.set_ylabel("seconds an epoch")
    figure.title(panel, text.scene_title(group.iloc[0]))
    below.axis("off")
    below.legend(
        *panel.get_legend_handles_labels(), loc="center", frameon=False, fontsize=8
    )


def _epochs(part: pd.DataFrame) -> np.ndarray:
    """Return the seconds of each epoch, as medians over the runs, `[epochs]`."""
    return part.groupby("sample")["seconds"].median().to_numpy(float)


def _name(cache: str, storage: str, placement: str) -> str:
    place = PLACEMENTS[placement]
    parts = [] if place.maps_layers else [place.where if place.in_model else placement]
    parts += (
        []
        if cache == "none"
        else [f"{cache} {'on' if storage == 'disk' else 'in'} {storage}"]
    )
    return ", ".join(parts) or "no cache"


def _size(part: pd.DataFrame) -> str:
    names = [n for n in ("fact_cache_bytes", "fact_stored_bytes") if n in part]
    size = part[names].astype(float).sum(axis=1).median() if names else 0.0
    return f"{text.figure(size / 1e6)} MB" if size > 0 else ""


def _preparation(part: pd.DataFrame) -> float:
    """Return the seconds that `placement=offline` takes to map and store all examples.

    The value is the median over the runs; 0 for every other placement.
    """
    return stats.runs(part)["offline_seconds"].fillna(0).median()


def _without(seconds: pd.DataFrame, placement: str) -> np.ndarray | None:
    """Return the seconds of each epoch of the same placement without a cache.

    For `offline` the placement is `dataset`. The result is None if not measured.
    """
    place = "dataset" if placement == "offline" else placement
    plain = seconds[(seconds["cache"] == "none") & (seconds["placement"] == place)]
    return _epochs(plain) if len(plain) else None


def _gain(
    own: np.ndarray, without: np.ndarray | None, preparation: float, margin: float
) -> str:
    """Return from which epoch on a cache saves time in total, as text.

    `own` has the seconds of each epoch with the cache, `without` those without it. The
    text is empty if the epoch is unknown.
    """
    if without is None or min(len(own), len(without)) < 2:
        return ""
    both = own, without
    steady = [np.median(s[1:]) for s in both]
    if steady[0] * (1 + margin) >= steady[1]:
        return "never pays"
    count = np.arange(FURTHEST)
    totals = [
        np.cumsum(np.where(count < len(s), np.resize(s, FURTHEST), rest))
        for s, rest in zip(both, steady, strict=True)
    ]
    late = np.flatnonzero(totals[0] + preparation >= totals[1])
    if not len(late):
        return "pays from epoch 1"
    return (
        "never pays" if late[-1] == FURTHEST - 1 else f"pays from epoch {late[-1] + 2}"
    )
