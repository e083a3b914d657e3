"""The report as one page that needs nothing from elsewhere: figures, tables, scripts.

The page allows just the scripts whose digests its policy names, so text in a result
can never run; it may fetch nothing at all.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path

import jinja2
import pandas as pd
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from bench import catalog, text
from bench.report import chart, details, layers
from bench.report import figure as figures
from bench.trial import Run

MOST_FIGURES = 6  # scenes with a figure of their own; each takes half a second
MOST_ROWS = 2500
MOST_ERRORS = 200
MOST_DETAILS = 400  # trials whose samples, pipeline and graph are in the page
SCRIPT = Path(__file__).with_name("page.js")


def html(
    content: dict[str, object],
    runs: Sequence[Run],
    samples: pd.DataFrame,
    drawn: dict[str, Figure],
) -> str:
    """The whole page.

    Args:
        content: From `summary.summarize`, and `source`, the folders for its last line.
        runs: The records.
        samples: Their table.
        drawn: The figures of the shelf that have trials, by name.
    """
    _scene_figures(content["scenes"], samples)
    most_rows = MOST_ROWS // max(len(content["scenes"]), 1) + 1
    plots = catalog.entries("plots")
    inlined = []
    for name, image in drawn.items():
        if name != "throughput":
            caption = plots[name].summary
            svg = Markup(figures.svg(image, name, f"{name}: {caption}"))
            inlined.append({"caption": caption, "svg": svg})
    traced = _traced(content["scenes"], runs, most_rows)
    spec = chart.specification(content["ranked"])
    data_tables, style = chart.data_tables()
    scripts = [data_tables, SCRIPT.read_text(encoding="utf-8")]
    if spec is not None:
        scripts.insert(0, chart.vega())
    return template("report.html.j2").render(
        **content,
        figures=inlined,
        caption=plots["throughput"].summary,
        most_rows=most_rows,
        most_errors=MOST_ERRORS,
        traced=traced,
        defaults=details.defaults(),
        placements=layers.PLACEMENTS,
        chart=Markup(island(spec)) if spec is not None else "",
        scripts=[Markup(script) for script in scripts],
        library_style=Markup(style),
        policy=policy(scripts),
    )


def policy(scripts: Sequence[str]) -> str:
    """The content security policy of a page with just these scripts.

    Vega compiles its expressions, hence 'unsafe-eval'; only the scripts named by their
    digests can come to use it.
    """
    digests = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'"
        for s in scripts
    )
    return (
        f"default-src 'none'; script-src {digests} 'unsafe-eval'; "
        "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    )


def island(value: object) -> str:
    """JSON that is safe within an HTML script element."""
    spelled = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        spelled = spelled.replace(character, f"\\u{ord(character):04x}")
    return spelled


@functools.cache
def template(name: str) -> jinja2.Template:
    """A template of ours; HTML is escaped in those that make HTML."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=name.endswith(".html.j2"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "text": text.markdown,
        "code": text.markdown_code,
        "breaking": _breaking,
    }
    return environment.get_template(name)


def _breaking(text: str) -> Markup:
    """Names may break after commas, an option and its value may not break."""
    shown = str(escape(text).replace(",", Markup(",<wbr>")))
    return Markup(re.sub(r"--[a-z]+ \d+", r'<code class="option">\g<0></code>', shown))


def _scene_figures(scenes: Sequence[dict[str, object]], samples: pd.DataFrame) -> None:
    throughput = catalog.load(catalog.entries("plots")["throughput"])
    for number, scene in enumerate(scenes[: figures.most(MOST_FIGURES, len(scenes))]):
        own = pd.Series(True, index=samples.index)
        for name, value in scene["names"].items():
            own &= samples[name] == value
        image = throughput.draw(samples[own])
        if image is not None:
            alternative = f"Speed by strategy. {scene['sentence']}"
            scene["figure"] = Markup(figures.svg(image, f"scene{number}", alternative))


def _traced(
    scenes: Sequence[dict[str, object]], runs: Sequence[Run], most_rows: int
) -> list[dict[str, object]]:
    """The rows that have details, each with its `trace` number; an equal share a scene.

    Failed trials come first: their errors are what one looks for.
    """
    share = max(1, MOST_DETAILS // max(len(scenes), 1))
    chosen = []
    for scene in scenes[:MOST_DETAILS]:
        rows = sorted(scene["rows"][:most_rows], key=lambda row: not row["failed"])
        chosen += [(scene, row) for row in rows[:share]]
    found = details.details(runs, [row["pair"] for _, row in chosen])
    for number, (scene, row) in enumerate(chosen):
        row["trace"] = number
        row["details"] = {"title": scene["title"], **found[row["pair"]]}
    return [row for _, row in chosen]
