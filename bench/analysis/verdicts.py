"""Verdicts: the four words, the states without a verdict, and what follows from each.

This module imports nothing heavy, because the command line reads it at its start.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.errors import Exit


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A verdict is a word for one trial and metric, with what follows from it.

    Attributes:
        text: The word as people read it.
        exit: The exit code of a guard whose gravest verdict this is.
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
