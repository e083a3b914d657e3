"""This module has the page's chart and the JavaScript libraries that the page inlines.

Altair makes the chart as a Vega-Lite specification and validates it. The libraries come
from installed packages, so that making a page needs no network.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import importlib.resources
import itertools
import os
import re

import altair
import pandas as pd
import platformdirs
import vl_convert

from bench import text
from bench.report import figure, labels, summary
from bench.text import plural

MOST_BARS = 40  # trials of a scene that the chart shows, fastest first
MOST_SCENES = 30
LINE = 12  # pixels
REACH = 2.0  # intervals are cut at this many times the range of the estimates


def specification(trials: pd.DataFrame) -> dict[str, object] | None:
    """Return a chart of each trial's examples a second, one scene at a time.

    A scene is a set of trials that may be compared. The reader selects it on the page.

    Args:
        trials: The table from `stats.trials`, in the order to show.

    Returns:
        The Vega specification with its data; None if no trial was measured.
    """
    rows = _rows(trials)
    if rows.empty:
        return None
    scenes = list(dict.fromkeys(rows["scene"]))
    chosen = altair.param(
        name="scene",
        value=scenes[0],
        bind=altair.binding_select(options=scenes, name="Show "),
    )
    colors = altair.Scale(
        domain=["best", "ranked", "not ranked"],
        range=[figure.VERMILION, figure.BLUE, figure.GREY],
    )
    y = altair.Y("name:N", sort=None, title=None)
    lines = 1 + rows["name"].str.count("\n").max()
    base = (
        altair.Chart(altair.InlineData(values=rows.to_dict("records")))
        .transform_filter("datum.scene == scene")
        .encode(
            y=y.axis(
                labelLimit=180,
                labelLineHeight=LINE,
                labelExpr="split(datum.label, '\\n')",
            ),
            color=altair.Color("mark:N", scale=colors, title=None).legend(
                orient="bottom"
            ),
            tooltip=["trial:N", "rate:N", "factor:N", "verdict:N"],
        )
    )
    x = {
        "title": "examples a second (log scale)",
        "scale": altair.Scale(type="log", nice=False, zero=False, padding=8),
    }
    bars = base.mark_rule(strokeWidth=3).encode(
        x=altair.X("low:Q", **x).axis(tickCount=5, format="~s"), x2="high:Q"
    )
    points = base.mark_point(filled=True, size=90, opacity=1).encode(
        x=altair.X("value:Q", **x)
    )
    chart = (bars + points).add_params(chosen)
    chart = chart.properties(
        width="container",
        height={"step": LINE * int(lines) + 10},
        autosize={"type": "fit-x", "contains": "padding"},
        padding={"left": 12, "top": 5, "right": 5, "bottom": 5},  # fonts may be wider
    )
    chart = chart.configure(background="transparent", font="sans-serif")
    spec = chart.configure_view(stroke=None).to_dict()
    # Compiled here, because Vega-Lite in the page writes warnings to the console.
    return vl_convert.vegalite_to_vega(spec)


@functools.cache
def vega() -> str:
    """Return Vega, Vega-Lite and vega-embed as one JavaScript module.

    The module sets `vegaEmbed`. Bundling takes seconds, and the bundle depends on the
    version alone, so a file in the user's cache holds it.
    """
    version = importlib.metadata.version("vl-convert-python")
    cache = platformdirs.user_cache_path("feedrate") / f"vega-{version}.js"
    with contextlib.suppress(OSError):
        return _inert(cache.read_text(encoding="utf-8"))
    bundle = vl_convert.javascript_bundle()
    with contextlib.suppress(OSError):  # a cache that cannot be written is not used
        cache.parent.mkdir(parents=True, exist_ok=True)
        partial = cache.with_suffix(f".{os.getpid()}")
        partial.write_text(bundle, encoding="utf-8")
        partial.replace(cache)
    return _inert(bundle)


@functools.cache
def data_tables() -> tuple[str, str]:
    """Return the JavaScript module and the style sheet of DataTables.

    The module sets `DataTable`.
    """
    folder = importlib.resources.files("itables") / "html"
    module = (folder / "dt_bundle.js").read_text(encoding="utf-8")
    exported = re.findall(r"([\w$]+) as ITable\b", module)
    if len(exported) != 1:
        raise RuntimeError(
            "itables no longer exports ITable: see bench/report/chart.py."
        )
    module += f"\nwindow.DataTable = {exported[0]};"
    style = (folder / "dt_bundle.css").read_text(encoding="utf-8")
    return _inert(module), style.replace("</", "<\\/")


def _inert(script: str) -> str:
    """Return a script that cannot end its own HTML element or open a comment in it."""
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def left_out(trials: pd.DataFrame) -> str:
    """Return a sentence on what the chart leaves out; empty if it shows every trial.

    Args:
        trials: The table from `stats.trials`.
    """
    sizes = _measured(trials).groupby("scene", sort=False).size()
    scenes = len(sizes) - MOST_SCENES
    slow = int((sizes.iloc[:MOST_SCENES] - MOST_BARS).clip(lower=0).sum())
    parts = [f"{scenes} of {len(sizes)} comparisons"] if scenes > 0 else []
    if slow:
        parts.append(
            f"{plural(slow, 'trial')} beyond the {MOST_BARS} fastest of a comparison"
        )
    left = " and ".join(parts)
    return f"Left out here, but in the tables below: {left}." if parts else ""


def _measured(trials: pd.DataFrame) -> pd.DataFrame:
    return trials[trials["runs"] > 0] if len(trials) else trials


def _scenes(trials: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the measured trials of each scene in the chart, by a unique name."""
    measured = _measured(trials)
    several = len(measured) > 0 and measured["machine"].nunique() > 1
    grouped = measured.groupby("scene", sort=False)
    scenes: dict[str, pd.DataFrame] = {}
    for number, scene in itertools.islice(grouped, MOST_SCENES):
        name = text.scene_title(scene.iloc[0])
        if several:
            name += f" on {text.visible(scene['machine'].iloc[0])}"
        if name in scenes:  # both names were cut
            name += f", scene {number}"
        scenes[name] = scene
    return scenes


def _rows(trials: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for name, scene in _scenes(trials).items():
        fastest = scene.sort_values(
            ["ranked", "examples_per_second"], ascending=[False, False]
        ).head(MOST_BARS)
        names = labels.names(list(scene["label"]))
        values = fastest["examples_per_second"]
        ends = values.min() / REACH, values.max() * REACH
        for row in fastest.to_dict("records"):
            value = float(row["examples_per_second"])
            low, high = row["examples_per_second_low"], row["examples_per_second_high"]
            factor, interval = text.rounded_with_bounds(row, "factor")
            rate, bounds = text.rounded_with_bounds(row, "examples_per_second")
            rows.append(
                {
                    "scene": name,
                    "name": text.wrapped(names[row["label"]], 28),
                    "trial": text.visible(row["label"], 80),
                    "value": _short(value),
                    "low": _short(max(low, ends[0]) if pd.notna(low) else value),
                    "high": _short(min(high, ends[1]) if pd.notna(high) else value),
                    "rate": f"{rate} ({bounds})" if bounds else rate,
                    "factor": f"{factor} ({interval})" if interval else factor,
                    "verdict": summary.verdict(row),
                    "mark": "best"
                    if row["best"]
                    else ("ranked" if row["ranked"] else "not ranked"),
                }
            )
    return pd.DataFrame(rows)


def _short(value: float) -> float:
    return float(f"{value:.5g}")
