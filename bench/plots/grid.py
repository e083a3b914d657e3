"""Cells have the speed against the plain cell, which is 1; brighter is faster.

Rows and columns are two settings that work together; all else is equal within a panel.
Small figures are 95 % intervals, paired within rounds. Empty cells were not measured or
may not be ranked.
"""

import itertools

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from bench import text
from bench.analysis import intervals, pairs, stats
from bench.pipeline import AXES
from bench.report import figure

MOST_PANELS = 6
ORDER = ("order",)
FILES = ("interleave_cycle_length", "interleave_block_length")
GRIDS = {ORDER: "map_parallel_calls", FILES: "interleave_parallel_calls"}
PLAIN = {name: axis.default for name, axis in AXES.items()}


@figure.styled
def draw(table: pd.DataFrame) -> Figure | None:
    """Draw heat maps of order by parallel calls, and of open files by parallel reads.

    Args:
        table: The samples, from `table.from_runs`.
    """
    runs = pairs.ranked(stats.runs(table))
    runs = runs[runs["log_seconds"].notna()]
    candidates = [
        (group, rows, column)
        for rows, column in GRIDS.items()
        for group in _groups(runs, [*rows, column])
    ]
    drawable = (
        (group.iloc[0], rows, column, cells)
        for group, rows, column in candidates
        if (cells := _cells(group, rows, column)) and len(_lines(cells, rows)) > 1
    )
    grids = list(itertools.islice(drawable, MOST_PANELS))  # cells take a while
    if not grids:
        return None
    heights = [1.1 + 0.42 * len({line for line, _ in g[3]}) for g in grids]
    fig, axes = figure.panels(heights)
    if len(grids) == MOST_PANELS:
        figure.note_cut(fig, len(grids), len(candidates))
    for panel, (one, rows, column, cells) in zip(axes, grids, strict=True):
        _panel(panel, cells, [_line(line, rows) for line in _lines(cells, rows)], rows)
        panel.set_xlabel(f"{column} (calls at a time)")
        size = f", batches of {one['batch_size']}"
        figure.title(panel, text.scene_title(one) + size, 48)
    return fig


def _groups(runs: pd.DataFrame, free: list[str]) -> list[pd.DataFrame]:
    """Return groups of runs whose trials differ in nothing but the axes in `free`."""
    fixed = [name for name in AXES if name not in free]
    by = ["machine", "workload", "consumer", "unit", "data", *fixed]
    trials = runs.groupby(by, sort=False)["key"].transform("nunique")
    several = runs[trials > 2]  # two trials are no grid, and most trials are in none
    return [group for _, group in several.groupby(by, sort=False)]


def _cells(
    group: pd.DataFrame, rows: tuple[str, ...], column: str
) -> dict[tuple[tuple, str], intervals.Interval]:
    """Return the speed of each cell relative to the cell with the default settings.

    The key of a cell is a pair: the values of the row's axes, and the value of the
    column's axis. The result is empty if the default cell was not measured.
    """
    keys = {
        (tuple(values[:-1]), str(values[-1])): part["key"].iloc[0]
        for values, part in group.groupby([*rows, column], sort=False)
    }
    plain = _plain(rows, column)
    if plain not in keys or len({name for _, name in keys}) < 2:
        return {}
    keys = {plain: keys.pop(plain), **keys}  # the first key is the baseline
    seconds = pairs.seconds(group, list(keys.values()))
    speeds = {
        place: pairs.ratio(seconds[:, 0], seconds[:, number])
        for number, place in enumerate(keys)
    }
    return {place: v for place, v in speeds.items() if np.isfinite(v.estimate)}


def _plain(rows: tuple[str, ...], column: str) -> tuple[tuple, str]:
    return tuple(PLAIN[name] for name in rows), str(PLAIN[column])


def _lines(cells: dict, rows: tuple[str, ...]) -> list[tuple]:
    return sorted({line for line, _ in cells}, reverse=rows == ORDER)  # plain first


def _panel(panel: Axes, cells: dict, names: list[str], rows: tuple[str, ...]) -> None:
    lines, plain = _lines(cells, rows), _plain(rows, GRIDS[rows])
    columns = sorted(
        {name for _, name in cells},
        key=lambda name: (not name.isdigit(), int(name) if name.isdigit() else 0),
    )
    speed = np.full((len(lines), len(columns)), np.nan)
    for (line, name), interval in cells.items():
        speed[lines.index(line), columns.index(name)] = interval.estimate
    norm = LogNorm(min(np.nanmin(speed), 1 / 1.1), max(np.nanmax(speed), 1.1))
    panel.pcolormesh(
        np.ma.masked_invalid(speed),
        norm=norm,
        cmap=mpl.colormaps["cividis"],
        edgecolor="white",
    )
    for place, interval in cells.items():
        across, down = columns.index(place[1]) + 0.5, lines.index(place[0])
        values = interval.estimate, interval.low, interval.high
        factor = "1" if place == plain else f"\u00d7{text.figure(*values)}"
        bounds = "" if place == plain else text.bounds(*values)
        style = {
            "color": "white" if norm(interval.estimate) < 0.5 else figure.GREY_INK,
            "ha": "center",
            "va": "center",
        }
        panel.text(across, down + (0.36 if bounds else 0.5), factor, **style)
        panel.text(across, down + 0.74, bounds, fontsize=6.5, **style)
    panel.grid(False)
    panel.invert_yaxis()
    panel.tick_params(length=0)
    panel.spines[:].set_visible(False)
    panel.set_yticks(np.arange(len(lines)) + 0.5, names)
    panel.set_xticks(np.arange(len(columns)) + 0.5, columns)


def _line(values: tuple, rows: tuple[str, ...]) -> str:
    if rows == ORDER:
        return str(values[0])
    files, block = values
    name = f"{files} file{'s' if files > 1 else ''} open"
    return name if block == 1 else f"{name},\nblocks of {block}"
