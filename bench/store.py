"""This module stores runs as JSON lines, and other records as JSON with a schema."""

import contextlib
import datetime
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import filelock
import msgspec

from bench import failures
from bench.errors import UsageError, write_atomically
from bench.machine import foreign_share, identity
from bench.shell import ROOT
from bench.trial import Run

FILE = "runs.jsonl"
PLAN = "plan.json"  # beside the runs, if the command `run` made them; see plan/plan.py

Record = TypeVar("Record")


def write(path: Path, record: object) -> None:
    """Write a record as indented JSON, atomically: whole or not at all.

    Args:
        path: The file; a file of this name is replaced.
        record: A dataclass whose field `schema` has the version of its layout.

    Raises:
        UsageError: The file cannot be written.
    """
    write_atomically(path, msgspec.json.format(msgspec.json.encode(record)) + b"\n")


def decode(
    content: bytes, record: type[Record], where: str, noun: str, remedy: str = ""
) -> Record:
    """Read a record from JSON, with strict types; refuse another version of its layout.

    Args:
        content: The JSON.
        record: The record's dataclass; the default of its field `schema` is the version
            that this program reads.
        where: The file, and the line if the file has several records.
        noun: The record with its article, such as `a run`.
        remedy: What the user can do about another schema.

    Raises:
        UsageError: The content is no such record, or has another schema.
    """
    try:
        schema = msgspec.json.decode(content, type=_Schema).schema
        if schema == record.schema:
            return msgspec.json.decode(content, type=record)
    except msgspec.MsgspecError as error:
        raise UsageError(f"{where}: not {noun}: {error}.") from error
    raise UsageError(
        f"{where}: schema {schema}, and this version reads {record.schema}"
        f"{f'; {remedy}' if remedy else ''}."
    )


def new_folder(name: str) -> Path:
    """Return the path of a new result folder, with the time in its name.

    The folder is not created.
    """
    now = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    return ROOT / "results" / f"{name}-{now}"


@contextlib.contextmanager
def locked(folder: Path, remedy: str = "Name another with --out.") -> Iterator[None]:
    """Reserve a result folder for one sweep during the block.

    A new folder that stays empty is removed afterwards.

    Args:
        folder: The result folder, which is created if necessary.
        remedy: What the user can do if the folder cannot be written.

    Raises:
        UsageError: The folder cannot be written, or another sweep has reserved it.
    """
    existed = folder.exists()
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
        # Before the release: a process that gets the lock checks that its file exists.
        (folder / ".lock").unlink(missing_ok=True)
        try:
            if not existed:
                _remove_if_empty(folder)
        finally:
            lock.release()


def _remove_if_empty(folder: Path) -> None:
    """Remove a folder that has neither a plan nor a run."""
    if (folder / PLAN).exists() or (folder / FILE).stat().st_size:
        return
    (folder / FILE).unlink()
    with contextlib.suppress(OSError):  # another sweep has just started there
        folder.rmdir()


def append(folder: Path, record: object, file: str = FILE) -> None:
    """Append a record to a result folder's file and sync it to disk.

    An incomplete last line, left by an interrupted write, is removed first.

    Args:
        folder: The result folder.
        record: A run, or a record of another file.
        file: The name of the file.
    """
    path = folder / file
    with path.open("r+b" if path.exists() else "w+b") as file:
        end = file.seek(0, os.SEEK_END)
        if end:
            file.seek(end - 1)
            if file.read(1) != b"\n":
                file.truncate(_last_newline(file.seek(0) or file.read()))
                file.seek(0, os.SEEK_END)
        file.write(msgspec.json.encode(record) + b"\n")
        file.flush()
        os.fsync(file.fileno())


def load(folder: Path) -> tuple[list[Run], list[str]]:
    """Return all runs of a result folder in file order, and notes for the report.

    The notes name an incomplete last line, and state how the sweep ended.

    Raises:
        UsageError: The folder has no results, or a line is broken that is not an
            incomplete last line. The message has the number of the line.
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
    incomplete = lines.pop()  # the text after the last newline
    notes = []
    if incomplete:
        notes.append(
            f"{path}: the last line is cut off (an interrupted write); it is left out."
        )
    notes += _plan_notes(path.with_name(PLAN))
    runs = [_run(line, n, path) for n, line in enumerate(lines, 1) if line]
    return _without_replaced(runs), notes


def must_repeat(run: Run, limit_seconds: float) -> bool:
    """Return whether a resumed sweep repeats this run.

    Args:
        run: A stored run.
        limit_seconds: How long a run may take now.

    Returns:
        True if something outside ended the run, such as a signal or a budget, or if the
        run exceeded a limit that is higher now. A failure of the user's own code would
        occur again, so that run is not repeated.
    """
    error = run.measured.error
    if error is None:
        return False
    longer = run.effort.limit_seconds < limit_seconds
    return failures.is_from_outside(error) or (error.type == "Timeout" and longer)


def _without_replaced(runs: list[Run]) -> list[Run]:
    """Return the runs without those failed runs that a resumed sweep has repeated."""
    last = {_place(run): place for place, run in enumerate(runs) if not run.repeat}
    return [
        run
        for place, run in enumerate(runs)
        if run.measured.error is None or run.repeat or last[_place(run)] == place
    ]


def _place(run: Run) -> tuple:
    return identity(run.machine), run.sweep, run.key, run.round, run.position, run.seed


def without_repeats(runs: Iterable[Run]) -> list[Run]:
    """Return the runs that count: of a run and its repeat, only one remains.

    A run that met heavy load from other processes is repeated. The one with less load
    remains.

    Args:
        runs: Runs in file order, of any number of folders, one folder after another.
    """
    counted: list[Run] = []
    places: dict[tuple[str, str, int], int] = {}
    for run in runs:
        name = (run.sweep, run.key, run.round)
        if run.repeat and name in places:
            place = places[name]
            counted[place] = max(counted[place], run, key=_worth)
        else:
            places[name] = len(counted)
            counted.append(run)
    return counted


def _worth(run: Run) -> tuple[bool, float]:
    return run.measured.error is None, -foreign_share(run.conditions)


def _run(line: bytes, number: int, path: Path) -> Run:
    where = f"{path}, line {number}"
    run = decode(line, Run, where, "a run", "see results/README.md")
    if run.measured.error is None:
        return run
    error = failures.unwrapped(run.measured.error)
    return replace(run, measured=replace(run.measured, error=error))


def _plan_notes(path: Path) -> list[str]:
    """Return the notes of the stored plan, which state how the sweep ended.

    The list is empty if the folder has no plan.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Notes).notes
    except FileNotFoundError:
        return []
    except (OSError, msgspec.MsgspecError) as error:
        return [f"{path}: how the sweep ended cannot be read: {error}."]


class _Notes(msgspec.Struct):
    notes: list[str] = []


class _Schema(msgspec.Struct):
    schema: int


def _last_newline(content: bytes) -> int:
    return content.rfind(b"\n") + 1
