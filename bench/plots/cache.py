"""Seconds of each epoch by what is cached: the first one fills, the later ones gain.

Labels give the bytes held, and from which epoch on the total is below that of no cache,
what `offline` prepares before included; steady epochs are carried on beyond the last,
and must be shorter by more than the margin.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bench import text
from bench.analysis import stats, verdicts
from bench.pipeline import AXES
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
    """Epochs of each cache, a panel for each pipeline that was cached.

    Args:
        table: From `table.from_runs`.
    """
    epochs = table[(table["unit"] == "epoch") & table["seconds_per_batch"].notna()]
    fixed = [name for name in AXES if name not in PLACES]
    by = ["machine", "workload", "consumer", "data", *fixed]
    grouped = epochs.groupby(by, sort=False)
    several = grouped["key"].transform("nunique") > 1
    several &= grouped["sample"].transform("max") > 0
    found = [group for _, group in epochs[several].groupby(by, sort=False)]
    if not found:
        return None
    groups = found[: figure.most(MOST_PANELS, len(found))]
    counts = [len(group[list(PLACES)].drop_duplicates()) for group in groups]
    heights = [h for count in counts for h in (2.2, 0.15 + 0.19 * count)]
    drawn, axes = figure.panels(heights)
    figure.note(drawn, len(groups), len(found))
    for panel, below, group in zip(axes[::2], axes[1::2], groups, strict=True):
        _panel(panel, below, group)
    return drawn


def _panel(panel: Axes, below: Axes, group: pd.DataFrame) -> None:
    seconds = group.assign(
        seconds=group["seconds_per_batch"] * group["batches_per_sample"]
    )
    margin = verdicts.MARGINS[group["consumer"].iloc[0]]
    for number, ((cache, storage, placement), part) in enumerate(
        seconds.groupby(list(PLACES), sort=True)
    ):
        found = _epochs(part)
        name, paid = _name(cache, storage, placement), ""
        if cache != "none" or placement == "offline":
            without = _without(seconds, placement)
            paid = _pays(found, without, _before(part), margin)
        panel.plot(
            np.arange(len(found)) + 1,
            found,
            marker=MARKS[number % len(MARKS)],
            markersize=5,
            color=COLORS[placement if placement != "dataset" else cache],
            linestyle="--" if storage == "disk" else "-",
            label="; ".join(p for p in (name, _held(part), paid) if p),
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
    figure.title(panel, text.title(group.iloc[0]))
    below.axis("off")
    below.legend(
        *panel.get_legend_handles_labels(), loc="center", frameon=False, fontsize=8
    )


def _epochs(part: pd.DataFrame) -> np.ndarray:
    """The median over the runs of each epoch's seconds."""
    return part.groupby("sample")["seconds"].median().to_numpy(float)


def _name(cache: str, storage: str, placement: str) -> str:
    parts = ["offline"] if placement == "offline" else []
    parts += ["in the model"] if placement == "model" else []
    parts += (
        []
        if cache == "none"
        else [f"{cache} {'on' if storage == 'disk' else 'in'} {storage}"]
    )
    return ", ".join(parts) or "no cache"


def _held(part: pd.DataFrame) -> str:
    names = [n for n in ("fact_cache_bytes", "fact_stored_bytes") if n in part]
    held = part[names].astype(float).sum(axis=1).median() if names else 0.0
    return f"{text.figure(held / 1e6)} MB" if held > 0 else ""


def _before(part: pd.DataFrame) -> float:
    return stats.runs(part)["offline_seconds"].fillna(0).median()


def _without(seconds: pd.DataFrame, placement: str) -> np.ndarray | None:
    """The epochs of this placement with no cache, of the dataset for `offline`."""
    place = "dataset" if placement == "offline" else placement
    plain = seconds[(seconds["cache"] == "none") & (seconds["placement"] == place)]
    return _epochs(plain) if len(plain) else None


def _pays(
    found: np.ndarray, without: np.ndarray | None, before: float, margin: float
) -> str:
    if without is None or min(len(found), len(without)) < 2:
        return ""
    both = found, without
    steady = [np.median(s[1:]) for s in both]
    if steady[0] * (1 + margin) >= steady[1]:
        return "never pays"
    count = np.arange(FURTHEST)
    totals = [
        np.cumsum(np.where(count < len(s), np.resize(s, FURTHEST), rest))
        for s, rest in zip(both, steady, strict=True)
    ]
    late = np.flatnonzero(totals[0] + before >= totals[1])
    if not len(late):
        return "pays from epoch 1"
    return (
        "never pays" if late[-1] == FURTHEST - 1 else f"pays from epoch {late[-1] + 2}"
    )
