"""Lines show each trial over time, relative to a baseline beside it; level is good.

Panels of result folders show a trial's speed over the folder's baseline, relative to
the first folder, oldest first; bars are 95 % intervals, and up is better. Panels of
guard runs show seconds over those of the pinned reference workload; down is better. A
line with a figure is a lasting change of level. A slow drift often appears as steps.
Pure noise gets a step in 4 % of series of 8 runs. A 5 % step appears within 3 runs if
runs vary by 1 %, and in about 60 % of cases if runs vary by 2 %.
"""

import itertools
from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bench import text
from bench.analysis import stats
from bench.analysis.table import SCENE
from bench.guard import history
from bench.report import figure

MOST_PANELS = 8
MOST_LINES = 6
MOST_TICKS = 8
MARKS = "osD^vP"
WIDEST = 2  # times the factor; intervals of two rounds are wider and would hide others
NARROWEST = 0.1  # the axis spans at least 1 -+ this, so that small noise looks small
SCENE_OVER_TIME = [name for name in SCENE if name != "machine"]


@figure.styled
def draw(table: pd.DataFrame) -> Figure | None:
    """Draw result folders and guard runs over time, a panel for each scene or trial.

    A scene is a set of trials that may be compared with one another. A guard run is a
    test for slow-downs.

    Args:
        table: The samples of several folders, from `table.from_runs`;
            `table.attrs["history"]` may have the guard runs of
            `bench.guard.history.read`.
    """
    panels = [*_folder_panels(table), *_guard_panels(table.attrs.get("history", []))]
    return _figure(panels)


@figure.styled
def draw_guards(frame: pd.DataFrame) -> Figure | None:
    """Draw the guard runs of a history over time, a panel for each trial.

    A guard run is a test for slow-downs.

    Args:
        frame: The table of guard runs, from `bench.guard.history.to_frame`.
    """
    return _figure(_series_panels(frame))


def _figure(panels: list[tuple[Callable[[Axes], None], int]]) -> Figure | None:
    if not panels:
        return None
    count, panels = len(panels), panels[:MOST_PANELS]
    heights = [h for _, lines in panels for h in (2.2, 0.15 + 0.19 * lines)]
    fig, axes = figure.panels(heights)
    figure.note_cut(fig, len(panels), count)
    for above, below, (paint, _) in zip(axes[::2], axes[1::2], panels, strict=True):
        paint(above)
        below.axis("off")
        handles = above.get_legend_handles_labels()
        if handles[0]:
            below.legend(*handles, loc="center", frameon=False, fontsize=8)
    return fig


def _folder_panels(table: pd.DataFrame) -> list[tuple[Callable[[Axes], None], int]]:
    """Return a panel for each scene (set of comparable trials) in several folders.

    A panel is a function that draws it, and the number of its lines.
    """
    if table["folder"].nunique() < 2:
        return []
    folders = []
    for name, own in table.groupby("folder", sort=False):
        trials = stats.trials(own)
        machine = trials["machine"].str.partition(", TensorFlow ")[0]  # versions change
        started = pd.Timestamp(own["started"].min())
        folders.append(trials.assign(folder=name, since=started, hardware=machine))
    trials = pd.concat(folders, ignore_index=True)
    trials = trials[(trials["pairs"] > 0) & ~trials["is_baseline"]]
    panels = []
    for _, scene in trials.groupby(["hardware", *SCENE_OVER_TIME], sort=False):
        places = scene[["since", "folder"]].drop_duplicates().sort_values("since")
        lines = [
            line
            for _, line in scene.groupby(["key", "baseline"], sort=False)
            if line["folder"].nunique() > 1
        ]
        if lines:
            lines = sorted(lines, key=lambda line: -line["factor"].max())[:MOST_LINES]
            names = list(places["folder"])
            panels.append((_folders(lines, names, list(places["since"])), len(lines)))
    return panels


def _folders(
    lines: list[pd.DataFrame], names: list[str], since: list[pd.Timestamp]
) -> Callable[[Axes], None]:
    def paint(panel: Axes) -> None:
        for number, line in enumerate(lines):
            color = figure.DARK[number % len(figure.DARK)]
            line = line.sort_values("since")
            at = line["folder"].map(names.index).to_numpy() + 0.06 * number
            factor, low, high = (
                line[f"factor{end}"].to_numpy(float) for end in ("", "_low", "_high")
            )
            first = factor[0]
            panel.plot(
                at,
                factor / first,
                marker=MARKS[number % len(MARKS)],
                markersize=5,
                linewidth=1,
                color=color,
                label=figure.label(_then_and_now(line), 60, 1),
            )
            known = (high < WIDEST * factor) & (low > factor / WIDEST)
            bars = (at[known], low[known] / first, high[known] / first)
            panel.vlines(*bars, colors=color, linewidth=1)
        low, high = panel.get_ylim()
        panel.set_ylim(min(low, 1 - NARROWEST), max(high, 1 + NARROWEST))
        panel.set_xlabel("result folders, oldest first")
        panel.set_ylabel("over baseline, first = 1")
        step = -(-len(names) // MOST_TICKS)
        ticks = range(0, len(names), step)
        dated = [f"{since[n]:%Y-%m-%d}\n{_short(names[n])}" for n in ticks]
        panel.set_xticks(list(ticks), dated, fontsize=7)
        panel.set_xlim(-0.5, len(names) - 0.5 + 0.06 * len(lines))
        row = lines[0].iloc[0]
        base = f"{text.scene_title(row)}; baseline {text.visible(row['baseline'], 40)}"
        figure.title(panel, base)

    return paint


def _then_and_now(line: pd.DataFrame) -> str:
    first, last = (text.rounded_with_bounds(line.iloc[n], "factor")[0] for n in (0, -1))
    return f"{line['label'].iloc[0]}: \u00d7{first}, now \u00d7{last}"


def _short(folder: str) -> str:
    return figure.label(folder.rstrip("/").rpartition("/")[2], 14, 2)


def _guard_panels(guards: list) -> list[tuple[Callable[[Axes], None], int]]:
    return _series_panels(history.to_frame(guards))


def _series_panels(frame: pd.DataFrame) -> list[tuple[Callable[[Axes], None], int]]:
    """Return a panel for each trial on one machine, the largest change first.

    A panel is a function that draws it, and the number of its legend's lines.
    """
    changes = history.changes(frame)
    ordered = []
    for (machine, key), series in frame[frame["ratio"] > 0].groupby(
        ["machine", "key"], sort=False
    ):
        own = changes[(changes["machine"] == machine) & (changes["key"] == key)]
        if len(series) > 1:
            ordered.append((own["change"].abs().max(), series, own))
    ordered.sort(key=lambda panel: -np.nan_to_num(panel[0]))
    return [(_series(series, own), 0) for _, series, own in ordered]


def _series(series: pd.DataFrame, changes: pd.DataFrame) -> Callable[[Axes], None]:
    def paint(panel: Axes) -> None:
        ratio = series["ratio"].to_numpy(float)
        panel.plot(ratio, "o", markersize=3, color=figure.BLUE, alpha=0.7)
        starts = changes["place"].tolist()
        edges = [0, *starts, len(ratio)]
        for first, end in itertools.pairwise(edges):
            level = np.exp(np.log(ratio[first:end]).mean())
            panel.hlines(level, first - 0.4, end - 0.6, colors=figure.INK, linewidth=1)
        columns = zip(starts, changes["change"], changes["head"], strict=True)
        for start, change, head in columns:
            panel.axvline(start - 0.5, color=figure.VERMILION, linewidth=1)
            panel.annotate(
                figure.label(f"{100 * change:+.1f} %: {head}", 30, 1),
                (start - 0.5, 1),
                (3, -3),
                xycoords=panel.get_xaxis_transform(),
                textcoords="offset points",
                va="top",
                fontsize=7,
            )
        panel.xaxis.set_major_locator(MaxNLocator(MOST_TICKS, integer=True))
        first, last = series["started"].iloc[0], series["started"].iloc[-1]
        panel.set_xlabel(f"guard runs, {first:%Y-%m-%d} to {last:%Y-%m-%d}")
        panel.set_ylabel("seconds / reference's")
        panel.margins(y=0.25)
        figure.title(panel, series["key"].iloc[0])

    return paint
