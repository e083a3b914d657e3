"""The guard's history: a line a guard run, and where a trial's time changed for good.

What is followed is a trial's seconds an example over those of a pinned reference
workload that was measured in the same run. The machine's own drift is in both and
cancels; raw times hide a 5 % step in it for weeks.

A change is a level that differs for good, told from noise and not from a slow drift. In
simulations a 5 % step was found within 3 runs in 99 % where runs vary by 1 %, and in
about 60 % where they vary by 2 % (90 % within 8). Of 30 runs that wander by 0.5 % from
run to run, with 1 % of noise, 63 % got a change though none was a step: look at the
figure before looking for a commit.
"""

from __future__ import annotations

import errno
import itertools
import json
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd

from bench.analysis.table import machine_labels
from bench.errors import UsageError
from bench.guard.record import GuardResult

SCHEMA = 1
FILE = "history.jsonl"
COLUMNS = ("machine", "key", "started", "base", "head", "seconds_per_example")
COLUMNS += ("reference_seconds_per_example", "ratio")
CHANGES = ("machine", "key", "started", "head", "before", "after", "change", "runs")
CHANGES += ("place",)

LEAST_RUNS = 8  # fewer do not tell a change from noise
LEAST_SEGMENT = 3  # runs on a level; what lasts shorter is a disturbance
# Twice Schwarz's 2 log n for a change in mean (Yao 1988), since the noise is estimated
# too, from few runs. Of series of pure noise 4 % get a change at 8 runs, 2 % at 20,
# under 1 % at 50; Schwarz's own penalty gives 18 %, 17 % and 12 %.
PENALTY_LOGS = 4.0
LEAST_NOISE = 0.002  # of a log-ratio: no run is known better
LEAST_CHANGE = 0.01  # two builds of the same code differ by up to this


class _Line(msgspec.Struct):
    schema: int
    guarded: GuardResult


class _Version(msgspec.Struct):
    schema: int


def holds_guards(path: str | Path) -> bool:
    """Whether this is a history file, by its first whole line."""
    path = Path(path)
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.readline().startswith(b'{"schema":1,"guarded":')


def append(path: str | Path, guarded: GuardResult) -> None:
    """Add one guard to a history file, on disk when this returns.

    One write at the file's end, so guards that end at the same time do not mix. A line
    that an earlier write left cut off is closed and stays, to be passed over by `read`.

    Raises:
        UsageError: The file cannot be written.
    """
    path = Path(path)
    line = msgspec.json.encode(_Line(SCHEMA, guarded)) + b"\n"
    try:
        with path.open("a+b", buffering=0) as file:
            if file.seek(0, os.SEEK_END):
                file.seek(-1, os.SEEK_END)
                line = line if file.read(1) == b"\n" else b"\n" + line
            if file.write(line) < len(line):  # as a disk does that is nearly full
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file.fileno())
    except OSError as error:
        raise UsageError(
            f"Cannot write to the history '{path}': {error.strerror}. Name another "
            "file with --history."
        ) from error


def read(path: str | Path) -> tuple[list[GuardResult], list[str]]:
    """Every guard of a history file in file order, and notes on what was odd.

    Raises:
        UsageError: There is no such file, or a whole line in it is not a guard of this
            schema, with its number.
    """
    path = Path(path)
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise UsageError(
            f"No history at '{path}': {error.strerror}. `run_bench.py guard --history "
            "FILE` writes one."
        ) from error
    found, notes = [], []
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
            found.append(_decode(line, number, path))
    return found, notes


def beside(folders: Sequence[str | Path]) -> tuple[list[GuardResult], list[str]]:
    """Guards and notes of the history files that lie in result folders."""
    found, notes = [], []
    for folder in folders:
        path = Path(folder) / FILE
        if path.is_file():
            own, said = read(path)
            found, notes = found + own, notes + said
    return found, notes


def to_frame(guards: Sequence[GuardResult]) -> pd.DataFrame:
    """A row a guard run and trial, oldest first within a machine and trial.

    Args:
        guards: From `read`; those that ran nothing live have no rows.

    Returns:
        `machine`, `key`, `started` (UTC), `base`, `head`, `seconds_per_example` and
        `reference_seconds_per_example` of head, and `ratio`, the one over the other;
        NaN where no reference was measured.
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
    """Where a trial's level changed and stayed, on one machine.

    Args:
        frame: From `table`.

    Returns:
        A row a change: `machine`, `key`, `started` and `head` of the first run after
        it, the levels `before` and `after` as ratios to the reference, the relative
        `change`, `runs`, how many the new level has, and `place`, which of the trial's
        runs with a ratio is the first after it, from 0.
    """
    rows = []
    known = frame[frame["ratio"] > 0]
    for (machine, key), series in known.groupby(["machine", "key"], sort=False):
        logs = np.log(series["ratio"].to_numpy(float))
        starts = change_points(logs)
        edges = [0, *starts, len(logs)]
        levels = [logs[a:b].mean() for a, b in itertools.pairwise(edges)]
        for number, start in enumerate(starts):
            before, after = np.exp(levels[number : number + 2])
            first = series.iloc[start]
            runs = edges[number + 2] - start
            told = (first["started"], first["head"], before, after)
            rows.append((machine, key, *told, after / before - 1, runs, start))
    return pd.DataFrame(rows, columns=list(CHANGES))


def change_points(logs: np.ndarray) -> list[int]:
    """Indices at which a new level begins, by penalized least squares.

    The segmentation that minimizes squared deviations plus a penalty a change, found
    exactly by PELT (Killick 2012) in `ruptures`. The noise is taken from successive
    differences, which a step hardly touches (von Neumann 1941).

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


def _decode(line: bytes, number: int, path: Path) -> GuardResult:
    try:
        version = msgspec.json.decode(line, type=_Version).schema
        if version == SCHEMA:
            return msgspec.json.decode(line, type=_Line).guarded
    except msgspec.MsgspecError as error:
        raise UsageError(f"{path}, line {number}: not a guard: {error}.") from error
    raise UsageError(
        f"{path}, line {number}: schema {version}, and this version reads {SCHEMA}."
    )
