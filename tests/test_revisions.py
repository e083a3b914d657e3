"""A base revision in a worktree of its own, which never stays; other interpreters."""

import sys
from pathlib import Path

import pytest
import repository

from bench import revisions
from bench.errors import UsageError


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A repository with a commit, a hook that must not run, and a change."""
    folder = repository.make(tmp_path / "repo", {"mine.py": "first\n"})
    hook = folder / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/hooked\n")
    hook.chmod(0o755)
    (folder / "mine.py").write_text("second\n")
    return folder


def test_the_base_is_clean_and_gone_afterwards(repo: Path, tmp_path: Path) -> None:
    with revisions.checked_out(repo, "main") as base:
        assert (base.tree / "mine.py").read_text() == "first\n"
        assert base.name.startswith("main (")
        assert len(repository.worktrees(repo)) == 1
    assert not base.tree.exists()
    assert repository.worktrees(repo) == []
    assert not (tmp_path / "hooked").exists()
    assert (repo / "mine.py").read_text() == "second\n"
    assert revisions.is_dirty(repo)


def test_the_base_is_gone_after_an_interrupt_too(repo: Path) -> None:
    with pytest.raises(KeyboardInterrupt), revisions.checked_out(repo, "main") as base:
        raise KeyboardInterrupt
    assert not base.tree.exists()
    assert repository.worktrees(repo) == []


@pytest.mark.parametrize("ref", ["nosuch", "--upload-pack=touch hooked", "main; ls"])
def test_a_ref_that_is_not_there(repo: Path, ref: str) -> None:
    with pytest.raises(UsageError) as error, revisions.checked_out(repo, ref):
        pass
    assert str(error.value) == (
        f"No ref '{ref}' in {repo}. Give a branch, tag or commit that is there; in CI "
        "the checkout may be shallow: fetch the ref first."
    )
    assert repository.worktrees(repo) == []


def test_a_folder_in_no_repository(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        revisions.repository(tmp_path)
    assert str(error.value) == (
        f"'{tmp_path}' is in no git repository. Name yours with --repo DIR."
    )


def test_versions_of_this_interpreter() -> None:
    found = revisions.versions(sys.executable)
    assert set(found) == {"python", *revisions.NEEDED}
    assert found["keras"].startswith("3.")


def test_an_interpreter_without_tensorflow(tmp_path: Path) -> None:
    fake = tmp_path / "python"
    told = '{"python": "3.11", "keras": "3.1", "numpy": "2", "msgspec": "0", '
    told += '"psutil": "5", "platformdirs": "4", "tensorflow": ""}'
    fake.write_text(f"#!/bin/sh\necho '{told}'\n")
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
def test_what_is_no_interpreter(name: str) -> None:
    with pytest.raises(UsageError) as error:
        revisions.versions(name)
    assert str(error.value) == f"'{name}' does not run as a Python interpreter."
