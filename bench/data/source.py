"""This module reads the value of `--data`: a name or a path, after its prefixes."""

from pathlib import Path

SKIP_DAMAGED = "skip-damaged:"


def skipping(data: str) -> str:
    """Return the value of `--data` by which damaged files are left out."""
    return data if data.startswith(SKIP_DAMAGED) else SKIP_DAMAGED + data


def parse(data: str) -> tuple[str, bool]:
    """Return the name or path of the data, and whether to leave out damaged files.

    A path that exists under the whole name has no prefix.
    """
    if data.startswith(SKIP_DAMAGED) and not Path(data).exists():
        return data.removeprefix(SKIP_DAMAGED), True
    return data, False


def absolute(data: str) -> str:
    """Return the value of `--data` with an absolute path, prefixes and column kept.

    A name of data, or nothing, stays as it is.
    """
    name, skip = parse(data)
    prefix = SKIP_DAMAGED if skip else ""
    path, _, column = name.rpartition(":")
    if name and Path(name).exists():
        return f"{prefix}{Path(name).absolute()}"
    if path and Path(path).exists():
        return f"{prefix}{Path(path).absolute()}:{column}"
    return data
