"""What the user can mend: an error that says what was given, allowed, and to do."""

import difflib
import tempfile
from collections.abc import Iterable
from pathlib import Path

MOST_LISTED = 30


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
