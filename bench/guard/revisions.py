"""This module prepares base: another revision in a worktree, or another interpreter.

A guard uses one of the two. The module also detects edits of the working tree.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import shell
from bench.errors import UsageError

GIT_SECONDS = 120
LONGEST_REASON = 300
NEEDED = ("tensorflow", "keras", "numpy", "msgspec", "psutil", "platformdirs")
# Metadata alone: to import TensorFlow for its version takes seconds.
VERSIONS_SCRIPT = """
import importlib.metadata as m, json, platform, sys
versions = {"python": platform.python_version()}
for name in sys.argv[1:]:
    try:
        versions[name] = m.version(name)
    except m.PackageNotFoundError:
        versions[name] = ""
print(json.dumps(versions))
"""


@dataclass(frozen=True)
class Revision:
    """A revision is a commit in a worktree of its own.

    Attributes:
        name: The ref as the user typed it, with the commit.
        tree: The folder of its files.
    """

    name: str
    tree: Path


def repository(folder: Path) -> Path:
    """Return the top folder of the repository that a folder is in.

    Raises:
        UsageError: The folder is in no repository, or git is missing or refuses.
    """
    try:
        return Path(_git(folder, "rev-parse", "--show-toplevel"))
    except subprocess.CalledProcessError as error:
        raise UsageError(
            f"git finds no repository at '{folder}': {_reason(error)}. Name yours with "
            "--repo DIR."
        ) from error


def commit_of(repo: Path, ref: str) -> str:
    """Return the commit of a ref, 40 hexadecimal digits.

    Raises:
        UsageError: The repository has no such ref.
    """
    try:
        return _git(
            repo, "rev-parse", "--verify", "--quiet", "--end-of-options",
            f"{ref}^{{commit}}",
        )  # fmt: skip
    except subprocess.CalledProcessError as error:
        raise UsageError(
            f"No ref '{ref}' in {repo}. Give a branch, tag or commit that is there; "
            "in CI the checkout may be shallow: fetch the ref first."
        ) from error


def is_dirty(repo: Path) -> bool:
    """Return whether the working tree differs from its commit; untracked files count.

    Raises:
        UsageError: git fails, with its message.
    """
    try:
        return bool(_git(repo, "status", "--porcelain"))
    except subprocess.CalledProcessError as error:
        raise _undetermined(repo, error) from error


def content_digest(repo: Path, commit: str) -> str:
    """Return a digest of a working tree, which changes if the code is edited.

    Files that git tracks count by their content, so that a commit of them changes
    nothing. Other Python files, which may be imported, count by their times and sizes.
    Other untracked files, such as a log, do not count: the workload may write them.

    Args:
        repo: The repository's top folder.
        commit: The commit to compare with, the same each time. The fewer files differ
            from it, the faster the digest is.

    Raises:
        UsageError: git fails, with its message.
    """
    try:
        tracked = _git(
            repo, "diff", "--full-index", "--no-ext-diff", "--no-textconv",
            "--ignore-submodules=untracked", commit,
        )  # fmt: skip
        untracked = _git(
            repo, "ls-files", "--others", "--exclude-standard", "-z", "--", "*.py"
        )
    except subprocess.CalledProcessError as error:
        raise _undetermined(repo, error) from error
    parts = [tracked]
    for name in filter(None, untracked.split("\0")):
        with contextlib.suppress(OSError):  # gone by now
            status = (repo / name).stat()
            parts.append(f"{name} {status.st_mtime_ns} {status.st_size}")
    return hashlib.sha256("\0".join(parts).encode(errors="surrogateescape")).hexdigest()


def submodules(tree: Path) -> list[str]:
    """Return the folders of a tree's submodules, which are empty in a worktree."""
    file = tree / ".gitmodules"
    text = file.read_text("utf-8", errors="replace") if file.is_file() else ""
    return re.findall(r"^\s*path\s*=\s*(.+?)\s*$", text, re.MULTILINE)


@contextlib.contextmanager
def checked_out(repo: Path, ref: str) -> Iterator[Revision]:
    """Check a ref out into a clean worktree, which is removed whatever happens.

    Args:
        repo: The repository's top folder.
        ref: A branch, tag or commit.

    Raises:
        UsageError: No such ref, or git cannot check it out, with its message.
    """
    commit = commit_of(repo, ref)
    scratch = Path(tempfile.mkdtemp(prefix="feedrate-base-"))
    tree = scratch / "tree"
    try:
        try:
            # No hooks: the user's hooks may install, fetch or ask questions.
            _git(
                repo, "-c", "core.hooksPath=/dev/null",
                "worktree", "add", "--quiet", "--detach", str(tree), commit,
            )  # fmt: skip
        except subprocess.CalledProcessError as error:
            raise UsageError(
                f"git cannot check out '{ref}': {_reason(error)}."
            ) from error
        yield Revision(f"{ref} ({commit[:10]})", tree)
    finally:
        with shell.ignoring_signals():
            _remove(repo, tree)
            shutil.rmtree(scratch, ignore_errors=True)


def _remove(repo: Path, tree: Path) -> None:
    """Remove this worktree alone; `git worktree prune` could remove the user's too."""
    shutil.rmtree(tree, ignore_errors=True)
    with contextlib.suppress(subprocess.CalledProcessError, UsageError):
        # git fails if no worktree was added.
        _git(repo, "worktree", "remove", "--force", "--force", str(tree))


def versions(python: str) -> dict[str, str]:
    """Return the versions of Python and of the packages of an interpreter, by name.

    Raises:
        UsageError: The interpreter does not run, or lacks a package.
    """
    try:
        process = subprocess.run(
            [python, "-c", VERSIONS_SCRIPT, *NEEDED],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        installed = json.loads(process.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise UsageError(f"'{python}' does not run as a Python interpreter.") from error
    missing = [name for name in NEEDED if not installed[name]]
    if missing:
        raise UsageError(
            f"'{python}' lacks {', '.join(missing)}. A measured process needs "
            f"{', '.join(NEEDED)}: install them there."
        )
    return installed


def _undetermined(repo: Path, error: subprocess.CalledProcessError) -> UsageError:
    reason = _reason(error)
    return UsageError(f"git cannot determine whether {repo} is changed: {reason}.")


def _reason(error: subprocess.CalledProcessError) -> str:
    """Return git's reason in one line: the text after its last `fatal:`."""
    lines = (error.stderr or "").strip().splitlines() or ["no message"]
    fatal = [number for number, line in enumerate(lines) if line.startswith("fatal:")]
    start = fatal[-1] if fatal else len(lines) - 1
    reason = " ".join(" ".join(lines[start:]).split())[:LONGEST_REASON]
    return reason.removeprefix("fatal: ").rstrip(".")


def _git(folder: Path, *arguments: str) -> str:
    try:
        process = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=GIT_SECONDS,
            check=True,
            errors="surrogateescape",  # names and contents may be in any encoding
            # English messages, for `fatal:`.
            env={**shell.environment_outside_hooks(), "LC_ALL": "C"},
        )
    except FileNotFoundError as error:
        raise UsageError("There is no git here, which --against-ref needs.") from error
    except subprocess.TimeoutExpired as error:
        command = " ".join(arguments)
        raise UsageError(
            f"`git {command}` did not end within {GIT_SECONDS} s in {folder}. Try it "
            "there by hand: git may wait for a lock, a filter or a slow disk."
        ) from error
    return process.stdout.strip()
