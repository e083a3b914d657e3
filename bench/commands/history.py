"""A history of guards, on the terminal and as a figure: what `report FILE` prints."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from bench import catalog
from bench.errors import UsageError
from bench.guard import history
from bench.report import figure, png
from bench.text import visible


def show(
    path: str | Path, *, out: str | Path | None = None, as_json: bool = False
) -> int:
    """Print the changes in a history file and draw it as `history.png`.

    Args:
        path: The file.
        out: The folder of the figure; that of the file if not given.
        as_json: Print every row and change as JSON, and draw nothing.

    Raises:
        UsageError: The file cannot be read, or the figure not be written.
    """
    guards, notes = history.read(path)
    frame = history.to_frame(guards)
    found = history.changes(frame)
    if as_json:
        rows = {"history": frame, "changes": found}
        spelled = {
            name: json.loads(rows[name].to_json(orient="records", date_format="iso"))
            for name in rows
        }
        print(json.dumps(spelled | {"notes": notes}, indent=2))
        return 0
    for line in [*notes, *_said(frame, found, len(guards))]:
        print(line)
    drawn = catalog.load(catalog.entries("plots")["history"]).draw_guards(frame)
    if drawn is not None:
        target = Path(out or Path(path).parent) / "history.png"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            png.write(figure.vector(drawn), target)
        except OSError as error:
            raise UsageError(
                f"Cannot write '{target}': {error.strerror}. Name another folder with "
                "--out."
            ) from error
        print(f"Figure: {target}")
    return 0


def _said(frame: pd.DataFrame, found: pd.DataFrame, guards: int) -> list[str]:
    """A line of what there is, and one a change."""
    known = frame[frame["ratio"] > 0]
    trials = known.groupby(["machine", "key"]).ngroups
    lines = [
        f"{guards} guard runs; {len(known)} figures of {trials} trials over a "
        f"reference; {len(found)} changes of level."
    ]
    for change in found.to_dict("records"):
        lines.append(
            f"{visible(change['key'], 160)}: {100 * change['change']:+.1f} % from "
            f"{change['started']:%Y-%m-%d} on, {visible(change['head'], 80)} first; "
            f"{change['runs']} runs at that level."
        )
    if known.empty and len(frame):
        lines.append("No reference workload was measured, so nothing can be followed.")
    return lines
