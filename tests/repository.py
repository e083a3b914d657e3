"""A small git repository for tests, and its worktrees."""

import subprocess
from collections.abc import Mapping
from pathlib import Path


def make(folder: Path, files: Mapping[str, str]) -> Path:
    """Create a repository whose branch `main` has one commit with these files."""
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "config", "user.email", "a@example.org")
    git(folder, "config", "user.name", "A")
    for name, text in files.items():
        (folder / name).write_text(text)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=first")
    return folder


def worktrees(folder: Path) -> list[str]:
    """Return the worktrees besides the repository's own."""
    return git(folder, "worktree", "list").splitlines()[1:]


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder and return its output."""
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
