"""The modules of another revision: where head's tree is on the path, base's is meant.

The path of a measured process comes from where the guard was started, from PYTHONPATH
and from editable installs, and all of these name head's tree.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType

from bench.errors import UsageError
from bench.shell import ROOT

# Not of the revision: a virtual environment in the tree, and this harness.
KEPT = (sys.prefix, str(ROOT))


def rerooted(
    paths: Iterable[str], tree: str, folder: str, kept: Iterable[str] = KEPT
) -> list[str]:
    """An import path on which another revision's folder stands for a tree.

    Args:
        paths: As `sys.path` is.
        tree: Whose folders are replaced, by the same ones of the other revision; those
            that it does not have, or has empty as a submodule is, are left out.
        folder: The other revision of the tree.
        kept: Folders in the tree that are not of its revision, and so stay.

    Returns:
        The path, in the same order.
    """
    own, found = _inside(tree, (*kept, folder)), []
    for path in paths:
        inner = _within(path, tree, own)
        if inner is None:
            found.append(path)
        elif _holds_something(moved := Path(folder, inner)):
            found.append(str(moved))
    return found


def demand(
    modules: Mapping[str, ModuleType],
    tree: str,
    folder: str,
    kept: Iterable[str] = KEPT,
) -> None:
    """Refuse modules that came out of the tree for which another revision stands.

    Args:
        modules: As `sys.modules` is.
        tree: As in `rerooted`, like what follows.
        folder: The same.
        kept: The same.

    Raises:
        UsageError: There is one, since an import hook, say, asks no path.
    """
    own = _inside(tree, (*kept, folder))
    folders: dict[str, tuple[str, str]] = {}  # one of each: there are 5000 modules
    for name, module in list(modules.items()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str):
            folders.setdefault(file.rpartition(os.sep)[0], (name, file))
    for path, (name, file) in folders.items():
        if _within(path, tree, own) is not None:
            raise UsageError(
                f"base imported '{name}' from head's {file}, so head would be compared "
                "with itself. The import hook of an editable install does that: "
                "uninstall it, and name the folder in PYTHONPATH."
            )


def _holds_something(path: Path) -> bool:
    return path.is_file() or (path.is_dir() and any(path.iterdir()))


def _inside(tree: str, kept: Iterable[str]) -> list[str]:
    """What is kept and in the tree; in /usr, say, the tree may itself be in it."""
    return [one for one in kept if _inner(one, tree) is not None]


def _within(path: str, tree: str, own: Iterable[str]) -> Path | None:
    """Where in the tree a path is; None if it is elsewhere, or in what is kept."""
    if any(_inner(path, one) is not None for one in own):
        return None
    return _inner(path, tree)


def _inner(path: str, folder: str) -> Path | None:
    """Where in a folder a path is, as they are spelled or as their links lead."""
    for spelled in (os.path.abspath, os.path.realpath):
        whole, top = Path(spelled(path)), Path(spelled(folder))
        if whole.is_relative_to(top):
            return whole.relative_to(top)
    return None
