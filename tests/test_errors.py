"""The exit codes are one table, and errors name what is allowed."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.errors import EXITS, Exit, UsageError, check_folder, check_writable, unknown
from bench.shell import ROOT

PROGRAMS = [
    ROOT / "run_bench.py",
    *sorted((ROOT / "bench" / "commands").glob("*.py")),
    *sorted((ROOT / "bench" / "selftest").glob("*.py")),
]


def test_every_exit_code_has_a_row_with_a_meaning() -> None:
    assert list(EXITS) == list(Exit)
    assert all(meaning.run or meaning.guard for meaning in EXITS.values())


def test_the_readme_has_the_exit_codes_of_a_guard() -> None:
    """Each row begins with the code and its meaning in `EXITS`."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    _, _, rest = readme.partition("| exit | means |\n")
    table = rest.partition("\n\n")[0]
    rows = re.findall(r"^\| (\d+) \| ([^:;,|(]+)", table, re.MULTILINE)
    assert {int(code) for code, _ in rows} == {
        int(code) for code, meaning in EXITS.items() if meaning.guard
    }
    assert len(rows) == len(table.splitlines()) - 1  # without the line below the head


def returned_codes(file: Path) -> Iterator[int]:
    """Yield the non-zero whole numbers that functions with an `int` result return."""
    for function in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(function, ast.FunctionDef) or function.returns is None:
            continue
        if ast.unparse(function.returns) != "int":
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Return):
                value = node.value
                choices = [value.body, value.orelse] if is_choice(value) else [value]
                numbers = [n.value for n in choices if isinstance(n, ast.Constant)]
                yield from filter(None, numbers)


def is_choice(node: ast.AST | None) -> bool:
    return isinstance(node, ast.IfExp)


@pytest.mark.parametrize("file", PROGRAMS, ids=lambda file: file.name)
def test_commands_and_programs_spell_no_exit_code(file: Path) -> None:
    assert list(returned_codes(file)) == []
    text = file.read_text(encoding="utf-8")
    assert not re.search(r"\bexit\([0-9]", text)


def test_an_unknown_name_is_answered_with_the_nearest_or_all() -> None:
    names = ["prose", "prices"]
    assert str(unknown("workload", "prise", names)) == (
        "No workload named 'prise'. Did you mean 'prose'?"
    )
    assert str(unknown("workload", "x", names)) == (
        "No workload named 'x'. There are: prose, prices."
    )
    many = [f"name{number}" for number in range(31)]
    assert str(unknown("workload", "x", many)) == (
        "No workload named 'x'. There are 31: see `run_bench.py list`."
    )


def test_checks_leave_nothing_and_name_the_reason(tmp_path: Path) -> None:
    check_writable(None)
    check_writable(tmp_path / "a.json")
    check_folder(tmp_path / "new" / "folder")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UsageError) as error:
        check_writable(tmp_path)
    assert str(error.value) == f"Cannot write '{tmp_path}': Is a directory."
