"""This module reads TOML files into typed forms and refuses unknown keys."""

from __future__ import annotations

import functools
import re
import tomllib
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import inspect

from bench.errors import UsageError, unknown

# By the type's name in msgspec, its name in TOML.
WORDS = {"array": "a list", "object": "a table", "str": "text"}
WORDS |= {"int": "a whole number", "float": "a number", "bool": "true or false"}
Form = TypeVar("Form", bound=msgspec.Struct)
_type_info = functools.cache(inspect.type_info)


def read(path: Path, form: type[Form], table: str = "") -> Form:
    """Read a TOML file, or one table of the file, into a form.

    Args:
        path: The file.
        form: The struct whose fields are the keys that the table may have.
        table: The dotted name of the table, such as `tool.feedrate.guard`; empty for
            the whole file. A table that the file lacks counts as empty.

    Raises:
        UsageError: The file cannot be read or is not TOML, a key is unknown or
            missing, or a value has the wrong type.
    """
    content = _content(path)
    for name in table.split(".") if table else ():
        content = content.get(name, {})
        if not isinstance(content, dict):
            raise UsageError(
                f"{_place(path, table)}: '{name}' must be a table, got {content!r}."
            )
    _check_keys(content, _type_info(form), path, table)
    try:
        return msgspec.convert(content, form)
    except msgspec.ValidationError as error:
        fault = _type_fault(str(error), content)
        raise UsageError(f"{_place(path, table)}: {fault}.") from error


def _type_fault(message: str, content: dict) -> str:
    """Return msgspec's message on a wrong type in the words of TOML, with the value.

    Args:
        message: A message such as "Expected `array`, got `str` - at `$.metrics`".
        content: The table that holds the value.
    """
    matched = re.fullmatch(r"Expected `(.+)`, got `\w+` - at `\$\.(.+)`", message)
    if not matched:
        return message
    expected = " or ".join(
        WORDS.get(name, name) for name in matched[1].split(" | ") if name != "null"
    )
    value: object = content
    for name in re.findall(r"[\w-]+|\[\d+\]", matched[2]):
        if isinstance(value, list):
            value = value[int(name.strip("[]"))]
        elif isinstance(value, dict):
            value = value.get(name)
    got = "" if "..." in matched[2] else f", got {value!r}"
    return f"'{matched[2]}' must be {expected}{got}"


def _content(path: Path) -> dict:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"Cannot read '{path}': {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"'{path}' is not valid TOML: {error}.") from error


def _check_keys(
    content: object, kind: inspect.Type, path: Path, table: str, entry: int = 0
) -> None:
    """Refuse unknown and missing keys of a table and of the tables within it.

    Values of the wrong type pass here: `msgspec.convert` refuses them.

    Args:
        content: The value in the file.
        kind: The type that the form declares for the value.
        path: The file.
        table: The dotted name of the table.
        entry: The number of the table in its array of tables, from 1; 0 outside one.
    """
    if isinstance(kind, inspect.ListType) and isinstance(content, list):
        for number, item in enumerate(content, 1):
            _check_keys(item, kind.item_type, path, table, number)
    if not (isinstance(kind, inspect.StructType) and isinstance(content, dict)):
        return
    place = _place(path, table, entry)
    fields = {field.encode_name: field for field in kind.fields}
    for key, value in content.items():
        if key not in fields:
            raise UsageError(f"{place}: {unknown('key', key, fields)}")
        inner = f"{table}.{key}" if table else key
        _check_keys(value, fields[key].type, path, inner)
    missing = [n for n, one in fields.items() if one.required and n not in content]
    if missing:
        raise UsageError(f"{place} needs {', '.join(missing)}.")


def _place(path: Path, table: str, entry: int = 0) -> str:
    if entry:
        return f"'{path}', entry {entry} of [[{table}]]"
    return f"'{path}', [{table}]" if table else f"'{path}'"
