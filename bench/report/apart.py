"""In what the machines and versions of two sides differ, in words."""

from __future__ import annotations

from collections.abc import Sequence

from bench import text
from bench.machine import IDENTITY, PACKAGES
from bench.trial import Run


def machine_differences(a: Sequence[Run], b: Sequence[Run]) -> str:
    """Each part of the machine's identity with A's value, then B's.

    Returns:
        Such as `numpy (2.4.0; 2.5.0)`, joined by commas.
    """
    parts = []
    for name in (*IDENTITY, "python", *PACKAGES):
        ours, theirs = (
            " and ".join(sorted({_told(run, name) for run in side})) for side in (a, b)
        )
        if ours != theirs:
            parts.append(f"{name} ({ours}; {theirs})")
    return text.visible(", ".join(parts) or "which of these go together")


def _told(run: Run, name: str) -> str:
    value = run.machine.get(name, "unknown")
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)
