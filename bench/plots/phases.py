"""Bars stack the seconds spent once before the steady state, by phase (run medians).

A long bar costs short jobs much and long jobs little. `offline` is the preparation of
stored examples, `fill` the first pass that fills a cache, and `ramp` the time until the
speed is steady.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bench import text
from bench.analysis import stats
from bench.report import figure

MOST_ROWS = 24
PHASES = {
    "adapt": figure.BLUE,
    "offline": figure.GREEN,
    "build": figure.VERMILION,
    "trace": figure.ORANGE,
    "first_batch": figure.SKY,
    "fill": figure.PURPLE,
    "ramp": figure.YELLOW,
}


@figure.styled
def draw(table: pd.DataFrame) -> Figure | None:
    """Draw the seconds of each phase of each trial as stacked bars.

    Args:
        table: The samples, from `table.from_runs`.
    """
    columns = [f"{name}_seconds" for name in PHASES]
    runs = stats.runs(table)
    runs = runs[runs[columns].notna().any(axis=1)]
    if runs.empty:
        return None
    trials = runs.groupby(["machine", "key"], sort=False)
    medians = trials[columns].median().fillna(0.0)
    names = trials.first().loc[medians.index]
    order = np.argsort(-medians.sum(axis=1).to_numpy(), kind="stable")[:MOST_ROWS]
    rows, names = medians.iloc[order], names.iloc[order]
    scenes = [text.scene_title(name) for _, name in names.iterrows()]
    several = len(set(scenes)) > 1
    labels = _names(names["label"], scenes, several=several)
    inches = figure.row_inches(labels, 0.34)
    fig, (panel,) = figure.panels([0.85 + inches * len(rows)])
    places = figure.name_rows(panel, labels)
    left = np.zeros(len(rows))
    for name, color in PHASES.items():
        seconds = rows[f"{name}_seconds"].to_numpy(float)
        if seconds.any():
            panel.barh(
                places,
                seconds,
                left=left,
                height=0.65,
                color=color,
                label=name,
                edgecolor=figure.INK,
                linewidth=0.4,
            )
        left += seconds
    panel.set_xlabel("seconds")
    cut = (
        f"longest {len(rows)} of {len(medians)} trials"
        if len(medians) > len(rows)
        else ""
    )
    figure.title(panel, cut or ("" if several else scenes[0]))
    figure.legend_below(fig, *panel.get_legend_handles_labels())
    return fig


def _names(labels: pd.Series, scenes: list[str], *, several: bool) -> list[str]:
    """Return names of trials that have only the settings in which the trials differ.

    If there are several scenes (sets of comparable trials), the name of the scene comes
    first.
    """
    own = labels.groupby(np.array(scenes)).transform(figure.short_names)
    return [
        f"{scene}: {name}" if several else name
        for scene, name in zip(scenes, own, strict=True)
    ]
