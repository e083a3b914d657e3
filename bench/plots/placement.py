"""Bars are speeds of each placement's best trial; the dataset's is 1, right is faster.

Trials have the same cache, if possible none. Hatched bars were compiled with XLA; thin
lines are 95 % intervals. Left of the grey line at 1, moving the layers there costs
speed. `offline` leaves out its preparation.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench import text
from bench.analysis import pairs, stats
from bench.report import figure

MOST_SCENES = 8
COLORS = {
    "dataset": figure.BLUE,
    "model": figure.ORANGE,
    "offline": figure.GREEN,
}


@figure.styled
def draw(table: pd.DataFrame) -> Figure | None:
    """Draw the speeds of all placements, a panel for each workload and consumer.

    Args:
        table: The samples, from `table.from_runs`.
    """
    trials = stats.trials(table)
    trials = trials[trials["runs"] > 0]
    if trials.empty:
        return None
    scenes = _alike(trials)
    if not scenes:
        return None
    runs = stats.runs(table)
    chosen = [
        _placements(
            runs, trials[(trials["scene"] == scene) & (trials["cache"] == cache)]
        )
        for scene, cache in scenes[: figure.panel_count(MOST_SCENES, len(scenes))]
    ]
    fig, axes = figure.panels([1.0 + 0.36 * len(rows) for rows in chosen])
    figure.note_cut(fig, len(chosen), len(scenes))
    for panel, rows in zip(axes, chosen, strict=True):
        _panel(panel, rows)
    return fig


def _alike(trials: pd.DataFrame) -> list[tuple[int, str]]:
    """Return pairs (scene, cache) to draw, for each scene with several placements.

    A scene is a set of comparable trials. The cache is the setting with which most of
    its placements were measured.
    """
    counts = trials.groupby(["scene", "cache"], sort=False)["placement"].nunique()
    counts = counts[counts > 1].reset_index()
    counts["plain"] = counts["cache"] == "none"
    best = counts.sort_values(["placement", "plain"], ascending=False, kind="stable")
    best = best.drop_duplicates("scene").sort_values("scene", kind="stable")
    return list(zip(best["scene"], best["cache"], strict=True))


def _placements(runs: pd.DataFrame, scene: pd.DataFrame) -> pd.DataFrame:
    """Return the best trial of each placement, device and jit setting.

    The new columns have its speed relative to the first of these trials, with
    intervals.
    """
    by = ["placement", "ran_on", "jit"]
    scene = scene.assign(name=figure.short_names(scene["label"]))
    ranked = scene.sort_values(["ranked", "examples_per_second"], ascending=False)
    best = ranked.drop_duplicates(by).sort_values(
        by, key=lambda column: column.replace({"off": "", "auto": "on "})
    )
    own = runs[runs["machine"] == best["machine"].iloc[0]]
    seconds = pairs.seconds(own, list(best["key"]))
    seconds /= best["batch_size"].to_numpy(float)
    ratios = [pairs.ratio(seconds[:, 0], column) for column in seconds.T]
    return best.assign(
        speed=[one.estimate for one in ratios],
        speed_low=[one.low for one in ratios],
        speed_high=[one.high for one in ratios],
    )


def _panel(panel: Axes, rows: pd.DataFrame) -> None:
    names = [_name(row, rows) for _, row in rows.iterrows()]
    places = figure.name_rows(panel, names)
    first = rows.iloc[0]
    panel.barh(
        places,
        rows["speed"],
        height=0.6,
        color=[COLORS[placement] for placement in rows["placement"]],
        hatch=["" if jit == "off" else "////" for jit in rows["jit"]],
        edgecolor=figure.INK,
        linewidth=0.6,
    )
    known = rows["speed_low"].notna().to_numpy()
    furthest = 1.5 * rows["speed"].max()  # a very wide interval is cut off here
    panel.hlines(
        places[known],
        rows["speed_low"][known],
        np.fmin(rows["speed_high"], furthest)[known],
        colors=figure.INK,
        linewidth=1.2,
    )
    panel.axvline(1, color=figure.INK, linewidth=0.8, alpha=0.5)
    ends = np.fmax(rows["speed"], np.fmin(rows["speed_high"].fillna(0), furthest))
    for place, end, (_, row) in zip(places, ends, rows.iterrows(), strict=True):
        value, _ = text.rounded_with_bounds(row, "speed")
        value = "1" if place == 0 else value
        panel.annotate(
            value, (end, place), (4, 0), textcoords="offset points", va="center"
        )
    panel.set_xlim(0, 1.15 * np.nanmax(ends))
    cache = first["cache"]
    alike = "all without cache" if cache == "none" else f"all with cache={cache}"
    panel.set_xlabel(figure.label(f"times as fast as {names[0]}; {alike}", 44, 2))
    figure.title(panel, text.scene_title(first))


def _name(row: pd.Series, rows: pd.DataFrame) -> str:
    parts = [row["placement"]]
    if rows["ran_on"].nunique() > 1 and row["ran_on"]:
        parts.append(row["ran_on"])
    if row["jit"] != "off":
        parts.append(f"jit {row['jit']}")
    name = " ".join(parts)
    if row["name"] not in (name, row["placement"]):
        name += f" ({row['name']})"
    return name if row["ranked"] else f"{name}, not ranked"
