"""One look for all figures: size, colours, text that is safe to draw, SVG to inline.

Figures are made without pyplot: nothing global, nothing to close. Colours are those of
Okabe and Ito (2008), which the colour-blind can tell apart.
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

from bench.report import labels as naming
from bench.text import visible

INK = "#1b1b1a"  # becomes the page's text colour where the figure is inlined
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
GREY_INK = "#1c1c1c"  # ink on a coloured cell, whatever the page's own
DARK = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY)  # lines show on white too
USUAL_NAME = 24  # characters of a line
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
    """Decorator of a `draw(table)`: the house's style and no other while it runs.

    A table without rows gives no figure.
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
    """A figure of panels below each other, `heights` in inches, one for each row."""
    figure = Figure(figsize=(WIDTH, sum(heights)), layout="constrained")
    grid = figure.subplots(
        len(heights), columns, squeeze=False, gridspec_kw={"height_ratios": heights}
    )
    return figure, list(grid.flat)


def most(usual: int, found: int) -> int:
    """How many panels to draw: fewer where so many are left out that a sample will do.

    Each takes a tenth of a second to lay out and write.
    """
    return usual if found <= 4 * usual else min(usual, 2)


def note(figure: Figure, shown: int, found: int) -> None:
    """Say above a figure that it shows some of its panels, and how to see the rest."""
    if shown < found:
        figure.suptitle(
            f"{shown} of {found} panels; for others draw a part of the table",
            x=0.01,
            ha="left",
            fontsize=8,
        )


def rows(axes: Axes, labels: list[str]) -> np.ndarray:
    """Name the rows of a horizontal chart, first on top; returns their positions."""
    places = np.arange(len(labels))
    style = {"fontsize": 8} if _long(labels) else {}
    axes.set_yticks(places, _lines(labels), **style)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
    return places


def title(axes: Axes, text: str, width: int = 54) -> None:
    """Write above a panel what it shows; further lines make the figure higher."""
    shown = label(text, width)
    axes.set_title(shown)
    _grow(axes.get_figure(), TITLE_LINE * shown.count("\n"))


def legend_below(figure: Figure, handles: list[Artist], labels: list[str]) -> None:
    """Name the colours below all panels; the figure grows by the legend's height."""
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


def names(labels: Iterable[str]) -> list[str]:
    """What sets each trial of a scene apart, in as few characters as that takes."""
    labels = list(labels)
    called = naming.names(labels)
    return [called[label] for label in labels]


def row_inches(labels: list[str], usual: float) -> float:
    """How high a row must be for names of three lines."""
    return max(usual, 0.14 * max(text.count("\n") + 1 for text in _lines(labels)))


def _long(labels: list[str]) -> bool:
    return max(map(len, labels), default=0) > USUAL_NAME


def _lines(labels: list[str]) -> list[str]:
    width, lines = (30, 3) if _long(labels) else (USUAL_NAME, 2)
    return [label(text, width, lines) for text in labels]


def label(text: object, width: int = 24, lines: int = 2) -> str:
    """Text that can be drawn: wrapped, cut, no mathematics, no missing glyphs."""
    known = _glyphs()
    shown = "".join(c if ord(c) in known else "\u25a1" for c in visible(text))
    # Long spelled settings have no blanks: let them break after a comma.
    spaced = re.sub(r",(?=\S)", ", ", shown)
    spaced = re.sub(rf"(\S{{{width - 2}}})(?=\S)", r"\1 ", spaced)
    wrapped = textwrap.wrap(spaced, width, max_lines=lines, placeholder=" ...") or [""]
    return "\n".join(wrapped).replace("$", r"\$")


def svg(figure: Figure, name: str, alternative: str) -> str:
    """A figure as an SVG element to put into a page.

    Args:
        figure: The figure.
        name: A prefix that keeps its ids apart from those of other figures.
        alternative: What a reader who cannot see it is told.
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
    """A figure as matplotlib writes SVG; drawing takes long, so it is done once."""
    if figure not in _written:
        out = io.BytesIO()
        with (
            mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "feedrate"}),
            _laid_out(figure),
        ):
            nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
            figure.savefig(
                out, format="svg", transparent=True, dpi=150, metadata=nothing
            )
        _written[figure] = out.getvalue().decode()
    return _written[figure]


@contextlib.contextmanager
def _laid_out(figure: Figure) -> Iterator[None]:
    """Lay a figure out beforehand, as matplotlib would draw all of it for that."""
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
