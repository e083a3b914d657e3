"""What a guard found, in each form it is read in: terminal, Markdown, JSON, JUnit, CI.

The text itself is made in `guard_words`, safe to show; here it gets its form.
"""

from __future__ import annotations

import json
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from bench import shell
from bench.errors import EXITS, Exit
from bench.guard import sentences
from bench.guard.record import GuardResult, Row
from bench.text import markdown as escaped
from bench.text import visible

STYLES = {
    **dict.fromkeys(("failed", "missing", "slower"), "red"),
    **dict.fromkeys(("not_comparable", "unknown"), "yellow"),
    "faster": "green",
    "unchanged": "",
}
LEVELS = {
    **dict.fromkeys(("failed", "missing", "slower"), "error"),
    **dict.fromkeys(("not_comparable", "unknown"), "warning"),
}
MOST_ROWS = 500  # a job summary may have 1 MiB; the JSON has them all
MOST_ANNOTATIONS = 10  # GitHub shows no more of a level for each step


def terminal(guarded: GuardResult, code: int, console: object = None) -> None:
    """Print it: the outcome, a table, and one line a cause.

    Args:
        guarded: The record.
        code: The exit code that it makes.
        console: A console of `shell.console`; standard output if not given.
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
        for name in sentences.columns(guarded):
            left = name == "verdict"
            grid.add_column(name, justify="left" if left else "right", no_wrap=True)
        for row in sentences.worst_first(guarded.rows):
            cells = [Text(cell) for cell in sentences.cells(row)]
            cells[3].stylize(STYLES[row.verdict])
            grid.add_row(Text(sentences.name(row)), *cells)
        console.print(grid)
    for line in sentences.lines(guarded):
        console.print(Text(line), soft_wrap=True)


def markdown(guarded: GuardResult, code: int) -> str:
    """The same as GitHub's Markdown, for a job summary or a comment."""
    lines = [
        f"## {escaped(sentences.title(guarded, code))}",
        "",
        escaped(sentences.compared(guarded)),
    ]
    if guarded.rows:
        lines += ["", f"| trial | {' | '.join(sentences.columns(guarded))} |"]
        lines += ["| --- | --: | --: | --: | --- | --: |"]
        for row in sentences.worst_first(guarded.rows)[:MOST_ROWS]:
            cells = (sentences.name(row), *sentences.cells(row))
            lines.append(f"| {' | '.join(escaped(cell) for cell in cells)} |")
        if len(guarded.rows) > MOST_ROWS:
            lines += ["", f"... and {len(guarded.rows) - MOST_ROWS} more."]
    said = sentences.lines(guarded, MOST_ROWS)
    return "\n".join([*lines, "", *(f"- {escaped(line)}" for line in said)]) + "\n"


def as_json(guarded: GuardResult, code: int) -> str:
    """The whole record with its exit code and what that means."""
    found = {"exit_code": code, "outcome": EXITS[Exit(code)].guard}
    text = json.dumps(found | msgspec.to_builtins(guarded), indent=2)
    return text.replace("##[", "##\\u005b")  # a CI runner obeys this anywhere in a line


def junit(guarded: GuardResult, *, unknown_passes: bool = False) -> bytes:
    """JUnit XML: a test case a trial and metric, never green where nothing was judged.

    Slower is a failure; failed, missing and not comparable are errors; unknown is a
    failure, or skipped where it may pass. Figures are in each case's properties.
    """
    cases = [_case(row, unknown_passes) for row in guarded.rows]
    if not cases:
        nothing = ElementTree.Element("testcase", classname="guard", name="guard")
        _outcome(nothing, "error", "nothing", "nothing was compared")
        cases = [nothing]
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
    _properties(suite, facts)
    suite.extend(cases)
    said = ElementTree.SubElement(suite, "system-out")
    said.text = "\n".join(sentences.lines(guarded))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


def github(guarded: GuardResult, code: int, environment: Mapping[str, str]) -> None:
    """On GitHub's runners: annotations on standard error, and the job summary.

    Args:
        guarded: The record.
        code: The exit code that it makes.
        environment: `os.environ`; nothing is done unless GITHUB_ACTIONS is `true`.
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
    """One annotation on GitHub's runners, nothing elsewhere.

    The runner reads both streams; on standard output it would be within the JSON.

    Args:
        level: `error`, `warning` or `notice`.
        title: A few words.
        text: What is to be read, in as many lines as it has.
        environment: `os.environ`.
    """
    if environment.get("GITHUB_ACTIONS") != "true":
        return
    # As the runner unescapes them: %, CR and LF in data, and : and , in a property.
    title = _data(title).replace(":", "%3A").replace(",", "%2C")
    print(f"::{level} title={title}::{_data(text)}", file=sys.stderr, flush=True)


def _annotations(guarded: GuardResult, code: int) -> Iterator[tuple[str, str, str]]:
    """Level, title and text of each, no more of a level than GitHub shows."""
    found: dict[str, list[tuple[str, str]]] = {"error": [], "warning": [], "notice": []}
    outcome = ("Feedrate guard", sentences.title(guarded, code))
    found["notice" if code == Exit.OK else "error"].append(outcome)
    for row in sentences.worst_first(guarded.rows):
        if row.verdict in LEVELS:
            title = f"Feedrate: {sentences.verdict_words(row.verdict)}"
            found[LEVELS[row.verdict]].append((title, sentences.cause(row)))
        if row.output_changed:
            text = sentences.different(row.key)
            found["warning"].append(("Feedrate: outputs changed", text))
    for level, texts in found.items():
        kept = texts[:MOST_ANNOTATIONS]
        if len(texts) > MOST_ANNOTATIONS:
            more = len(texts) - MOST_ANNOTATIONS + 1
            kept[-1] = ("Feedrate guard", f"and {more} more, in the job summary")
        yield from ((level, *text) for text in kept)


def _case(row: Row, unknown_passes: bool) -> ElementTree.Element:
    case = ElementTree.Element(
        "testcase", classname=f"guard.{_xml(row.metric)}", name=_xml(row.key)
    )
    figures = ("ratio", "low", "high", "threshold", "count", "turns", "output_changed")
    facts = {name: getattr(row, name) for name in figures}
    _properties(case, {"verdict": row.verdict, **facts})
    kinds = {"slower": "failure", "unchanged": "", "faster": ""}
    kinds["unknown"] = "skipped" if unknown_passes else "failure"
    kind = kinds.get(row.verdict, "error")
    if kind:
        _outcome(case, kind, row.verdict, sentences.cause(row))
    return case


def _outcome(case: ElementTree.Element, kind: str, type_: str, message: str) -> None:
    told = {"message": message} | ({"type": type_} if kind != "skipped" else {})
    ElementTree.SubElement(case, kind, told).text = message


def _properties(parent: ElementTree.Element, facts: Mapping[str, object]) -> None:
    properties = ElementTree.SubElement(parent, "properties")
    for name, value in facts.items():
        if value is not None:
            text = _xml(json.dumps(value) if isinstance(value, bool) else value)
            ElementTree.SubElement(properties, "property", name=name, value=text)


def _xml(text: object) -> str:
    return visible(text, 2000)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
