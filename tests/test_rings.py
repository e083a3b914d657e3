"""Who may import whom, read from the syntax trees."""

import ast
import functools
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.catalog import ROOT

BENCH = ROOT / "bench"
RING_0 = {
    *(
        "__init__",
        "catalog",
        "claim",
        "doctor",
        "errors",
        "machine",
        "pipeline",
        "plan",
    ),
    *("processes", "progress", "runner", "store", "sweeps", "timing", "trial", "turns"),
}
INPUTS = {"inputs", "own_data", "own_files", "own_table"}  # ring 2, on NumPy alone
LIGHT = {"msgspec", "psutil", "filelock", "platformdirs"}
HEAVY = {"tensorflow", "keras", "numpy", "pandas", "matplotlib", "scipy", "jinja2"}
ALL = [ROOT / "run_bench.py", *sorted(BENCH.rglob("*.py"))]


@functools.cache
def ring(file: Path) -> int:
    """0, 1 or 2: as it is listed, else by what it needs to be imported."""
    if file.parent.name in ("layers", "workloads") or file.stem in INPUTS:
        return 2
    if file.name == "run_bench.py" or file.stem in RING_0:
        return 0
    needs, seen, waiting = set(), {file}, [file]
    while waiting:
        for package, ours in imported(waiting.pop(), late=False):
            needs.add(package)
            if ours and ours not in seen:
                seen.add(ours)
                waiting.append(ours)
    if needs & {"tensorflow", "keras"}:
        return 2
    if needs & {"pandas", "scipy", "matplotlib", "jinja2", "rich"}:
        return 1
    return 2 if "numpy" in needs else 0


def imported(file: Path, *, late: bool) -> Iterator[tuple[str, Path | None]]:
    """Top-level package, and the file where it is one of ours, of each import.

    Args:
        file: The module.
        late: Whether imports within functions count as well.
    """
    waiting: list[ast.AST] = list(ast.parse(file.read_text()).body)
    while waiting:
        node = waiting.pop()
        functions = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
        if late or not isinstance(node, functions):
            waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} has a relative import"
            found = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in found:
            yield name.partition(".")[0], own(name)


def own(name: str) -> Path | None:
    """The file of a dotted name of ours."""
    while name:
        path = ROOT / f"{name.replace('.', '/')}.py"
        if path.is_file():
            return path
        name = name.rpartition(".")[0]
    return None


def shown(file: Path) -> str:
    """A test's name."""
    return str(file.relative_to(ROOT))


def test_the_rings_are_as_they_are_drawn() -> None:
    """The modules that the design names, and both sides are there."""
    for stem, expected in (("worker", 2), ("inputs", 2), ("table", 1), ("store", 0)):
        assert ring(BENCH / f"{stem}.py") == expected
    assert ring(BENCH / "plots" / "spread.py") == 1
    assert {path.stem for path in ALL} > RING_0


def test_each_ring_has_what_contributing_says() -> None:
    """Those that it names by a stem."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    told = re.findall(r"Ring (\d)\s\(`([^`]+)`\)", text)
    assert [number for number, _ in told] == ["0", "1", "2"]
    for number, stems in told:
        for stem in stems.split():
            if not stem.endswith("/*"):
                assert ring(BENCH / f"{stem}.py") == int(number), stem


@pytest.mark.parametrize("file", [f for f in ALL if ring(f) == 0], ids=shown)
def test_ring_0_starts_with_light_helpers_alone(file: Path) -> None:
    """At module level; what is heavy is imported where it is needed."""
    for package, ours in imported(file, late=False):
        if ours:
            assert ring(ours) == 0, f"{file} imports {ours}"
        elif package != "bench":
            plugin = {"pytest"} if file.stem == "pytest_plugin" else set()
            allowed = sys.stdlib_module_names | LIGHT | plugin
            assert package in allowed, f"{file}: {package}"


@pytest.mark.parametrize("file", [f for f in ALL if ring(f) > 0], ids=shown)
def test_rings_1_and_2_meet_only_in_the_record(file: Path) -> None:
    """Neither imports the other, nor what the other is made of, not even late."""
    here = ring(file)
    banned = {1: {"tensorflow", "keras"}, 2: {"scipy", "jinja2", "rich"}}[here]
    for package, ours in imported(file, late=True):
        assert package not in banned, f"{file} imports {package}"
        if ours:
            assert ring(ours) in (0, here), f"{file} imports {ours}"


@pytest.mark.parametrize("file", sorted((ROOT / "layers").glob("*.py")), ids=shown)
def test_layers_import_nothing_of_ours_but_private_neighbours(file: Path) -> None:
    """A layer's file is an example for users, who have it without the suite."""
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
    print("\\nleft with", end.code, *{name.split(".")[0] for name in sys.modules})
"""


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["list", "--json"]])
def test_help_and_list_load_nothing_heavy(arguments: list[str]) -> None:
    """Neither of the array libraries, nor the terminal's."""
    command = [sys.executable, "-c", LOADED, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    told = done.stdout.splitlines()[-1].split()
    assert told[:3] == ["left", "with", "0"]
    assert {"argparse", "bench"} <= set(told)
    assert not set(told) & (HEAVY | {"rich"})


@pytest.mark.alone
@pytest.mark.parametrize("verb", ["--help", "list"])
def test_help_and_list_answer_at_once(verb: str) -> None:
    """In at most thrice what Python takes to import some of its own library.

    That is 0.1 s where this was written, and twice as much on another machine or beside
    others. Neither waits for anything, so it is processor time that is compared, taken
    in turn, and the least of several.
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
    taken = [(seconds("run_bench.py", verb), seconds("-c", library)) for _ in range(5)]
    ours, pythons = map(min, zip(*taken, strict=True))
    assert ours < 3 * pythons
