"""Dots are all samples in the order of timing, a colour a run; a slope is drift.

Each panel is one trial, the most scattered first; 1.0 is the trial's median. Steps
between colours are differences between processes; steps within a colour are
disturbances.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench import text
from bench.analysis import stats
from bench.report import figure

MOST_TRIALS = 12
COLUMNS = 2
NARROWEST = 0.1  # the axis spans at least 1 -+ this, so that small noise looks small


@figure.styled
def draw(table: pd.DataFrame) -> Figure | None:
    """Draw the samples of each trial relative to its median, a panel for each trial.

    Args:
        table: The samples, from `table.from_runs`.
    """
    trials = stats.trials(table)
    trials = trials[trials["runs"] > 0]
    if trials.empty:
        return None
    names = trials.groupby("scene")["label"].transform(figure.short_names)
    trials = trials.assign(name=names).sort_values(
        "spread", ascending=False, na_position="last"
    )
    shown = trials.head(figure.panel_count(MOST_TRIALS, len(trials)))
    rows = -(-len(shown) // COLUMNS)
    fig, axes = figure.panels([1.3] * rows, COLUMNS)
    figure.note_cut(fig, len(shown), len(trials))
    several = trials["scene"].nunique() > 1
    for panel, (_, trial) in zip(axes, shown.iterrows(), strict=False):
        own = (table["machine"] == trial["machine"]) & (table["key"] == trial["key"])
        _panel(panel, table[own & table["seconds_per_batch"].notna()])
        name = trial["name"]
        name = f"{text.scene_title(trial)}: {name}" if several else name
        panel.set_title(figure.label(name, 32, 3), fontsize=8)
    for panel in axes[len(shown) :]:
        panel.set_visible(False)
    fig.supxlabel("samples, in the order in which they were timed", fontsize=9)
    fig.supylabel("seconds a batch,\ntrial's median = 1", fontsize=9)
    return fig


def _panel(panel: Axes, samples: pd.DataFrame) -> None:
    seconds = samples["seconds_per_batch"].to_numpy()
    relative = seconds / np.median(seconds)
    number = pd.factorize(samples["run"])[0]
    colors = np.array([figure.BLUE, figure.ORANGE, figure.GREEN, figure.PURPLE])
    panel.scatter(
        np.arange(len(seconds)),
        relative,
        s=6,
        c=colors[number % len(colors)],
        linewidths=0,
        rasterized=len(seconds) > 500,
    )
    reach = max(NARROWEST, 1.1 * np.max(np.abs(relative - 1)))
    panel.set_ylim(max(0, 1 - reach), 1 + reach)
    panel.axhline(1, color=figure.INK, linewidth=0.6, alpha=0.5)
    panel.set_xticks([])
