"""This module is the table of verdicts, with exit code, colour and marks of each.

It imports nothing heavy, because the command line reads it at its start.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.errors import Exit


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A verdict is the outcome of a comparison; its fields state how it is reported.

    Attributes:
        text: The word for readers.
        exit: The exit code of a guard whose worst verdict this is.
        style: The colour on a terminal, as rich names it; empty for none.
        css_class: The class of a cell on a page; empty for none.
        mark: The text before and after the word in Markdown.
        annotation: The level of the annotation on GitHub; empty for none.
        junit: The element in a JUnit test case; empty if the case passes.
    """

    text: str
    exit: Exit
    style: str = ""
    css_class: str = ""
    mark: str = ""
    annotation: str = ""
    junit: str = ""


def _grave(text: str, exit: Exit, junit: str) -> Verdict:
    return Verdict(
        text=text,
        exit=exit,
        style="red",
        css_class="failed",
        mark="**",
        annotation="error",
        junit=junit,
    )


def _open(text: str, exit: Exit, junit: str) -> Verdict:
    return Verdict(
        text=text, exit=exit, style="yellow", annotation="warning", junit=junit
    )


# Gravest first. `STATES` are what a trial has whose two sides cannot be compared.
OUTCOMES: dict[str, Verdict] = {
    "failed": _grave("failed", Exit.MISSING, "error"),
    "missing": _grave("missing", Exit.MISSING, "error"),
    "slower": _grave("slower", Exit.NO, "failure"),
    "not_comparable": _open("not comparable", Exit.NOT_COMPARABLE, "error"),
    "unknown": _open("unknown", Exit.UNKNOWN, "failure"),
    "faster": Verdict(text="faster", exit=Exit.OK, style="green"),
    "unchanged": Verdict(text="unchanged", exit=Exit.OK),
}
GRAVEST_FIRST = tuple(OUTCOMES)
STATES = ("failed", "missing", "not_comparable")
FASTER, SLOWER, UNCHANGED, UNKNOWN = "faster", "slower", "unchanged", "unknown"
VERDICTS = (SLOWER, UNKNOWN, FASTER, UNCHANGED)
