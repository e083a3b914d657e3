"""Bars show when a few traced steps read, mapped, waited and trained; overlap is good.

The upper lanes are the pipeline, the lower lanes the consumer. With prefetch the
pipeline works while a step trains, and the waiting shrinks. Panels of a workload share
their scale, so a shorter panel is faster. Tracing makes steps slower than timed steps.
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench import text
from bench.pipeline import AXES
from bench.report import figure

MOST_PANELS = 8
LANES = {
    "read": figure.ORANGE,
    "map": figure.BLUE,
    "wait": figure.VERMILION,
    "train": figure.GREEN,
}


@figure.styled
def draw(table: pd.DataFrame) -> Figure | None:
    """Draw the traced steps of each trial's first traced run, a panel for each trial.

    Args:
        table: The samples, from `table.from_runs`, with the traced spans in `attrs`.
    """
    spans = table.attrs.get("spans", {})
    traced = table[table["run"].isin(spans)].drop_duplicates("run")
    traced = traced.drop_duplicates(["machine", "key"])
    if traced.empty:
        return None
    # Trials that differ in prefetch alone stand below each other.
    others = [name for name in AXES if name != "prefetch"]
    order = ["machine", "workload", "data", *others, "prefetch"]
    count = len(traced)
    traced = traced.sort_values(order, kind="stable")[
        : figure.panel_count(MOST_PANELS, len(traced))
    ]
    fig, axes = figure.panels([1.35] * len(traced))
    figure.note_cut(fig, len(traced), count)
    ends = {run: max(end for _, _, end in spans[run]) for run in traced["run"]}
    longest = traced["run"].map(ends).groupby(traced["workload"]).max()
    for panel, (_, row) in zip(axes, traced.iterrows(), strict=True):
        _panel(panel, spans[row["run"]], 1e3 * longest[row["workload"]])
        name = f"{text.scene_title(row)}: {row['label']}"
        figure.title(panel, name)
    return fig


def _panel(panel: Axes, spans: list[tuple[str, float, float]], longest: float) -> None:
    totals = dict.fromkeys(LANES, 0.0)
    for lane, (name, color) in enumerate(LANES.items()):
        own = [(1e3 * s, 1e3 * (e - s)) for n, s, e in spans if n == name]
        totals[name] = sum(width for _, width in own)
        panel.broken_barh(
            own, (lane - 0.38, 0.76), color=color, edgecolor=figure.INK, linewidth=0.3
        )
    steps = sum(name == "train" for name, *_ in spans)
    figure.name_rows(panel, list(LANES))
    panel.axhline(1.5, color=figure.INK, linewidth=0.6, alpha=0.4)
    panel.set_xlim(0, 1.02 * longest)
    waited = totals["wait"] / max(totals["wait"] + totals["train"], 1e-12)
    panel.set_xlabel(
        f"milliseconds; {steps} steps, waiting {100 * waited:.0f} % of the time"
    )
