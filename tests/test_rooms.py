"""Which room may import which: the rule, checked on the syntax trees."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.catalog import ROOT

BENCH = ROOT / "bench"
ROOMS = ("", "data", "plan", "run", "measure", "analysis", "guard", "report", "race")
ROOMS += ("advise", "selftest", "commands")
DOORS = {"server", "worker", "pytest_plugin", "reference"}
SHELVES = {"workloads": "measure", "plots": "report"}
MOST_IN_FRONT = 16
# By package: the only rooms, folders or modules that import it.
PLAIN = "plain_tensorflow"  # the script of the self-test that does without the suite
ONLY_IN = {
    "tensorflow": {"measure", "workloads", PLAIN},
    "keras": {"measure", "workloads", PLAIN, "reference", "user"},  # `user` downloads
    "scipy": {"analysis", "guard", "report", "selftest"},
    "jinja2": {"report"},
}
LIGHT = {"msgspec", "psutil", "filelock", "platformdirs"}
HEAVY = {"tensorflow", "keras", "numpy", "pandas", "matplotlib", "scipy", "jinja2"}
FILES = [ROOT / "run_bench.py", *sorted(BENCH.rglob("*.py"))]


def room(file: Path) -> str:
    """Return the folder of a module; empty for the front."""
    inside = file.relative_to(BENCH).parts if file.is_relative_to(BENCH) else ()
    return inside[0] if len(inside) > 1 else ""


def is_door(file: Path) -> bool:
    return file.parent == BENCH and file.stem in DOORS


def imported(file: Path, *, late: bool) -> Iterator[tuple[str, Path | None]]:
    """Yield the package of each import, and the file if the module is one of ours.

    Args:
        file: The module.
        late: Whether to include imports within functions.
    """
    waiting: list[ast.AST] = list(ast.parse(file.read_text()).body)
    while waiting:
        node = waiting.pop()
        functions = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
        is_typing = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        if (late or not isinstance(node, functions)) and not is_typing:
            waiting += ast.iter_child_nodes(node)
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} has a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            yield name.partition(".")[0], own(name)


def own(name: str) -> Path | None:
    """Return the file of a dotted name, if the module is one of ours."""
    while name:
        path = ROOT / f"{name.replace('.', '/')}.py"
        if path.is_file():
            return path
        name = name.rpartition(".")[0]
    return None


def shown(file: Path) -> str:
    return str(file.relative_to(ROOT))


def test_every_folder_is_a_room_or_a_shelf_and_the_front_is_small() -> None:
    folders = {path.name for path in BENCH.iterdir() if path.is_dir()} - {"__pycache__"}
    assert folders == {*ROOMS[1:], *SHELVES, "sweeps"}
    front = [path for path in BENCH.glob("*.py") if path.stem != "__init__"]
    assert len(front) <= MOST_IN_FRONT


@pytest.mark.parametrize("file", FILES, ids=shown)
def test_a_room_imports_only_rooms_above_it(file: Path) -> None:
    """No module imports a door, but the server its worker; doors import any room."""
    here = SHELVES.get(room(file), room(file))
    for package, ours in imported(file, late=True):
        assert package != "tests", f"{file} imports {package}"
        if package in ONLY_IN:
            names = {room(file), file.parent.name, file.stem}
            assert names & ONLY_IN[package] or is_door(file), (file, package)
        if ours is None or not ours.is_relative_to(BENCH):
            continue
        there = room(ours)
        if is_door(ours):
            assert (file.stem, ours.stem) == ("server", "worker"), f"imports {ours}"
        elif there in SHELVES:
            assert there == room(file), f"{file} imports {ours}"
        elif not (is_door(file) or file.name == "run_bench.py"):
            assert ROOMS.index(there) <= ROOMS.index(here), f"{file} imports {ours}"
        assert {here, there} != {"measure", "analysis"}, f"{file} imports {ours}"


def test_imports_have_no_cycle() -> None:
    edges = {
        file: {ours for _, ours in imported(file, late=False) if ours} for file in FILES
    }
    while leaves := {file for file, targets in edges.items() if not targets}:
        edges = {f: ts - leaves for f, ts in edges.items() if f not in leaves}
        edges = {f: {t for t in ts if t in edges} for f, ts in edges.items()}
    assert not edges


@pytest.mark.parametrize("file", sorted((ROOT / "layers").glob("*.py")), ids=shown)
def test_layers_import_only_private_neighbours_of_ours(file: Path) -> None:
    """A layer's file is an example that users copy without the suite."""
    for package, ours in imported(file, late=True):
        neighbour = package == "layers" and (ours is None or ours.stem.startswith("_"))
        assert ours is None or neighbour, f"{file} imports {ours}"
        assert package not in ("bench", "tests"), f"{file} imports {package}"


LOADED = """
import runpy, sys
sys.argv = ["run_bench.py", *sys.argv[1:]]
try:
    runpy.run_path("run_bench.py", run_name="__main__")
except SystemExit as end:
    print("\\nexit code", end.code, *{name.split(".")[0] for name in sys.modules})
"""


@pytest.mark.parametrize(
    "arguments", [["--help"], ["run", "--help"], ["list"], ["list", "--json"]]
)
def test_help_and_list_load_nothing_heavy(arguments: list[str]) -> None:
    """They load no array library, and not the library of the terminal."""
    command = [sys.executable, "-c", LOADED, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    words = done.stdout.splitlines()[-1].split()
    assert words[:3] == ["exit", "code", "0"]
    assert {"argparse", "bench"} <= set(words)
    assert not set(words) & (HEAVY | {"rich"})


@pytest.mark.alone
@pytest.mark.parametrize("verb", ["--help", "list"])
def test_help_and_list_answer_at_once(verb: str) -> None:
    """They take at most thrice the time that Python takes to import four libraries.

    The test compares processor times, since neither waits for anything. It measures
    both in turn and takes the least of several times.
    """

    def seconds(*command: str) -> float:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, stdout=subprocess.DEVNULL
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        return used.ru_utime + used.ru_stime

    library = "import asyncio, decimal, email.message, xml.dom.minidom"
    pairs = [(seconds("run_bench.py", verb), seconds("-c", library)) for _ in range(5)]
    ours, pythons = map(min, zip(*pairs, strict=True))
    assert ours < 3 * pythons
