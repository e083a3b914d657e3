"""How strict the guard is: thresholds by trial and metric, from TOML and options."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.errors import UsageError, unknown
from bench.guard.metrics import DEFAULTS, METRICS, WITHOUT_PHASES, expanded, find
from bench.guard.record import GuardResult

TABLE = "tool.feedrate.guard"
KEYS = ("threshold", "metrics", "thresholds")
LEAST, MOST = 0.01, 1.0


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How strict the guard is.

    Attributes:
        threshold: The relative change from which a slow-down counts, of all metrics
            but phases; where None, each metric's own.
        metrics: What is guarded.
        overrides: By trial key, or by workload for all its trials, the thresholds by
            metric.
    """

    threshold: float | None = None
    metrics: tuple[str, ...] = WITHOUT_PHASES
    overrides: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def thresholds(self, key: str) -> dict[str, float]:
        """A trial's thresholds by metric."""
        limits = {name: find(name).threshold for name in self.metrics}
        if self.threshold is not None:
            general = (name for name in limits if not METRICS[name].phases)
            limits |= dict.fromkeys(general, self.threshold)
        return limits | dict(self.overrides.get(self._named(key), {}))

    def noted(self, found: GuardResult) -> GuardResult:
        """The record with a note on overrides that were of none of its trials."""
        used = {self._named(row.key) for row in found.rows}
        unused = [name for name in self.overrides if name not in used]
        if not unused:
            return found
        note = f"No trial here for [{TABLE}.thresholds]: {', '.join(unused)}."
        return replace(found, notes=[*found.notes, note])

    def _named(self, key: str) -> str:
        """The override for a trial: its own, or else its workload's."""
        return key if key in self.overrides else key.partition("[")[0]


def load(
    path: Path | None,
    *,
    threshold: float | None = None,
    metrics: Sequence[str] = (),
    live: bool = True,
) -> Settings:
    """The settings of a TOML file, with what the command line says in their place.

    Args:
        path: A `pyproject.toml`, with a table `[tool.feedrate.guard]`, or a file that
            holds only that table's keys; None for no file.
        threshold: In place of the file's.
        metrics: In place of the file's.
        live: Whether processes take turns. Stored figures are not looked at for phases
            unless these are named: few runs tell too little of them.

    Raises:
        UsageError: Not TOML, a key or value that means nothing.
    """
    table = _table(path) if path else {}
    where = f"'{path}', [{TABLE}]"
    for key in table:
        if key not in KEYS:
            raise UsageError(f"{where}: {unknown('key', key, KEYS)}")
    usual = DEFAULTS if live else WITHOUT_PHASES
    asked = expanded(metrics or _metrics(table, where) or usual)
    if threshold is not None:
        general = checked(threshold)
    else:
        general = parse_share(table["threshold"]) if "threshold" in table else None
    overrides = _overrides(table, asked, where)
    return Settings(threshold=general, metrics=asked, overrides=overrides)


def _metrics(table: dict, where: str) -> list[str]:
    given = table.get("metrics", [])
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise UsageError(
            f"{where}: metrics is a list of names, such as "
            f'["seconds_per_example"], got {given!r}.'
        )
    return given


def _overrides(
    table: dict, asked: Sequence[str], where: str
) -> dict[str, dict[str, float]]:
    given = _dict(table.get("thresholds", {}), f"{where}: thresholds")
    found = {}
    for key, value in given.items():
        general = [name for name in asked if not METRICS[name].phases]
        limits = value if isinstance(value, dict) else dict.fromkeys(general, value)
        found[key] = {}
        for name, limit in limits.items():
            try:
                found[key] |= dict.fromkeys(expanded([name]), parse_share(limit))
            except UsageError as error:
                raise UsageError(f"{where}: {error}") from error
    return found


def _dict(value: object, what: str) -> dict:
    if not isinstance(value, dict):
        raise UsageError(f"{what} must be a table, got {value!r}.")
    return value


def parse_share(text: object) -> float:
    """A relative change from `3%` or 0.03.

    Raises:
        UsageError: It is neither, or not from 1 % to 100 %.
    """
    matched = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(%?)\s*", str(text))
    if not matched or isinstance(text, bool):
        raise UsageError(f"A threshold is spelled 3% or 0.03, got '{text}'.")
    return checked(float(matched[1]) / (100 if matched[2] else 1))


def checked(value: float) -> float:
    """A threshold that means something.

    Raises:
        UsageError: It is not from 1 % to 100 %.
    """
    if not LEAST <= value <= MOST:
        raise UsageError(
            f"A threshold is from 1 % to 100 %, got {100 * value:g} %: below 1 % it "
            "is chance where memory lies that decides."
        )
    return value


def _table(path: Path) -> dict:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"Cannot read '{path}': {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"'{path}' is not valid TOML: {error}.") from error
    if path.name != "pyproject.toml":
        return content
    for name in TABLE.split("."):
        content = _dict(content.get(name, {}), f"'{path}': {name} of [{TABLE}]")
    return content
