"""The shelves are read as text, and what a user mistypes is said whole."""

import sys
from pathlib import Path

import pytest

from bench import catalog
from bench.errors import UsageError, unknown

CONTRACT = """\
'''Doubles numbers.

More.'''
KIND = "structured"
COMPUTED = sum([1, 2])
VARIANTS = {"thrice": {"factor": 3}}

def examples(rng, count): ...
def build(examples, factor=2): ...
def check(batch, output, factor=2): ...
"""


def error_of(name: str) -> str:
    """What `find` says of a name."""
    with pytest.raises(UsageError) as caught:
        catalog.find(name)
    return str(caught.value)


def test_an_entry_tells_its_traits_without_being_imported(tmp_path: Path) -> None:
    """First line, kind, functions with their arguments, literals; no more."""
    file = tmp_path / "double.py"
    file.write_text(CONTRACT + "\ndef model(features): ...\nraise SystemExit\n")
    entry = catalog.find(str(file))
    assert (entry.name, entry.shelf, entry.kind) == (str(file), "user", "structured")
    assert entry.summary == "Doubles numbers."
    assert entry.functions["build"] == ("examples", "factor")
    assert entry.constants == {
        "KIND": "structured",
        "VARIANTS": {"thrice": {"factor": 3}},
    }
    assert (entry.trains, entry.deterministic) == (True, True)
    assert (entry.reads_files, entry.decodes, entry.sized) == (False, False, False)
    assert catalog.find(f"{file}:thrice").variant == {"factor": 3}
    assert catalog.find(f"{file}:thrice").name == f"{file}:thrice"


def test_a_user_file_is_loaded_by_its_path(tmp_path: Path) -> None:
    """The module that runs is the one whose text was read."""
    file = tmp_path / "double.py"
    file.write_text(CONTRACT)
    assert catalog.load(catalog.find(str(file))).COMPUTED == 3


def test_names_hold_shelves_and_variants_and_no_private_file() -> None:
    """What `--workload` takes; files that begin with _ are helpers."""
    names = catalog.workload_names()
    assert {"photographs", "prose", "prices", "rescaling"} <= set(names)
    assert "normalization:given" in names
    assert not [name for name in names if name.startswith("_")]
    assert len(set(names)) == len(names)


def test_a_near_name_is_proposed() -> None:
    """The example of the design."""
    assert error_of("hash") == "No workload named 'hash'. Did you mean 'hashing'?"
    assert error_of("photograph") == (
        "No workload named 'photograph'. Did you mean 'photographs'?"
    )


def test_a_helper_on_the_shelf_is_no_workload() -> None:
    """Files that begin with _ cannot be run."""
    assert error_of("_embedded").startswith("No workload named '_embedded'.")


def test_where_nothing_is_near_all_names_are_listed() -> None:
    """The whole list, in its order."""
    assert str(unknown("axis", "xyz", ["one", "two"])) == (
        "No axis named 'xyz'. There are: one, two."
    )


def test_a_long_list_is_not_printed() -> None:
    """It is a screenful; there is a verb for it."""
    count = len(catalog.workload_names())
    assert error_of("xyzzy") == (
        f"No workload named 'xyzzy'. There are {count}: see `run_bench.py list`."
    )


@pytest.mark.parametrize("name", ["notes.txt", "my/folder", "{tmp}"])
def test_what_is_no_python_file_is_no_workload(name: str, tmp_path: Path) -> None:
    """By its name, or since it is there and is something else."""
    name = name.format(tmp=tmp_path)
    assert error_of(name) == (
        f"'{name}' is no workload: a workload file ends in .py. See `run_bench.py "
        "list` for those with a name."
    )


def test_an_unknown_variant_names_the_nearest() -> None:
    """Of the entry's own variants."""
    assert error_of("normalization:givn") == (
        "No variant of 'normalization' named 'givn'. Did you mean 'given'?"
    )


def test_a_missing_file_is_said() -> None:
    """By the path that was given."""
    assert error_of("my/own.py") == "No workload file at 'my/own.py'."


def test_missing_functions_are_named(tmp_path: Path) -> None:
    """All that are needed, and those that are lacking."""
    file = tmp_path / "half.py"
    file.write_text("def build(examples): ...\n")
    assert error_of(str(file)) == (
        f"{file} needs examples(), build(), check(); it lacks examples(), check()."
    )


def test_a_syntax_error_gives_its_line(tmp_path: Path) -> None:
    """With Python's own words."""
    file = tmp_path / "broken.py"
    file.write_text("import numpy\ndef build(:\n")
    assert error_of(str(file)) == (
        f"{file} is not valid Python: invalid syntax in line 2."
    )


def test_a_file_that_is_not_text_is_said(tmp_path: Path) -> None:
    """Not a traceback of the decoder."""
    file = tmp_path / "binary.py"
    file.write_bytes(b"\xff\xfe")
    assert error_of(str(file)) == (
        f"{file} cannot be read as UTF-8 text: 'utf-8' codec can't decode byte 0xff in "
        "position 0: invalid start byte."
    )


def test_no_workload_imports_matplotlib_where_its_data_are_made_already(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each run imports its workload, and would wait for it a tenth of a second."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # importing it fails
    for name in catalog.workload_names():
        for module in [m for m in sys.modules if m.startswith("bench.workloads._")]:
            monkeypatch.delitem(sys.modules, module)
        entry = catalog.find(name)
        assert callable(catalog.load(entry).build)


def test_a_trait_may_have_its_type_beside_it(tmp_path: Path) -> None:
    """As those write it who check their types; without a value it is none."""
    file = tmp_path / "typed.py"
    file.write_text(CONTRACT.replace("KIND =", "UNSET: int\nKIND: str ="))
    assert set(catalog.find(str(file)).constants) == {"KIND", "VARIANTS"}


@pytest.mark.parametrize(
    "line", ["EXAMPLES = 4 * 1024", "EXAMPLES: int = len('four')", "EXAMPLES = {[]: 1}"]
)
def test_a_trait_that_is_computed_is_refused(line: str, tmp_path: Path) -> None:
    """It would be left out, and the default be taken in its place."""
    file = tmp_path / "computed.py"
    file.write_text(CONTRACT + line)
    assert error_of(str(file)) == (
        f"{file}, line 11: EXAMPLES must be a literal, since it is read without "
        "running the file."
    )
