"""This module writes a guard's result: terminal, Markdown, JSON, JUnit and GitHub.

`sentences` makes the text, safe to show; this module gives the text its form.
"""

from __future__ import annotations

import json
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from bench import shell
from bench.analysis.verdicts import OUTCOMES
from bench.errors import EXITS, Exit
from bench.guard import sentences
from bench.guard.record import GuardResult, Row
from bench.text import markdown as escaped
from bench.text import visible

MOST_ROWS = 500  # a job summary may have 1 MiB; the JSON has them all
MOST_ANNOTATIONS = 10  # GitHub shows no more of a level for each step


def terminal(guarded: GuardResult, code: int, console: object = None) -> None:
    """Print the outcome, a table, and one line a cause.

    Args:
        guarded: The result.
        code: The exit code of the result.
        console: A console of `shell.console`; standard output if None.
    """
    from rich.table import Table
    from rich.text import Text

    console = console or shell.console(highlight=False)
    outcome = Text(
        sentences.title(guarded, code),
        "bold " + ("green" if code == Exit.OK else "red"),
    )
    console.print(outcome, soft_wrap=True)
    console.print(Text(sentences.compared(guarded)), soft_wrap=True)
    if guarded.rows:
        grid = Table(box=None, pad_edge=False, header_style="dim")
        grid.add_column("trial", overflow="fold", ratio=1)
        columns = sentences.columns(guarded)
        verdict = columns.index("verdict")
        for column in columns:
            justify = "left" if column == "verdict" else "right"
            grid.add_column(column, justify=justify, no_wrap=True)
        for row in sentences.gravest_first(guarded.rows):
            cells = [Text(cell) for cell in sentences.cells(row)]
            cells[verdict].stylize(_colour(row))
            grid.add_row(Text(sentences.name(row)), *cells)
        console.print(grid)
    for line in sentences.lines(guarded):
        console.print(Text(line), soft_wrap=True)


def _colour(row: Row) -> str:
    """Return the verdict's colour; faster with other outputs is a warning."""
    doubtful = row.verdict == "faster" and row.output_changed
    return OUTCOMES["unknown" if doubtful else row.verdict].style


def markdown(guarded: GuardResult, code: int) -> str:
    """Return the result as GitHub's Markdown, for a job summary or a comment."""
    parts = [
        f"## {escaped(sentences.title(guarded, code))}",
        "",
        escaped(sentences.compared(guarded)),
    ]
    if guarded.rows:
        parts += ["", f"| trial | {' | '.join(sentences.columns(guarded))} |"]
        parts += ["| --- | --: | --: | --: | --- | --: |"]
        for row in sentences.gravest_first(guarded.rows)[:MOST_ROWS]:
            cells = (sentences.name(row), *sentences.cells(row))
            parts.append(f"| {' | '.join(escaped(cell) for cell in cells)} |")
        if len(guarded.rows) > MOST_ROWS:
            parts += ["", f"... and {len(guarded.rows) - MOST_ROWS} more."]
    parts += ["", *(f"- {escaped(t)}" for t in sentences.lines(guarded, MOST_ROWS))]
    return "\n".join(parts) + "\n"


def as_json(guarded: GuardResult, code: int) -> str:
    """Return the result as JSON text, with the exit code and the outcome in words.

    `##[` is escaped, since a CI runner obeys it anywhere in a line.
    """
    outcome = {"exit_code": code, "outcome": EXITS[Exit(code)].guard}
    text = json.dumps(outcome | msgspec.to_builtins(guarded), indent=2)
    return text.replace("##[", "##\\u005b")  # a CI runner obeys this anywhere in a line


def junit(guarded: GuardResult, *, unknown_passes: bool = False) -> bytes:
    """Return JUnit XML: one test case a row, which passes only if it has a verdict.

    `slower` and `unknown` are failures; `failed`, `missing` and `not comparable` are
    errors. Figures are in the properties of each case.

    Args:
        guarded: The result.
        unknown_passes: Whether `unknown` is skipped and no failure.
    """
    cases = [_case(row, unknown_passes) for row in guarded.rows]
    if not cases:
        empty = ElementTree.Element("testcase", classname="guard", name="guard")
        _add_outcome(empty, "error", "nothing", "nothing was compared")
        cases = [empty]
    counts = {
        "tests": str(len(cases)),
        "failures": str(sum(case.find("failure") is not None for case in cases)),
        "errors": str(sum(case.find("error") is not None for case in cases)),
        "skipped": str(sum(case.find("skipped") is not None for case in cases)),
        "time": f"{guarded.seconds:.3f}",
    }
    root = ElementTree.Element("testsuites", name="feedrate guard", **counts)
    suite = ElementTree.SubElement(root, "testsuite", counts)
    suite.set("name", sentences.compared(guarded))
    suite.set("timestamp", _xml(guarded.started))
    facts = {"base": guarded.base, "head": guarded.head, "how": guarded.how}
    facts |= {"false_alarms": guarded.false_alarms, "seed": guarded.seed}
    _add_properties(suite, facts)
    suite.extend(cases)
    log = ElementTree.SubElement(suite, "system-out")
    log.text = "\n".join(sentences.lines(guarded))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


def github(guarded: GuardResult, code: int, environment: Mapping[str, str]) -> None:
    """Write annotations to standard error, and the job summary, on GitHub's runners.

    Args:
        guarded: The result.
        code: The exit code of the result.
        environment: `os.environ`; nothing is written unless GITHUB_ACTIONS is `true`.
    """
    for level, title, text in _annotations(guarded, code):
        annotate(level, title, text, environment)
    summary = environment.get("GITHUB_STEP_SUMMARY")
    if environment.get("GITHUB_ACTIONS") != "true" or not summary:
        return
    try:
        with Path(summary).open("a", encoding="utf-8", errors="backslashreplace") as f:
            f.write(markdown(guarded, code))
    except OSError as error:
        text = f"The job summary could not be written: {error.strerror}."
        annotate("warning", "Feedrate guard", text, environment)


def annotate(level: str, title: str, text: str, environment: Mapping[str, str]) -> None:
    """Write one annotation on GitHub's runners, and nothing elsewhere.

    The annotation goes to standard error. The runner reads both streams, but standard
    output may hold JSON, which an annotation would spoil.

    Args:
        level: `error`, `warning` or `notice`.
        title: A few words.
        text: The message, of any number of lines.
        environment: `os.environ`.
    """
    if environment.get("GITHUB_ACTIONS") != "true":
        return
    # As the runner unescapes them: %, CR and LF in data, and : and , in a property.
    title = _data(title).replace(":", "%3A").replace(",", "%2C")
    print(f"::{level} title={title}::{_data(text)}", file=sys.stderr, flush=True)


def _annotations(guarded: GuardResult, code: int) -> Iterator[tuple[str, str, str]]:
    """Return level, title and text of each annotation, as many as GitHub shows."""
    levels: dict[str, list[tuple[str, str]]] = {
        "error": [],
        "warning": [],
        "notice": [],
    }
    outcome = ("Feedrate guard", sentences.title(guarded, code))
    levels["notice" if code == Exit.OK else "error"].append(outcome)
    for row in sentences.gravest_first(guarded.rows):
        verdict = OUTCOMES[row.verdict]
        if verdict.annotation:
            title = f"Feedrate: {verdict.text}"
            levels[verdict.annotation].append((title, sentences.cause(row)))
        if row.output_changed:
            text = sentences.outputs_changed(row.key)
            levels["warning"].append(("Feedrate: outputs changed", text))
    for level, texts in levels.items():
        shown = texts[:MOST_ANNOTATIONS]
        if len(texts) > MOST_ANNOTATIONS:
            more = len(texts) - MOST_ANNOTATIONS + 1
            shown[-1] = ("Feedrate guard", f"and {more} more, in the job summary")
        yield from ((level, *text) for text in shown)


def _case(row: Row, unknown_passes: bool) -> ElementTree.Element:
    case = ElementTree.Element(
        "testcase", classname=f"guard.{_xml(row.metric)}", name=_xml(row.key)
    )
    figures = ("ratio", "low", "high", "threshold", "count", "turns", "output_changed")
    facts = {name: getattr(row, name) for name in figures}
    _add_properties(case, {"verdict": OUTCOMES[row.verdict].text, **facts})
    skipped = unknown_passes and row.verdict == "unknown"
    kind = "skipped" if skipped else OUTCOMES[row.verdict].junit
    if kind:
        _add_outcome(case, kind, OUTCOMES[row.verdict].text, sentences.cause(row))
    return case


def _add_outcome(
    case: ElementTree.Element, kind: str, verdict: str, message: str
) -> None:
    attributes = {"message": message}
    if kind != "skipped":
        attributes["type"] = verdict
    ElementTree.SubElement(case, kind, attributes).text = message


def _add_properties(parent: ElementTree.Element, facts: Mapping[str, object]) -> None:
    properties = ElementTree.SubElement(parent, "properties")
    for name, value in facts.items():
        if value is not None:
            text = _xml(json.dumps(value) if isinstance(value, bool) else value)
            ElementTree.SubElement(properties, "property", name=name, value=text)


def _xml(text: object) -> str:
    return visible(text, 2000)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
