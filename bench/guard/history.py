"""A history file has one line a guard; this module finds where a trial's time changed.

It follows a trial's seconds an example, divided by those of a pinned reference workload
that the same guard measured. The drift of the machine changes both times alike, so it
hardly changes the ratio. In the times themselves that drift can hide a step of 5 % for
weeks.

A change is a new level that lasts, and not noise. A slow drift may still look like a
change: look at the figure before you look for a commit. How often steps are detected,
and how often none was there, is in results/method/README.md.
"""

from __future__ import annotations

import errno
import itertools
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd

from bench import store
from bench.analysis.table import machine_labels
from bench.errors import UsageError
from bench.guard.record import GuardResult

FILE = "history.jsonl"
COLUMNS = ("machine", "key", "started", "base", "head", "seconds_per_example")
COLUMNS += ("reference_seconds_per_example", "ratio")
CHANGES = ("machine", "key", "started", "head", "before", "after", "change", "runs")
CHANGES += ("place",)

LEAST_RUNS = 8  # fewer runs do not separate a change from noise
LEAST_SEGMENT = 3  # runs on a level; a shorter one is a disturbance
# Twice Schwarz's 2 log n for a change in mean (Yao 1988), because the noise is
# estimated too, from few runs.
PENALTY_LOGS = 4.0
LEAST_NOISE = 0.002  # of a log-ratio: no run is more exact
LEAST_CHANGE = 0.01  # two builds of the same code differ by up to this


@dataclass(frozen=True, kw_only=True)
class _Line:
    """A line of a history file; `holds_guards` reads its first bytes."""

    schema: int = 1
    guarded: GuardResult


def holds_guards(path: str | Path) -> bool:
    """Return whether a file is a history, by its first whole line."""
    path = Path(path)
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.readline().startswith(b'{"schema":1,"guarded":')


def append(path: str | Path, guarded: GuardResult) -> None:
    """Append one guard to a history file; it is on disk when this function returns.

    The guard is one write at the end of the file, so guards that end at the same time
    do not mix. A line that an earlier write left incomplete is closed and stays; `read`
    skips it.

    Raises:
        UsageError: The file cannot be written.
    """
    path = Path(path)
    line = msgspec.json.encode(_Line(guarded=guarded)) + b"\n"
    try:
        with path.open("a+b", buffering=0) as file:
            if file.seek(0, os.SEEK_END):
                file.seek(-1, os.SEEK_END)
                line = line if file.read(1) == b"\n" else b"\n" + line
            if file.write(line) < len(line):  # as on a disk that is nearly full
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file.fileno())
    except OSError as error:
        raise UsageError(
            f"Cannot write to the history '{path}': {error.strerror}. Name another "
            "file with --history."
        ) from error


def read(path: str | Path) -> tuple[list[GuardResult], list[str]]:
    """Read the guards of a history file in file order, and notes on skipped lines.

    Raises:
        UsageError: There is no such file, or a whole line is not a guard of this
            schema.
    """
    path = Path(path)
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise UsageError(
            f"No history at '{path}': {error.strerror}. `run_bench.py guard --history "
            "FILE` writes one."
        ) from error
    guards, notes = [], []
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            json.loads(line)
        except ValueError:
            notes.append(
                f"{path}, line {number}: cut off (an interrupted write); left out."
            )
        else:
            where = f"{path}, line {number}"
            guards.append(store.decode(line, _Line, where, "a guard").guarded)
    return guards, notes


def read_folders(folders: Sequence[str | Path]) -> tuple[list[GuardResult], list[str]]:
    """Read the guards and the notes of all history files in result folders."""
    guards, notes = [], []
    for folder in folders:
        path = Path(folder) / FILE
        if path.is_file():
            file_guards, file_notes = read(path)
            guards += file_guards
            notes += file_notes
    return guards, notes


def to_frame(guards: Sequence[GuardResult]) -> pd.DataFrame:
    """Return a row a guard and trial, oldest first within a machine and trial.

    Args:
        guards: The guards, from `read`; stored comparisons have no rows.

    Returns:
        `machine`, `key`, `started` (UTC), `base`, `head`, `seconds_per_example` and
        `reference_seconds_per_example` of head, and `ratio`, the former over the
        latter; NaN if no reference was measured.
    """
    rows = [
        (
            label,
            key,
            pd.Timestamp(guarded.started),
            guarded.base,
            guarded.head,
            seconds,
            reference := guarded.reference or np.nan,
            seconds / reference,
        )
        for guarded, label in zip(guards, machine_labels(guards), strict=True)
        for key, seconds in guarded.seconds_per_example.items()
    ]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    order = ["machine", "key", "started"]
    return frame.sort_values(order, kind="stable", ignore_index=True)


def changes(frame: pd.DataFrame) -> pd.DataFrame:
    """Find where the level of a trial on one machine changed and stayed changed.

    Args:
        frame: The guards, from `to_frame`.

    Returns:
        A row a change. `started` and `head` are those of the first run at the new
        level. `before` and `after` are the levels as ratios to the reference, `change`
        is the relative change, `runs` is how many runs the new level has. `place` is
        the number of its first run among the trial's runs with a ratio, from 0.
    """
    rows = []
    with_ratio = frame[frame["ratio"] > 0]
    for (machine, key), series in with_ratio.groupby(["machine", "key"], sort=False):
        logs = np.log(series["ratio"].to_numpy(float))
        starts = change_points(logs)
        edges = [0, *starts, len(logs)]
        levels = [logs[a:b].mean() for a, b in itertools.pairwise(edges)]
        for number, start in enumerate(starts):
            before, after = np.exp(levels[number : number + 2])
            first = series.iloc[start]
            runs = edges[number + 2] - start
            row = (machine, key, first["started"], first["head"], before, after)
            rows.append((*row, after / before - 1, runs, start))
    return pd.DataFrame(rows, columns=list(CHANGES))


def change_points(logs: np.ndarray) -> list[int]:
    """Return the indices at which a new level begins, by penalized least squares.

    PELT (Killick 2012) in `ruptures` finds the exact segmentation that minimizes the
    squared deviations plus a penalty a change. The noise is estimated from successive
    differences, which a step hardly affects (von Neumann 1941).

    Args:
        logs: Log-ratios in the order of time, `[runs]`.
    """
    import ruptures

    count = len(logs)
    if count < LEAST_RUNS:
        return []
    noise = max(np.sqrt(np.mean(np.diff(logs) ** 2) / 2), LEAST_NOISE)
    penalty = PENALTY_LOGS * noise**2 * np.log(count)
    # A linear kernel's cost is that of least squares, and this search is in C.
    search = ruptures.KernelCPD(kernel="linear", min_size=LEAST_SEGMENT)
    starts = search.fit(logs.reshape(-1, 1)).predict(pen=penalty)[:-1]
    edges = [0, *starts, count]
    return [
        start
        for before, start, after in zip(edges, starts, edges[2:], strict=False)
        if abs(logs[start:after].mean() - logs[before:start].mean())
        >= np.log1p(LEAST_CHANGE)
    ]
