"""Errors that the user can mend, and the exit codes of the program."""

import difflib
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

MOST_LISTED = 30


class Exit(IntEnum):
    """The exit codes of the program; `EXITS` says what each one means."""

    OK = 0
    NO = 1
    BAD_USE = 2
    COULD_NOT_TELL = 3
    NOT_COMPARABLE = 4
    MISSING = 5
    FAULT = 70  # EX_SOFTWARE of sysexits.h
    INTERRUPTED = 130  # as a shell reports SIGINT
    READER_LEFT = 141  # as a shell reports SIGPIPE


@dataclass(frozen=True)
class Meaning:
    """What an exit code means.

    Attributes:
        run: Of the verb `run`, in a few words; empty where it never ends so.
        guard: Of the verb `guard`, its outcome in a few words; empty likewise.
    """

    run: str = ""
    guard: str = ""


EXITS: dict[Exit, Meaning] = {
    Exit.OK: Meaning("something was measured", "held"),
    Exit.NO: Meaning("every run failed, or none was made", "regressed"),
    Exit.BAD_USE: Meaning("bad use", "bad use"),
    Exit.COULD_NOT_TELL: Meaning("", "could not tell"),
    Exit.NOT_COMPARABLE: Meaning("", "not comparable"),
    Exit.MISSING: Meaning("", "something missing or failed"),
    Exit.FAULT: Meaning("a fault of the program", ""),
    Exit.INTERRUPTED: Meaning("interrupted, what was measured is kept", "interrupted"),
    Exit.READER_LEFT: Meaning("the reader of the output left", ""),
}


class UsageError(Exception):
    """Bad input, found before anything slow starts. Its text is shown as it is."""


def unknown(noun: str, given: str, allowed: Iterable[str]) -> UsageError:
    """The error for a name that is not on a list, with the nearest one that is."""
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
    """Find out before anything slow starts; a file that was not there is not left.

    Raises:
        UsageError: The file cannot be written.
    """
    if path is None:
        return
    there = path.exists()
    try:
        with path.open("ab"):
            pass
    except OSError as error:
        raise UsageError(f"Cannot write '{path}': {error.strerror}.") from error
    if not there:
        path.unlink()


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, in the place of one that was there.

    Raises:
        UsageError: The file cannot be written.
    """
    try:
        replace_whole(path, content)
    except OSError as error:
        raise UsageError(f"Cannot write '{path}': {error.strerror}.") from error


def replace_whole(path: Path, content: bytes) -> None:
    """As `write_whole`, for a caller who says what to do about an `OSError`."""
    partial = path.with_suffix(".partial")
    partial.write_bytes(content)
    partial.replace(path)


def check_folder(path: Path) -> None:
    """Find out before anything slow starts whether files can be put into a folder.

    Raises:
        UsageError: They cannot, or the folder could not be made.
    """
    there = next(one for one in (path, *path.absolute().parents) if one.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise UsageError(
            f"Cannot write to '{path}': {error.strerror}. Name another folder with "
            "--out."
        ) from error
