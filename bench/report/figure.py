"""This module has the common style of all figures: size, colours, safe text, SVG.

Figures do not use pyplot, so there is no global state and nothing to close. The colours
are those of Okabe and Ito (2008), which colour-blind readers can distinguish.
"""

from __future__ import annotations

import contextlib
import functools
import io
import re
import textwrap
import weakref
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable, Iterator

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import font_manager
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.report.labels import names
from bench.text import visible

INK = "#1b1b1a"  # becomes the page's text colour in an inlined figure
BLUE, ORANGE, GREEN, YELLOW, SKY, VERMILION, PURPLE = PALETTE = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#F0E442",
    "#56B4E9",
    "#D55E00",
    "#CC79A7",
)
GREY = "#8c8c88"
GREY_INK = "#1c1c1c"  # ink on a coloured cell, in a light and in a dark page
DARK = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY)  # colours of lines on white
USUAL_NAME = 24  # characters a line
WIDTH = 4.8  # inches: 9 points stay legible on a screen 390 pixels wide
LEGEND_COLUMNS = 3
LEGEND_LINE = 0.17  # inches
TITLE_LINE = 0.17
SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"
_written: weakref.WeakKeyDictionary[Figure, str] = weakref.WeakKeyDictionary()

STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.2,
    "grid.color": INK,
    "hatch.linewidth": 0.6,
    "svg.fonttype": "none",
    **dict.fromkeys(
        (
            "text.color",
            "axes.edgecolor",
            "axes.labelcolor",
            "axes.titlecolor",
            "xtick.color",
            "ytick.color",
            "hatch.color",
        ),
        INK,
    ),
}


def styled(draw: Callable) -> Callable:
    """Decorate a function `draw(table)` so that this module's style applies in it.

    Other settings of matplotlib do not apply. A table without rows gives None, no
    figure.
    """

    @functools.wraps(draw)
    def wrapped(table: pd.DataFrame) -> Figure | None:
        if table.empty:
            return None
        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update(STYLE)
            return draw(table)

    return wrapped


def panels(heights: list[float], columns: int = 1) -> tuple[Figure, list[Axes]]:
    """Return a new figure and its panels, in rows of these heights in inches."""
    figure = Figure(figsize=(WIDTH, sum(heights)), layout="constrained")
    grid = figure.subplots(
        len(heights), columns, squeeze=False, gridspec_kw={"height_ratios": heights}
    )
    return figure, list(grid.flat)


def panel_count(most: int, available: int) -> int:
    """Return how many panels to draw, at most `most`, of the panels available.

    If most of them are left out anyway, only two are drawn, because each panel takes a
    tenth of a second to lay out and write.
    """
    return most if available <= 4 * most else min(most, 2)


def note_cut(figure: Figure, shown: int, available: int) -> None:
    """Write above a figure how many of its panels it shows, if some are left out."""
    if shown < available:
        figure.suptitle(
            f"{shown} of {available} panels; a report on fewer trials shows others",
            x=0.01,
            ha="left",
            fontsize=8,
        )


def name_rows(axes: Axes, labels: list[str]) -> np.ndarray:
    """Write the names of a chart's rows, first on top; return their positions."""
    places = np.arange(len(labels))
    style = {"fontsize": 8} if _long(labels) else {}
    axes.set_yticks(places, _lines(labels), **style)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
    return places


def title(axes: Axes, text: str, width: int = 54) -> None:
    """Set a panel's title; if it has several lines, make the figure higher."""
    lines = label(text, width)
    axes.set_title(lines)
    _grow(axes.get_figure(), TITLE_LINE * lines.count("\n"))


def legend_below(figure: Figure, handles: list[Artist], labels: list[str]) -> None:
    """Add a legend below all panels; the figure grows by the legend's height."""
    figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=LEGEND_COLUMNS,
        frameon=False,
    )
    lines = -(-len(labels) // LEGEND_COLUMNS)
    _grow(figure, LEGEND_LINE * (lines + 1))


def _grow(figure: Figure, inches: float) -> None:
    figure.set_figheight(figure.get_figheight() + inches)


def short_names(labels: Iterable[str]) -> list[str]:
    """Return the shortest names that distinguish trials which are shown together."""
    labels = list(labels)
    by_label = names(labels)
    return [by_label[label] for label in labels]


def row_inches(labels: list[str], usual: float) -> float:
    """Return the height of a chart's row in inches, so that the longest name fits."""
    return max(usual, 0.14 * max(text.count("\n") + 1 for text in _lines(labels)))


def _long(labels: list[str]) -> bool:
    return max(map(len, labels), default=0) > USUAL_NAME


def _lines(labels: list[str]) -> list[str]:
    width, lines = (30, 3) if _long(labels) else (USUAL_NAME, 2)
    return [label(text, width, lines) for text in labels]


def label(text: object, width: int = 24, lines: int = 2) -> str:
    """Return a text that matplotlib can draw: wrapped, cut, and without markup.

    A square replaces each character that the font lacks.
    """
    known = _glyphs()
    shown = "".join(c if ord(c) in known else "\u25a1" for c in visible(text))
    # Long settings have no blanks, so lines break after a comma.
    spaced = re.sub(r",(?=\S)", ", ", shown)
    spaced = re.sub(rf"(\S{{{width - 2}}})(?=\S)", r"\1 ", spaced)
    wrapped = textwrap.wrap(spaced, width, max_lines=lines, placeholder=" ...") or [""]
    return "\n".join(wrapped).replace("$", r"\$")


def svg(figure: Figure, name: str, alternative: str) -> str:
    """Return a figure as an SVG element of a page.

    Args:
        figure: The figure.
        name: A prefix that makes the ids unique in the page.
        alternative: The text for readers who cannot see the figure.
    """
    root = ElementTree.fromstring(vector(figure))
    for parent in root.iter():
        for child in list(parent):
            if child.tag == f"{{{SVG}}}metadata" or "}RDF" in child.tag:
                parent.remove(child)
    for element in root.iter():
        for key, value in element.attrib.items():
            element.set(key, _attribute(key, value, name))
    width = float(root.get("width", "360pt").removesuffix("pt"))
    for size in ("width", "height"):
        root.attrib.pop(size, None)
    root.set("style", f"max-width: {1.5 * width:.0f}px")
    root.set("role", "img")
    root.set("aria-label", visible(alternative, 2000))
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", XLINK)
    return ElementTree.tostring(root, encoding="unicode")


def vector(figure: Figure) -> str:
    """Return a figure as matplotlib's SVG.

    Drawing is slow, so the SVG of a figure is stored and reused.
    """
    if figure not in _written:
        out = io.BytesIO()
        with (
            mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "feedrate"}),
            _laid_out(figure),
        ):
            no_metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
            figure.savefig(
                out, format="svg", transparent=True, dpi=150, metadata=no_metadata
            )
        _written[figure] = out.getvalue().decode()
    return _written[figure]


@contextlib.contextmanager
def _laid_out(figure: Figure) -> Iterator[None]:
    """Lay a figure out once, and switch its layout engine off while the block runs.

    Otherwise matplotlib's engine would draw the figure once more.
    """
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine(None)
    yield
    figure.set_layout_engine(engine)


def _attribute(key: str, value: str, name: str) -> str:
    if key == "id":
        return f"{name}-{value}"
    if key in ("href", f"{{{XLINK}}}href"):
        return f"#{name}-{value[1:]}" if value.startswith("#") else value
    value = value.replace("url(#", f"url(#{name}-")
    return value.replace(INK, "currentColor") if key == "style" else value


@functools.cache
def _glyphs() -> frozenset[int]:
    path = font_manager.findfont(STYLE["font.family"])
    return frozenset(font_manager.get_font(path).get_charmap())
