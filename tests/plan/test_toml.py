"""TOML is read into typed forms, and an unknown key is refused with the nearest one."""

from pathlib import Path

import msgspec
import pytest

from bench.errors import UsageError
from bench.plan import toml


class Part(msgspec.Struct):
    name: str
    size: int = 1


class Whole(msgspec.Struct):
    title: str = ""
    first: Part | None = None
    part: list[Part] = []


class Options(msgspec.Struct):
    limit: float = 0.5
    names: list[str] = []


def test_a_file_is_read_into_its_form(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text('title = "x"\n[[part]]\nname = "y"\nsize = 2\n')
    assert toml.read(path, Whole) == Whole(title="x", part=[Part("y", 2)])


def test_one_table_of_a_file_is_read_and_the_others_are_ignored(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text('[project]\nname = "z"\n[tool.mine]\nlimit = 1\n')
    assert toml.read(path, Options, "tool.mine") == Options(limit=1.0)
    assert toml.read(path, Options, "tool.other") == Options()


@pytest.mark.parametrize(
    ("text", "table", "message"),
    [
        ("titel = 1", "", "'{path}': No key named 'titel'. Did you mean 'title'?"),
        (
            '[[part]]\nname = "y"\n[[part]]\nname = "z"\nsiez = 3',
            "",
            "'{path}', entry 2 of [[part]]: No key named 'siez'. Did you mean 'size'?",
        ),
        ("[[part]]\nsize = 3", "", "'{path}', entry 1 of [[part]] needs name."),
        ("title = 3", "", "'{path}': 'title' must be text, got 3."),
        ("part = 3", "", "'{path}': 'part' must be a list, got 3."),
        (
            "[tool.mine]\nlimits = 3",
            "tool.mine",
            "'{path}', [tool.mine]: No key named 'limits'. Did you mean 'limit'?",
        ),
        (
            "tool = 3",
            "tool.mine",
            "'{path}', [tool.mine]: 'tool' must be a table, got 3.",
        ),
        (
            "a = 1\n=",
            "",
            "'{path}' is not valid TOML: Invalid statement (at line 2, column 1).",
        ),
    ],
)
def test_an_error_states_the_file_the_table_and_the_nearest_key(
    tmp_path: Path, text: str, table: str, message: str
) -> None:
    path = tmp_path / "a.toml"
    path.write_text(text)
    form = Options if table else Whole
    with pytest.raises(UsageError) as caught:
        toml.read(path, form, table)
    assert str(caught.value) == message.replace("{path}", str(path))


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        toml.read(tmp_path / "none.toml", Whole)
    assert str(caught.value) == (
        f"Cannot read '{tmp_path}/none.toml': No such file or directory."
    )
