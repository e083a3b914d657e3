"""Runs as JSON lines: appended at once, read back strictly, one sweep a folder."""

import contextlib
import datetime
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import filelock
import msgspec

from bench import failures
from bench.errors import UsageError
from bench.machine import foreign_share, identity
from bench.shell import ROOT
from bench.trial import SCHEMA, Run

FILE = "runs.jsonl"
PLAN = "plan.json"  # beside it, where `run` made it; `plan` says what is in it


def new_folder(name: str) -> Path:
    """Where results of this name go that start now; it is not made."""
    now = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    return ROOT / "results" / f"{name}-{now}"


@contextlib.contextmanager
def locked(folder: Path, remedy: str = "Name another with --out.") -> Iterator[None]:
    """Hold a result folder for one sweep; one that stays empty is not left behind.

    Args:
        folder: Made if it is not there.
        remedy: What the user can do where it cannot be written.

    Raises:
        UsageError: It cannot be written, or another sweep holds it.
    """
    there = folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / FILE).open("ab"):
            pass
    except OSError as error:
        raise UsageError(
            f"Cannot write to the result folder '{folder}': {error.strerror}. {remedy}"
        ) from error
    lock = filelock.FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise UsageError(
            f"Another sweep is writing to '{folder}'. Wait for it, or name another "
            "folder with --out."
        ) from None
    try:
        yield
    finally:
        # While it is held: one that takes the lock by then looks whether it is there.
        (folder / ".lock").unlink(missing_ok=True)
        try:
            if not there:
                _leave_nothing(folder)
        finally:
            lock.release()


def _leave_nothing(folder: Path) -> None:
    """Remove a folder in which nothing was planned and nothing measured."""
    if (folder / PLAN).exists() or (folder / FILE).stat().st_size:
        return
    (folder / FILE).unlink()
    with contextlib.suppress(OSError):  # another sweep has just begun in it
        folder.rmdir()


def append(folder: Path, run: Run) -> None:
    """Add one run, on disk when this returns; a torn last line is first cut away."""
    path = folder / FILE
    with path.open("r+b" if path.exists() else "w+b") as file:
        end = file.seek(0, os.SEEK_END)
        if end:
            file.seek(end - 1)
            if file.read(1) != b"\n":
                file.truncate(_last_newline(file.seek(0) or file.read()))
                file.seek(0, os.SEEK_END)
        file.write(msgspec.json.encode(run) + b"\n")
        file.flush()
        os.fsync(file.fileno())


def load(folder: Path) -> tuple[list[Run], list[str]]:
    """All runs of a result folder in file order, and notes on what was odd or cut.

    Raises:
        UsageError: There are no results there, or a line other than a torn last one
            is broken, with its number.
    """
    path = Path(folder) / FILE if Path(folder).is_dir() else Path(folder)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"No results at '{folder}': {error.strerror}. A result folder holds "
            f"{FILE}, which `run_bench.py run` writes."
        ) from error
    lines = content.split(b"\n")
    torn = lines.pop()  # what follows the last newline: nothing, or a cut line
    notes = []
    if torn:
        notes.append(
            f"{path}: the last line is cut off (an interrupted write); it is left out."
        )
    notes += _of_plan(path.with_name(PLAN))
    runs = [_decode(line, n, path) for n, line in enumerate(lines, 1) if line]
    return _without_made_again(runs), notes


def to_make_again(run: Run, limit_seconds: float) -> bool:
    """Whether a sweep that goes on makes this run once more.

    Args:
        run: A stored run.
        limit_seconds: How long a run may take now.

    Returns:
        True where something outside ended the run, such as a signal or a budget, and
        where the run may now take longer than it was allowed to. A failure of the
        user's own code would come again, and stays.
    """
    error = run.measured.error
    if error is None:
        return False
    longer = run.effort.limit_seconds < limit_seconds
    return failures.from_outside(error) or (error.type == "Timeout" and longer)


def _without_made_again(runs: list[Run]) -> list[Run]:
    """The runs without the failed ones that a resumed sweep has made once more."""
    last = {_place(run): place for place, run in enumerate(runs) if not run.repeat}
    return [
        run
        for place, run in enumerate(runs)
        if run.measured.error is None or run.repeat or last[_place(run)] == place
    ]


def _place(run: Run) -> tuple:
    return identity(run.machine), run.sweep, run.key, run.round, run.position, run.seed


def one_a_round(runs: Iterable[Run]) -> list[Run]:
    """The runs that count: of a run and its repeat, that beside less foreign load.

    Args:
        runs: In file order, of any number of folders, one after another.
    """
    kept: list[Run] = []
    places: dict[tuple[str, str, int], int] = {}
    for run in runs:
        name = (run.sweep, run.key, run.round)
        if run.repeat and name in places:
            place = places[name]
            kept[place] = max(kept[place], run, key=_worth)
        else:
            places[name] = len(kept)
            kept.append(run)
    return kept


def _worth(run: Run) -> tuple[bool, float]:
    return run.measured.error is None, -foreign_share(run.conditions)


def _decode(line: bytes, number: int, path: Path) -> Run:
    try:
        version = msgspec.json.decode(line, type=_Version).schema
    except msgspec.MsgspecError as error:
        raise UsageError(f"{path}, line {number}: not a run: {error}.") from error
    if version != SCHEMA:
        raise UsageError(
            f"{path}, line {number}: schema {version}, and this version reads "
            f"{SCHEMA}; see results/README.md."
        )
    try:
        run = msgspec.json.decode(line, type=Run)
    except msgspec.MsgspecError as error:
        raise UsageError(f"{path}, line {number}: not a run: {error}.") from error
    if run.measured.error is None:
        return run
    error = failures.readable(run.measured.error)
    return replace(run, measured=replace(run.measured, error=error))


def _of_plan(path: Path) -> list[str]:
    """How the sweep ended, where its plan says so; runs are read without one too."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Notes).notes
    except FileNotFoundError:
        return []
    except (OSError, msgspec.MsgspecError) as error:
        return [f"{path}: how the sweep ended cannot be read: {error}."]


class _Notes(msgspec.Struct):
    notes: list[str] = []


class _Version(msgspec.Struct):
    schema: int


def _last_newline(content: bytes) -> int:
    return content.rfind(b"\n") + 1
