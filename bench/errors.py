"""This module has the errors that users can correct, and the exit codes."""

import difflib
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

MOST_LISTED = 30


class Exit(IntEnum):
    """The exit codes of the program, whose meanings are in `EXITS`."""

    OK = 0
    NO = 1
    BAD_USE = 2
    UNKNOWN = 3
    NOT_COMPARABLE = 4
    MISSING = 5
    FAULT = 70  # EX_SOFTWARE of sysexits.h
    INTERRUPTED = 130  # as a shell reports SIGINT
    READER_LEFT = 141  # as a shell reports SIGPIPE


@dataclass(frozen=True)
class Meaning:
    """A meaning is the text of an exit code, for the commands `run` and `guard`.

    Attributes:
        run: The meaning for the command `run`; empty if `run` never returns this code.
        guard: The outcome of the command `guard`; empty if no guard has this outcome.
    """

    run: str = ""
    guard: str = ""


EXITS: dict[Exit, Meaning] = {
    Exit.OK: Meaning("some runs succeeded", "held"),
    Exit.NO: Meaning("every run failed, or there was no run", "regressed"),
    Exit.BAD_USE: Meaning("bad use", "bad use"),
    Exit.UNKNOWN: Meaning("", "could not tell"),
    Exit.NOT_COMPARABLE: Meaning("", "not comparable"),
    Exit.MISSING: Meaning("", "something missing or failed"),
    Exit.FAULT: Meaning("an error in the program", ""),
    Exit.INTERRUPTED: Meaning("interrupted; finished runs are stored", "interrupted"),
    Exit.READER_LEFT: Meaning("the reader of the output has ended", ""),
}


class UsageError(Exception):
    """A usage error is bad input; its text is shown to the user unchanged."""


def unknown(noun: str, given: str, allowed: Iterable[str]) -> UsageError:
    """Return the error for an unknown name, with the nearest known name.

    Args:
        noun: The kind of the name, such as `workload`.
        given: The unknown name.
        allowed: All known names.
    """
    allowed = list(allowed)
    near = difflib.get_close_matches(given, allowed, n=1, cutoff=0.5) or [
        name for name in allowed if given and given in name
    ]
    listed = f"There are: {', '.join(allowed)}."
    if len(allowed) > MOST_LISTED:
        listed = f"There are {len(allowed)}: see `run_bench.py list`."
    hint = f"Did you mean '{near[0]}'?" if near else listed
    return UsageError(f"No {noun} named '{given}'. {hint}")


def check_writable(path: Path | None) -> None:
    """Check, before anything slow starts, that a file can be written; create no file.

    None as a path passes.

    Raises:
        UsageError: The file cannot be written.
    """
    if path is None:
        return
    existed = path.exists()
    try:
        with path.open("ab"):
            pass
    except OSError as error:
        raise UsageError(f"Cannot write '{path}': {error.strerror}.") from error
    if not existed:
        path.unlink()


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file atomically: whole or not at all; replace a file of the same name.

    Raises:
        UsageError: The file cannot be written.
    """
    try:
        replace_atomically(path, content)
    except OSError as error:
        raise UsageError(f"Cannot write '{path}': {error.strerror}.") from error


def replace_atomically(path: Path, content: bytes) -> None:
    """Write a file atomically as `write_atomically` does, but let `OSError` through."""
    partial = path.with_suffix(".partial")
    partial.write_bytes(content)
    partial.replace(path)


def check_folder(path: Path) -> None:
    """Check, before anything slow starts, that files can be written into a folder.

    Raises:
        UsageError: Files cannot be written there, or the folder cannot be created.
    """
    folders = (path, *path.absolute().parents)
    existing = next(folder for folder in folders if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise UsageError(
            f"Cannot write to '{path}': {error.strerror}. Name another folder with "
            "--out."
        ) from error
