"""What base imports is base's, wherever head's tree comes into the path from."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

from bench.errors import UsageError
from bench.measure import import_path


@pytest.fixture
def trees(tmp_path: Path) -> tuple[Path, Path]:
    """Head's tree and base's; `new` is only in head's, and both have a helper."""
    head, base = tmp_path / "head", tmp_path / "base"
    for tree in (head, base):
        (tree / "src").mkdir(parents=True)
        (tree / "src" / "rooted_helper.py").write_text(f"TREE = {tree.name!r}\n")
    for name in ("new", ".venv/lib"):
        (head / name).mkdir(parents=True)
    return head, base


def rerooted(paths: list[Path], trees: tuple[Path, Path], *kept: Path) -> list[str]:
    """The path with base in the place of head."""
    head, base = map(str, trees)
    spelled = [str(path) for path in paths]
    return import_path.rerooted(spelled, head, base, [str(one) for one in kept])


def test_head_s_folders_become_base_s_and_others_stay(trees, tmp_path: Path) -> None:
    """In the same order; what base does not have is left out."""
    head, base = trees
    paths = [tmp_path / "headless", head, head / "src", head / "new", base, Path("/a")]
    assert rerooted(paths, trees) == [
        str(path) for path in (tmp_path / "headless", base, base / "src", base, "/a")
    ]


def test_an_environment_in_the_tree_stays_and_so_does_a_tree_in_one(trees) -> None:
    """The latter where Python itself is in /usr, and so is the repository."""
    head, base = trees
    installed = head / ".venv" / "lib"
    assert rerooted([installed], trees, head / ".venv") == [str(installed)]
    assert rerooted([installed], trees) == []
    assert rerooted([head], trees, head.parent) == [str(base)]


def test_a_base_within_head_s_tree_stays(trees) -> None:
    """As where temporary files are in the repository."""
    head, _ = trees
    (head / "tmp" / "src").mkdir(parents=True)
    (head / "tmp" / "src" / "helper.py").touch()
    inner = (head, head / "tmp")
    assert rerooted([head / "tmp", head / "src"], inner) == [
        str(head / "tmp"),
        str(head / "tmp" / "src"),
    ]


def test_links_are_followed_and_relative_paths_are_those_of_the_folder(
    trees, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head, base = trees
    (tmp_path / "link").symlink_to(head)
    assert rerooted([tmp_path / "link" / "src"], trees) == [str(base / "src")]
    monkeypatch.chdir(head)
    assert import_path.rerooted(["", "src"], str(head), str(base), []) == [
        str(base),
        str(base / "src"),
    ]


def test_a_folder_that_base_has_empty_as_a_submodule_is_left_out(trees) -> None:
    head, base = trees
    (base / "new").mkdir()
    assert rerooted([head / "new", head / "src"], trees) == [str(base / "src")]


def test_a_helper_is_then_base_s_own(trees, monkeypatch: pytest.MonkeyPatch) -> None:
    head, _ = trees
    monkeypatch.setattr(sys, "path", rerooted([head / "src", *sys.path], trees))
    helper = importlib.import_module("rooted_helper")
    monkeypatch.delitem(sys.modules, "rooted_helper")
    assert helper.TREE == "base"


def test_what_was_imported_from_head_all_the_same_is_refused(trees) -> None:
    """An import hook asks no path."""
    head, base = trees

    def demand(*files: Path) -> None:
        modules = {"builtin": ModuleType("builtin")}
        for number, file in enumerate(files):
            modules[f"m{number}"] = ModuleType(f"m{number}")
            modules[f"m{number}"].__file__ = str(file)
        kept = [str(head / ".venv")]
        import_path.demand(modules, str(head), str(base), kept)

    demand(base / "src" / "a.py", head / ".venv" / "lib" / "b.py", Path("/c.py"))
    with pytest.raises(UsageError) as error:
        demand(base / "src" / "a.py", head / "src" / "b.py")
    assert str(error.value) == (
        f"base imported 'm1' from head's {head}/src/b.py, so head would be compared "
        "with itself. The import hook of an editable install does that: uninstall it, "
        "and name the folder in PYTHONPATH."
    )
