"""How strict the guard is: thresholds by trial and metric, from TOML and options."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.errors import UsageError, unknown
from bench.guarded import METRICS

TABLE = "tool.feedrate.guard"
KEYS = ("threshold", "metrics", "thresholds")
DEFAULT = 0.03
# The ratio of two 95th percentiles of a trio's 25 turns varies by about 6 % from trio
# to trio, so that 3 % cannot be told.
DEFAULTS = {"latency_p95": 0.20}
LEAST, MOST = 0.01, 1.0


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How strict the guard is.

    Attributes:
        threshold: The relative change from which a slow-down counts, of all metrics;
            where None, `DEFAULT`, or the metric's own in `DEFAULTS`.
        metrics: What is guarded.
        overrides: By trial key, its thresholds by metric.
    """

    threshold: float | None = None
    metrics: tuple[str, ...] = ("seconds_per_example",)
    overrides: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def thresholds(self, key: str) -> dict[str, float]:
        """A trial's thresholds by metric."""
        if self.threshold is None:
            found = {name: DEFAULTS.get(name, DEFAULT) for name in self.metrics}
        else:
            found = dict.fromkeys(self.metrics, self.threshold)
        return found | dict(self.overrides.get(key, {}))


def load(
    path: Path | None, *, threshold: float | None = None, metrics: Sequence[str] = ()
) -> Settings:
    """The settings of a TOML file, with what the command line says in their place.

    Args:
        path: A `pyproject.toml`, with a table `[tool.feedrate.guard]`, or a file that
            holds only that table's keys; None for no file.
        threshold: In place of the file's.
        metrics: In place of the file's.

    Raises:
        UsageError: Not TOML, a key or value that means nothing.
    """
    table = _table(path) if path else {}
    where = f"'{path}', [{TABLE}]"
    for key in table:
        if key not in KEYS:
            raise UsageError(f"{where}: {unknown('key', key, KEYS)}")
    asked = tuple(metrics) or tuple(table.get("metrics", ())) or Settings.metrics
    for metric in asked:
        if metric not in METRICS:
            raise unknown("metric", metric, METRICS)
    overrides = {}
    for key, given in table.get("thresholds", {}).items():
        limits = given if isinstance(given, dict) else dict.fromkeys(asked, given)
        for metric in limits:
            if metric not in METRICS:
                raise UsageError(f"{where}: {unknown('metric', metric, METRICS)}")
        overrides[key] = {metric: share(value) for metric, value in limits.items()}
    if threshold is not None:
        general = checked(threshold)
    else:
        general = share(table["threshold"]) if "threshold" in table else None
    return Settings(threshold=general, metrics=asked, overrides=overrides)


def share(text: object) -> float:
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
    if path.name == "pyproject.toml":
        return content.get("tool", {}).get("feedrate", {}).get("guard", {})
    return content
