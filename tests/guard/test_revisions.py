"""Tests of a base revision, whose worktree never stays, and of interpreters."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import repository

from bench import machine
from bench.errors import UsageError
from bench.guard import revisions


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """Make a repository with a commit, a hook that must not run, and a change."""
    folder = repository.make(tmp_path / "repo", {"mine.py": "first\n"})
    hook = folder / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/hooked\n")
    hook.chmod(0o755)
    (folder / "mine.py").write_text("second\n")
    return folder


def test_the_base_is_clean_and_removed_afterwards(repo: Path, tmp_path: Path) -> None:
    with revisions.checked_out(repo, "main") as base:
        assert (base.tree / "mine.py").read_text() == "first\n"
        assert base.name.startswith("main (")
        assert len(repository.worktrees(repo)) == 1
    assert not base.tree.exists()
    assert repository.worktrees(repo) == []
    assert not (tmp_path / "hooked").exists()
    assert (repo / "mine.py").read_text() == "second\n"
    assert revisions.is_dirty(repo)


def test_the_base_is_removed_after_an_interrupt_too(repo: Path) -> None:
    with pytest.raises(KeyboardInterrupt), revisions.checked_out(repo, "main") as base:
        raise KeyboardInterrupt
    assert not base.tree.exists()
    assert repository.worktrees(repo) == []


def test_an_interrupt_does_not_stop_the_removal(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user may press Ctrl-C once more; later signals have their old handler."""
    remove, handler = revisions._remove, signal.getsignal(signal.SIGTERM)

    def remove_under_signals(*arguments: Path) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
        remove(*arguments)

    monkeypatch.setattr(revisions, "_remove", remove_under_signals)
    with revisions.checked_out(repo, "main"):
        pass
    assert repository.worktrees(repo) == []
    assert signal.getsignal(signal.SIGTERM) is handler


def test_in_a_hook_of_git_the_folder_decides_the_repository(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables that git sets for the hook do not, and its index does not change."""
    other = repository.make(tmp_path / "other", {"theirs.py": "theirs\n"})
    commit, index = revisions.commit_of(repo, "main"), other / ".git" / "index"
    before = index.read_bytes()
    with monkeypatch.context() as hook:
        hook.setenv("GIT_DIR", str(other / ".git"))
        hook.setenv("GIT_INDEX_FILE", str(index))
        hook.setenv("GIT_WORK_TREE", str(other))
        assert revisions.repository(repo) == repo
        with revisions.checked_out(repo, "main") as base:
            assert (base.tree / "mine.py").read_text() == "first\n"
        command = ("git", "-C", str(repo), "rev-parse", "HEAD")
        assert machine._output(*command) == commit
    assert index.read_bytes() == before
    assert repository.worktrees(repo) == repository.worktrees(other) == []


def test_only_an_edit_of_code_changes_the_digest_of_a_tree(repo: Path) -> None:
    """Commits, logs and compiled files do not change the digest."""
    commit = revisions.commit_of(repo, "HEAD")
    (repo / "new.py").write_text("1\n")
    before = revisions.content_digest(repo, commit)
    for name in ("output.log", "new.pyc"):
        (repo / name).touch()
    (repo / "mine.py").touch()
    repository.git(repo, "commit", "--quiet", "--all", "--message=second")
    assert revisions.content_digest(repo, commit) == before
    (repo / "new.py").write_text("1 + 1\n")
    after = revisions.content_digest(repo, commit)
    (repo / "mine.py").write_bytes(b"third \xff\n")
    assert len({before, after, revisions.content_digest(repo, commit)}) == 3
    (repo / "new.py").unlink()
    assert len({before, after, revisions.content_digest(repo, commit)}) == 3


def test_submodules_of_a_tree_are_listed(repo: Path) -> None:
    assert revisions.submodules(repo) == []
    (repo / ".gitmodules").write_text(
        '[submodule "one"]\n\tpath = libs/one\n\turl = ../one\n'
        '[submodule "two"]\n\turl = ../path\n\tpath = two\n'
    )
    assert revisions.submodules(repo) == ["libs/one", "two"]


@pytest.mark.parametrize("ref", ["nosuch", "--upload-pack=touch hooked", "main; ls"])
def test_an_unknown_ref_is_an_error(repo: Path, ref: str) -> None:
    with pytest.raises(UsageError) as error, revisions.checked_out(repo, ref):
        pass
    assert str(error.value) == (
        f"No ref '{ref}' in {repo}. Give a branch, tag or commit that is there; in CI "
        "the checkout may be shallow: fetch the ref first."
    )
    assert repository.worktrees(repo) == []


def test_a_worktree_of_the_user_survives(repo: Path, tmp_path: Path) -> None:
    """Its folder may be away now, as on a disk that is not mounted."""
    away, back = tmp_path / "away", tmp_path / "back"
    repository.git(repo, "worktree", "add", "--quiet", "--detach", str(away))
    away.rename(back)
    with revisions.checked_out(repo, "main"):
        assert len(repository.worktrees(repo)) == 2
    assert len(repository.worktrees(repo)) == 1
    back.rename(away)
    assert repository.git(away, "status", "--porcelain") == ""


def test_a_failed_checkout_gives_the_reason_and_leaves_nothing(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The filter of a file fails after git added the worktree."""
    (repo / "mine.py").write_text("first\n")
    (repo / ".gitattributes").write_text("mine.py filter=broken\n")
    repository.git(repo, "add", ".gitattributes")
    repository.git(repo, "commit", "--quiet", "--message=second")
    repository.git(repo, "config", "filter.broken.smudge", "false")
    repository.git(repo, "config", "filter.broken.required", "true")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(UsageError) as error, revisions.checked_out(repo, "main"):
        pass
    assert str(error.value) == (
        "git cannot check out 'main': mine.py: smudge filter broken failed."
    )
    assert repository.worktrees(repo) == []
    assert list(tmp_path.glob("feedrate-base-*")) == []


def test_a_locked_incomplete_worktree_is_removed(repo: Path, tmp_path: Path) -> None:
    """A killed `worktree add` leaves its worktree locked and incomplete."""
    tree = tmp_path / "scratch" / "tree"
    repository.git(repo, "worktree", "add", "--quiet", "--lock", str(tree), "HEAD")
    (tree / ".git").unlink()
    revisions._remove(repo, tree)
    assert repository.worktrees(repo) == []
    assert not tree.exists()


def test_a_folder_outside_any_repository_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        revisions.repository(tmp_path)
    assert str(error.value) == (
        f"git finds no repository at '{tmp_path}': not a git repository (or any of the "
        "parent directories): .git. Name yours with --repo DIR."
    )


@pytest.fixture
def git(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Return a function that makes git end with an error."""

    def ends(error: BaseException) -> None:
        def run(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr(subprocess, "run", run)

    return ends


def test_a_repository_of_another_user_comes_with_the_advice_of_git(git) -> None:
    """A container of a CI service may have such a repository."""
    message = (
        "warning: x\nfatal: detected dubious ownership in repository at '/mine'\n"
        "To add an exception for this directory, call:\n\n"
        "\tgit config --global --add safe.directory /mine\n"
    )
    git(subprocess.CalledProcessError(128, ["git"], stderr=message))
    with pytest.raises(UsageError) as error:
        revisions.repository(Path("/mine"))
    assert str(error.value) == (
        "git finds no repository at '/mine': detected dubious ownership in repository "
        "at '/mine' To add an exception for this directory, call: git config --global "
        "--add safe.directory /mine. Name yours with --repo DIR."
    )
    with pytest.raises(UsageError) as error:
        revisions.is_dirty(Path("/mine"))
    assert str(error.value).startswith(
        "git cannot determine whether /mine is changed: detected dubious ownership"
    )


def test_a_git_that_does_not_end_is_an_error(git) -> None:
    git(subprocess.TimeoutExpired(["git"], 120))
    with pytest.raises(UsageError) as error:
        revisions.is_dirty(Path("/mine"))
    assert str(error.value) == (
        "`git status --porcelain` did not end within 120 s in /mine. Try it there by "
        "hand: git may wait for a lock, a filter or a slow disk."
    )


def test_versions_of_this_interpreter() -> None:
    versions = revisions.versions(sys.executable)
    assert set(versions) == {"python", *revisions.NEEDED}
    assert versions["keras"].startswith("3.")


def test_an_interpreter_without_tensorflow(tmp_path: Path) -> None:
    fake = tmp_path / "python"
    output = '{"python": "3.11", "keras": "3.1", "numpy": "2", "msgspec": "0", '
    output += '"psutil": "5", "platformdirs": "4", "tensorflow": ""}'
    fake.write_text(f"#!/bin/sh\necho '{output}'\n")
    fake.chmod(0o755)
    with pytest.raises(UsageError) as error:
        revisions.versions(str(fake))
    assert str(error.value) == (
        f"'{fake}' lacks tensorflow. A measured process needs tensorflow, keras, "
        "numpy, msgspec, psutil, platformdirs: install them there."
    )


@pytest.mark.parametrize(
    "name", ["/nowhere/python", "/bin/false", "/bin/echo", "/bin/ls"]
)
def test_a_file_that_is_no_interpreter_is_an_error(name: str) -> None:
    with pytest.raises(UsageError) as error:
        revisions.versions(name)
    assert str(error.value) == f"'{name}' does not run as a Python interpreter."
