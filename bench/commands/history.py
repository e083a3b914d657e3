"""The command `report FILE` shows a history of guards, as text and as a figure."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from bench import catalog
from bench.errors import Exit, UsageError
from bench.guard import history
from bench.report import figure, png
from bench.text import visible


def show(
    path: str | Path, *, out: str | Path | None = None, as_json: bool = False
) -> int:
    """Print the changes in a history file and draw it as `history.png`.

    Args:
        path: The file.
        out: The folder of the figure; the folder of the file by default.
        as_json: Print every row and change as JSON, and draw nothing.

    Returns:
        The exit code.

    Raises:
        UsageError: The file cannot be read, or the figure cannot be written.
    """
    guards, notes = history.read(path)
    frame = history.to_frame(guards)
    changes = history.changes(frame)
    if as_json:
        rows = {
            name: json.loads(own.to_json(orient="records", date_format="iso"))
            for name, own in (("history", frame), ("changes", changes))
        }
        print(json.dumps(rows | {"notes": notes}, indent=2))
        return Exit.OK
    for line in [*notes, *_summary(frame, changes, len(guards))]:
        print(line)
    fig = catalog.load(catalog.entries("plots")["history"]).draw_guards(frame)
    if fig is not None:
        target = Path(out or Path(path).parent) / "history.png"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            png.write(figure.vector(fig), target)
        except OSError as error:
            raise UsageError(
                f"Cannot write '{target}': {error.strerror}. Name another folder with "
                "--out."
            ) from error
        print(f"Figure: {target}")
    return Exit.OK


def _summary(frame: pd.DataFrame, changes: pd.DataFrame, guards: int) -> list[str]:
    """Return a line that counts guard runs and changes, and a line for each change."""
    known = frame[frame["ratio"] > 0]
    trials = known.groupby(["machine", "key"]).ngroups
    lines = [
        f"{guards} guard runs; {len(known)} figures of {trials} trials over a "
        f"reference; {len(changes)} changes of level."
    ]
    for change in changes.to_dict("records"):
        lines.append(
            f"{visible(change['key'], 160)}: {100 * change['change']:+.1f} % from "
            f"{change['started']:%Y-%m-%d} on, {visible(change['head'], 80)} first; "
            f"{change['runs']} runs at that level."
        )
    if known.empty and len(frame):
        lines.append("No reference workload was measured, so nothing can be followed.")
    return lines
