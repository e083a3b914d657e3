"""This module makes the report as a page and as Markdown, with the same sections.

The page needs nothing from elsewhere. It allows just the scripts whose digests its
policy names, so text in a result can never run, and it may fetch nothing.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2
import pandas as pd
from markupsafe import Markup, escape

from bench import catalog, text
from bench.report import chart, details, figure, sections
from bench.report.summary import Report
from bench.trial import Run

MOST_FIGURES = 6  # scenes with a figure of their own; each takes half a second
MOST_ROWS = {"html": 2500, "md": 100}  # of a section, shared by its tables
MOST_TABLES = {"html": 2500, "md": 20}  # of a section, and comparisons at the head
MOST_DETAILS = 400  # trials whose samples, pipeline and graph are in the page
SCRIPT = Path(__file__).with_name("page.js")


def html(report: Report, whole: str) -> str:
    """Return the report as an HTML page.

    Args:
        report: The report.
        whole: The place of the rows that the page leaves out, such as `in report.json`.
    """
    content = report.content
    plots = catalog.entries("plots")
    figures = []
    for name, fig in report.figures():
        if name != "throughput":  # the scenes have their own
            caption = plots[name].summary
            svg = Markup(figure.svg(fig, name, f"{name}: {caption}"))
            figures.append({"caption": caption, "svg": svg})
    traces = _traces(content["scenes"], report.runs)
    spec = chart.specification(report.trials)
    data_tables, style = chart.data_tables()
    scripts = [data_tables, SCRIPT.read_text(encoding="utf-8")]
    if spec is not None:
        scripts.insert(0, chart.vega())
    return template("report.html.j2").render(
        **_shared(report, "html", whole),
        scene_figures=_scene_figures(content["scenes"], report.samples),
        figures=figures,
        caption=plots["throughput"].summary,
        traces=traces,
        trace_numbers={trace["pair"]: n for n, trace in enumerate(traces)},
        defaults=details.defaults(),
        chart=Markup(island(spec)) if spec is not None else "",
        chart_left=chart.left_out(report.trials),
        scripts=[Markup(script) for script in scripts],
        library_style=Markup(style),
        policy=policy(scripts),
    )


def markdown(report: Report, whole: str) -> str:
    """Return the report as Markdown.

    Args:
        report: The report.
        whole: The place of the rows that the Markdown leaves out, such as `in
            report.json`.
    """
    return template("report.md.j2").render(**_shared(report, "md", whole))


def _shared(report: Report, form: str, whole: str) -> dict[str, object]:
    """Return the variables that the templates of HTML and Markdown both need."""
    return {
        **report.content,
        "sections": [section for section in sections.sections(report) if section.rows],
        "most_rows": MOST_ROWS[form],
        "most_tables": MOST_TABLES[form],
        "whole": whole,
    }


def policy(scripts: Sequence[str]) -> str:
    """Return the content security policy of a page that may run only these scripts.

    Vega compiles its expressions, hence 'unsafe-eval'. Only the scripts that are named
    by their digests can use it.
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
    """Return a value as JSON that is safe within an HTML script element."""
    document = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        document = document.replace(character, f"\\u{ord(character):04x}")
    return document


@functools.cache
def template(name: str) -> jinja2.Template:
    """Load a Jinja template of this folder; templates of HTML escape what they show."""
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
    """Return a text as HTML whose lines may break after commas.

    An option and its value stay on one line.
    """
    shown = re.sub(r",(?!\d{3}\b)", ",<wbr>", str(escape(text)))  # not in numbers
    return Markup(re.sub(r"--[a-z]+ \d+", r'<code class="option">\g<0></code>', shown))


def _scene_figures(
    scenes: Sequence[Mapping[str, object]], samples: pd.DataFrame
) -> dict[int, Markup]:
    """Draw the throughput of the first scenes; return SVG by the scene's number.

    A scene is a set of trials that may be compared.
    """
    throughput = catalog.load(catalog.entries("plots")["throughput"])
    figures = {}
    for scene in scenes[: figure.panel_count(MOST_FIGURES, len(scenes))]:
        own = pd.Series(True, index=samples.index)
        for name, value in scene["names"].items():
            own &= samples[name] == value
        fig = throughput.draw(samples[own])
        if fig is not None:
            number = scene["number"]
            alternative = f"Speed by strategy. {scene['sentence']}"
            figures[number] = Markup(figure.svg(fig, f"scene{number}", alternative))
    return figures


def _traces(
    scenes: Sequence[Mapping[str, object]], runs: Sequence[Run]
) -> list[dict[str, object]]:
    """Return the facts behind trials, for as many trials as the page has room for.

    Each scene gets an equal share. Failed trials come first, because a reader looks for
    their errors.
    """
    share = max(1, MOST_DETAILS // max(len(scenes), 1))
    chosen = []
    for scene in scenes[:MOST_DETAILS]:
        rows = sorted(scene["rows"], key=lambda row: not row["failed"])
        chosen += [(scene, row) for row in rows[:share]]
    known = details.details(runs, [row["pair"] for _, row in chosen])
    return [
        {
            "pair": row["pair"],
            "title": scene["title"],
            "label": row["label"],
            "command": row["command"],
            **known[row["pair"]],
        }
        for scene, row in chosen
    ]
