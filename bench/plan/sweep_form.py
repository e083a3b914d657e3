"""The form of a sweep's TOML file: what it may hold, and what is wrong with one."""

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from bench.errors import UsageError, unknown
from bench.trial import CONSUMERS, UNITS, Effort

EFFORT_KEYS = tuple(  # what a file may ask for; the rest is the runner's own
    name
    for name, one in Effort.__dataclass_fields__.items()
    if not isinstance(one.default, bool | str)
)


class BlockForm(msgspec.Struct):
    """A `[[block]]`, with axes as they are spelled."""

    workloads: list[str] = []
    strategies: list[str] = []
    axes: dict[str, object] = {}
    consumer: str = "drain"
    unit: str = "window"


class SweepForm(msgspec.Struct):
    """A whole file."""

    description: str = ""
    include: list[str] = []
    claims: bool = False
    effort: dict[str, int | float] = {}
    block: list[BlockForm] = []


def read(path: Path) -> tuple[SweepForm, Effort]:
    """What a sweep's file holds, with its effort.

    Raises:
        UsageError: It is not TOML, or a key or value means nothing.
    """
    content, where = toml(path), f"Sweep file '{path.name}'"
    _only(content, SweepForm.__struct_fields__, where)
    try:
        form = msgspec.convert(content, SweepForm)
    except msgspec.ValidationError as error:
        raise UsageError(f"{where}: {error}.") from error
    for key, value in form.effort.items():
        if value < 0 or (value == 0 and key != "warmup_seconds"):
            raise UsageError(f"{where}, [effort]: {key} must be above 0, got {value}.")
    _only(form.effort, EFFORT_KEYS, f"{where}, [effort]")
    for block in content.get("block", []):
        _only(block, BlockForm.__struct_fields__, f"{where}, [[block]]")
    for block in form.block:
        if not block.workloads:
            raise UsageError(f"{where}: a [[block]] needs workloads.")
        if block.consumer not in CONSUMERS:
            raise unknown("consumer", block.consumer, CONSUMERS)
        if block.unit not in UNITS:
            raise unknown("unit", block.unit, UNITS)
    try:
        return form, msgspec.convert(form.effort, Effort)
    except msgspec.ValidationError as error:
        raise UsageError(f"{where}, [effort]: {error}.") from error


def _only(given: Mapping[str, object], allowed: Iterable[str], where: str) -> None:
    allowed = tuple(allowed)
    for key in given:
        if key not in allowed:
            error = unknown("key", key, allowed)
            raise UsageError(f"{where}: {error}")


def toml(path: Path) -> dict:
    """A file's content.

    Raises:
        UsageError: It is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"Sweep file '{path}' is not valid TOML: {error}.") from error
