"""The shelves are read as text, and every mistake of a user gets a full message."""

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
    """Return the message of the error when a name is looked up."""
    with pytest.raises(UsageError) as caught:
        catalog.find(name)
    return str(caught.value)


def test_the_traits_of_an_entry_are_read_without_an_import(tmp_path: Path) -> None:
    """They are the first line, the kind, functions with arguments, and literals."""
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
    """The imported module is the file whose text was read."""
    file = tmp_path / "double.py"
    file.write_text(CONTRACT)
    assert catalog.load(catalog.find(str(file))).COMPUTED == 3


def test_names_include_variants_and_no_private_file() -> None:
    """Files that begin with _ are helpers, and no workloads."""
    names = catalog.workload_names()
    assert {"photographs", "prose", "prices", "rescaling"} <= set(names)
    assert "normalization:given" in names
    assert not [name for name in names if name.startswith("_")]
    assert len(set(names)) == len(names)


def test_a_near_name_is_proposed() -> None:
    assert error_of("hash") == "No workload named 'hash'. Did you mean 'hashing'?"
    assert error_of("photograph") == (
        "No workload named 'photograph'. Did you mean 'photographs'?"
    )


def test_a_helper_on_the_shelf_is_no_workload() -> None:
    assert error_of("_embedded").startswith("No workload named '_embedded'.")


def test_all_names_are_listed_if_none_is_near() -> None:
    assert str(unknown("axis", "xyz", ["one", "two"])) == (
        "No axis named 'xyz'. There are: one, two."
    )


def test_a_long_list_is_not_printed() -> None:
    """The message names the verb that prints the list."""
    count = len(catalog.workload_names())
    assert error_of("xyzzy") == (
        f"No workload named 'xyzzy'. There are {count}: see `run_bench.py list`."
    )


@pytest.mark.parametrize("name", ["notes.txt", "my/folder", "{tmp}"])
def test_another_file_or_folder_is_no_workload(name: str, tmp_path: Path) -> None:
    """The name has another ending, or the path exists and is a folder."""
    name = name.format(tmp=tmp_path)
    assert error_of(name) == (
        f"'{name}' is no workload: a workload file ends in .py. See `run_bench.py "
        "list` for all named workloads."
    )


def test_an_unknown_variant_names_the_nearest() -> None:
    assert error_of("normalization:givn") == (
        "No variant of 'normalization' named 'givn'. Did you mean 'given'?"
    )


def test_a_missing_file_is_an_error() -> None:
    assert error_of("my/own.py") == "No workload file at 'my/own.py'."


def test_missing_functions_are_named(tmp_path: Path) -> None:
    """The message has all required functions, and the missing ones."""
    file = tmp_path / "half.py"
    file.write_text("def build(examples): ...\n")
    assert error_of(str(file)) == (
        f"{file} needs examples(), build(), check(); the file lacks examples(), "
        "check()."
    )


def test_a_syntax_error_gives_its_line(tmp_path: Path) -> None:
    file = tmp_path / "broken.py"
    file.write_text("import numpy\ndef build(:\n")
    assert error_of(str(file)) == (
        f"{file} is not valid Python: invalid syntax in line 2."
    )


def test_a_file_that_is_not_text_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "binary.py"
    file.write_bytes(b"\xff\xfe")
    assert error_of(str(file)) == (
        f"{file} cannot be read as UTF-8 text: 'utf-8' codec can't decode byte 0xff in "
        "position 0: invalid start byte."
    )


def test_no_workload_imports_matplotlib_if_its_data_exist(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each run imports its workload, and matplotlib takes a tenth of a second."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # importing it fails
    for name in catalog.workload_names():
        for module in [m for m in sys.modules if m.startswith("bench.workloads._")]:
            monkeypatch.delitem(sys.modules, module)
        entry = catalog.find(name)
        assert callable(catalog.load(entry).build)


def test_a_trait_may_have_a_type_annotation(tmp_path: Path) -> None:
    """An annotation without a value is no trait."""
    file = tmp_path / "typed.py"
    file.write_text(CONTRACT.replace("KIND =", "UNSET: int\nKIND: str ="))
    assert set(catalog.find(str(file)).constants) == {"KIND", "VARIANTS"}


def test_a_loss_and_an_optimizer_may_be_objects(tmp_path: Path) -> None:
    """The imported file has them, so its text need not."""
    file = tmp_path / "objects.py"
    file.write_text(CONTRACT + "LOSS = Loss(1)\nOPTIMIZER = make()\n")
    assert not {"LOSS", "OPTIMIZER"} & set(catalog.find(str(file)).constants)


@pytest.mark.parametrize(
    "line", ["EXAMPLES = 4 * 1024", "EXAMPLES: int = len('four')", "EXAMPLES = {[]: 1}"]
)
def test_a_computed_trait_is_refused(line: str, tmp_path: Path) -> None:
    """Otherwise the default would silently replace the computed value."""
    file = tmp_path / "computed.py"
    file.write_text(CONTRACT + line)
    assert error_of(str(file)) == (
        f"{file}, line 11: EXAMPLES must be a literal, since Feedrate reads it "
        "without running the file."
    )
