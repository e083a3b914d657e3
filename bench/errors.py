"""What the user can mend: an error that says what was given, allowed, and to do."""

import difflib
from collections.abc import Iterable
from pathlib import Path


class UsageError(Exception):
    """Bad input, found before anything slow starts. Its text is shown as it is."""


def unknown(noun: str, given: str, allowed: Iterable[str]) -> UsageError:
    """The error for a name that is not on a list, with the nearest one that is."""
    allowed = list(allowed)
    near = difflib.get_close_matches(given, allowed, n=1, cutoff=0.5) or [
        name for name in allowed if given and given in name
    ]
    hint = f"Did you mean '{near[0]}'?" if near else f"There are: {', '.join(allowed)}."
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
