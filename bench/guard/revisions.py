"""Where the two sides of a guard come from: a revision, an interpreter."""

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
MOST_SAID = 300
NEEDED = ("tensorflow", "keras", "numpy", "msgspec", "psutil", "platformdirs")
# Metadata alone: importing TensorFlow to ask for its version takes seconds.
ASKED = """
import importlib.metadata as m, json, platform, sys
found = {"python": platform.python_version()}
for name in sys.argv[1:]:
    try:
        found[name] = m.version(name)
    except m.PackageNotFoundError:
        found[name] = ""
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Revision:
    """A commit, checked out by itself.

    Attributes:
        name: As it was asked for, with the commit.
        tree: The folder of its files.
    """

    name: str
    tree: Path


def repository(folder: Path) -> Path:
    """The top folder of the repository that a folder is in.

    Raises:
        UsageError: It is in none, or there is no git, or it refuses.
    """
    try:
        return Path(_git(folder, "rev-parse", "--show-toplevel"))
    except subprocess.CalledProcessError as error:
        raise UsageError(
            f"git finds no repository at '{folder}': {_said(error)}. Name yours with "
            "--repo DIR."
        ) from error


def commit_of(repo: Path, ref: str) -> str:
    """The commit of a ref, 40 hexadecimal digits.

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
    """Whether the working tree differs from its commit; untracked files count.

    Raises:
        UsageError: git cannot tell, with what it said.
    """
    try:
        return bool(_git(repo, "status", "--porcelain"))
    except subprocess.CalledProcessError as error:
        raise _untold(repo, error) from error


def content(repo: Path, commit: str) -> str:
    """A digest of what a working tree holds, to tell whether it was edited meanwhile.

    What git knows is told by its content, so that committing it changes nothing, and
    other Python files, which may be imported, by their times and sizes. What else git
    does not know, as a log, may have been written by what is measured.

    Args:
        repo: The repository's top folder.
        commit: One that stays the same; the fewer files differ the faster it is.

    Raises:
        UsageError: git cannot tell, with what it said.
    """
    try:
        known = _git(
            repo, "diff", "--full-index", "--no-ext-diff", "--no-textconv",
            "--ignore-submodules=untracked", commit,
        )  # fmt: skip
        others = _git(
            repo, "ls-files", "--others", "--exclude-standard", "-z", "--", "*.py"
        )
    except subprocess.CalledProcessError as error:
        raise _untold(repo, error) from error
    told = [known]
    for name in filter(None, others.split("\0")):
        with contextlib.suppress(OSError):  # gone by now
            found = (repo / name).stat()
            told.append(f"{name} {found.st_mtime_ns} {found.st_size}")
    return hashlib.sha256("\0".join(told).encode(errors="surrogateescape")).hexdigest()


def submodules(tree: Path) -> list[str]:
    """The folders of its submodules, which a checked-out tree has empty."""
    file = tree / ".gitmodules"
    text = file.read_text("utf-8", errors="replace") if file.is_file() else ""
    return re.findall(r"^\s*path\s*=\s*(.+?)\s*$", text, re.MULTILINE)


@contextlib.contextmanager
def checked_out(repo: Path, ref: str) -> Iterator[Revision]:
    """A ref in a clean worktree, which is gone afterwards, whatever happens.

    Args:
        repo: The repository's top folder.
        ref: Branch, tag or commit.

    Raises:
        UsageError: No such ref, or git cannot check it out, with what git said.
    """
    commit = commit_of(repo, ref)
    scratch = Path(tempfile.mkdtemp(prefix="feedrate-base-"))
    tree = scratch / "tree"
    try:
        try:
            # No hooks: they are the user's, and may install, fetch or ask.
            _git(
                repo, "-c", "core.hooksPath=/dev/null",
                "worktree", "add", "--quiet", "--detach", str(tree), commit,
            )  # fmt: skip
        except subprocess.CalledProcessError as error:
            raise UsageError(
                f"git cannot check out '{ref}': {_said(error)}."
            ) from error
        yield Revision(f"{ref} ({commit[:10]})", tree)
    finally:
        with shell.ignoring_signals():
            _remove(repo, tree)
            shutil.rmtree(scratch, ignore_errors=True)


def _remove(repo: Path, tree: Path) -> None:
    """Take a worktree away, and nothing of the user's own others, as pruning would.

    Twice forced: it may be changed, and is still locked where adding it was cut short.
    Without its files, which need not be whole then, git asks nothing of them.
    """
    shutil.rmtree(tree, ignore_errors=True)
    with contextlib.suppress(subprocess.CalledProcessError, UsageError):
        # It fails where nothing was added.
        _git(repo, "worktree", "remove", "--force", "--force", str(tree))


def versions(python: str) -> dict[str, str]:
    """Python's and the packages' versions under an interpreter.

    Raises:
        UsageError: It does not run, or lacks what a measured process needs.
    """
    try:
        done = subprocess.run(
            [python, "-c", ASKED, *NEEDED],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        found = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise UsageError(f"'{python}' does not run as a Python interpreter.") from error
    missing = [name for name in NEEDED if not found[name]]
    if missing:
        raise UsageError(
            f"'{python}' lacks {', '.join(missing)}. A measured process needs "
            f"{', '.join(NEEDED)}: install them there."
        )
    return found


def _untold(repo: Path, error: subprocess.CalledProcessError) -> UsageError:
    said = _said(error)
    return UsageError(f"git cannot tell whether {repo} is changed: {said}.")


def _said(error: subprocess.CalledProcessError) -> str:
    """What git gave as its reason, in one line: what follows its last `fatal:`."""
    lines = (error.stderr or "").strip().splitlines() or ["no message"]
    fatal = [number for number, line in enumerate(lines) if line.startswith("fatal:")]
    start = fatal[-1] if fatal else len(lines) - 1
    said = " ".join(" ".join(lines[start:]).split())[:MOST_SAID]
    return said.removeprefix("fatal: ").rstrip(".")


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=GIT_SECONDS,
            check=True,
            errors="surrogateescape",  # names and contents may be in any encoding
            env={
                **shell.environment_outside_hooks(),
                "LC_ALL": "C",
            },  # for its `fatal:`
        )
    except FileNotFoundError as error:
        raise UsageError("There is no git here, which --against-ref needs.") from error
    except subprocess.TimeoutExpired as error:
        spelled = " ".join(arguments)
        raise UsageError(
            f"`git {spelled}` did not end within {GIT_SECONDS} s in {folder}. Try it "
            "there by hand: it may wait for a lock, a filter or a slow disk."
        ) from error
    return done.stdout.strip()
