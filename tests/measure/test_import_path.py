"""These tests hold that base imports base's modules, although the path names head."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

from bench.errors import UsageError
from bench.measure import import_path


@pytest.fixture
def trees(tmp_path: Path) -> tuple[Path, Path]:
    """Return head's tree and base's; only head has `new`, and both have a helper."""
    head, base = tmp_path / "head", tmp_path / "base"
    for tree in (head, base):
        (tree / "src").mkdir(parents=True)
        (tree / "src" / "rooted_helper.py").write_text(f"TREE = {tree.name!r}\n")
    for name in ("new", ".venv/lib"):
        (head / name).mkdir(parents=True)
    return head, base


def rerooted(paths: list[Path], trees: tuple[Path, Path], *shared: Path) -> list[str]:
    """Return the path with base in place of head."""
    head, base = map(str, trees)
    return import_path.reroot(map(str, paths), head, base, [*map(str, shared)])


def test_head_s_folders_become_base_s_and_others_stay(trees, tmp_path: Path) -> None:
    """The order stays, and folders that base does not have are left out."""
    head, base = trees
    paths = [tmp_path / "headless", head, head / "src", head / "new", base, Path("/a")]
    assert rerooted(paths, trees) == [
        str(path) for path in (tmp_path / "headless", base, base / "src", base, "/a")
    ]


def test_an_environment_in_the_tree_stays_and_a_tree_in_one_is_replaced(trees) -> None:
    """A tree is in an environment where Python and the repository are in /usr."""
    head, base = trees
    installed = head / ".venv" / "lib"
    assert rerooted([installed], trees, head / ".venv") == [str(installed)]
    assert rerooted([installed], trees) == []
    assert rerooted([head], trees, head.parent) == [str(base)]


def test_a_base_within_head_s_tree_stays(trees) -> None:
    """Temporary files may be in the repository."""
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
    assert import_path.reroot(["", "src"], str(head), str(base), []) == [
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


def test_modules_imported_from_head_are_refused(trees) -> None:
    """An import hook ignores the path."""
    head, base = trees

    def demand(*files: Path) -> None:
        modules = {"builtin": ModuleType("builtin")}
        for number, file in enumerate(files):
            modules[f"m{number}"] = ModuleType(f"m{number}")
            modules[f"m{number}"].__file__ = str(file)
        shared = [str(head / ".venv")]
        import_path.demand_base_modules(modules, str(head), str(base), shared)

    demand(base / "src" / "a.py", head / ".venv" / "lib" / "b.py", Path("/c.py"))
    with pytest.raises(UsageError) as error:
        demand(base / "src" / "a.py", head / "src" / "b.py")
    assert str(error.value) == (
        f"base imported 'm1' from head's {head}/src/b.py, so head would be compared "
        "with itself. The import hook of an editable install does that: uninstall it, "
        "and name the folder in PYTHONPATH."
    )
