"""This module makes a process import base's modules in place of head's.

The import path of a measured process comes from the folder in which the guard was
started, from PYTHONPATH and from editable installs. All of these name head's tree.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType

from bench.errors import UsageError
from bench.shell import ROOT

# These belong to no revision: a virtual environment in the tree, and this harness.
SHARED = (sys.prefix, str(ROOT))


def reroot(
    paths: Iterable[str], tree: str, folder: str, shared: Iterable[str] = SHARED
) -> list[str]:
    """Return the import path with another revision's folders in place of a tree's.

    Args:
        paths: Entries of `sys.path`.
        tree: The tree whose folders are replaced by the same folders of the other
            revision. A folder that the other revision lacks, or has empty (as with a
            submodule), is left out.
        folder: The other revision of the tree.
        shared: Folders in the tree that belong to no revision, and so stay.

    Returns:
        The path, in the same order.
    """
    exempt, rerooted_paths = _inside(tree, (*shared, folder)), []
    for path in paths:
        inner = _within(path, tree, exempt)
        if inner is None:
            rerooted_paths.append(path)
        elif _has_content(replacement := Path(folder, inner)):
            rerooted_paths.append(str(replacement))
    return rerooted_paths


def demand_base_modules(
    modules: Mapping[str, ModuleType],
    tree: str,
    folder: str,
    shared: Iterable[str] = SHARED,
) -> None:
    """Refuse modules that were imported from the replaced tree.

    Args:
        modules: Module names and modules, from `sys.modules`.
        tree: The tree that was replaced.
        folder: The other revision of the tree.
        shared: Folders in the tree that belong to no revision.

    Raises:
        UsageError: There is such a module; an import hook, for example, ignores the
            import path.
    """
    exempt = _inside(tree, (*shared, folder))
    # One module a folder is enough: there are 5000 modules.
    folders: dict[str, tuple[str, str]] = {}
    for name, module in list(modules.items()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str):
            folders.setdefault(file.rpartition(os.sep)[0], (name, file))
    for path, (name, file) in folders.items():
        if _within(path, tree, exempt) is not None:
            raise UsageError(
                f"base imported '{name}' from head's {file}, so head would be compared "
                "with itself. The import hook of an editable install does that: "
                "uninstall it, and name the folder in PYTHONPATH."
            )


def _has_content(path: Path) -> bool:
    return path.is_file() or (path.is_dir() and any(path.iterdir()))


def _inside(tree: str, folders: Iterable[str]) -> list[str]:
    """Return the folders inside the tree; others, as /usr, may contain the tree."""
    return [folder for folder in folders if _inner(folder, tree) is not None]


def _within(path: str, tree: str, exempt: Iterable[str]) -> Path | None:
    """Return the path relative to the tree; None if outside or in an exempt folder."""
    if any(_inner(path, folder) is not None for folder in exempt):
        return None
    return _inner(path, tree)


def _inner(path: str, folder: str) -> Path | None:
    """Return the path relative to a folder, with or without links resolved, or None."""
    for resolve in (os.path.abspath, os.path.realpath):
        whole, top = Path(resolve(path)), Path(resolve(folder))
        if whole.is_relative_to(top):
            return whole.relative_to(top)
    return None
