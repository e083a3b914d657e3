"""The guard's settings are thresholds by trial and metric, from TOML and options."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from bench.errors import UsageError
from bench.guard.metrics import DEFAULTS, METRICS, WITHOUT_PHASES, expanded, find
from bench.guard.record import GuardResult
from bench.plan import toml

TABLE = "tool.feedrate.guard"
LEAST, MOST = 0.01, 1.0
Threshold = str | float


class SettingsForm(msgspec.Struct):
    """The keys that the guard's table may have; README explains them."""

    threshold: Threshold | None = None
    metrics: list[str] = []
    thresholds: dict[str, Threshold | dict[str, Threshold]] = {}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings decide which metrics are compared, and which change counts.

    Attributes:
        threshold: The relative change from which a slow-down counts, of all metrics
            but phases; None for each metric's own.
        metrics: The names of the metrics that are compared.
        overrides: Thresholds by metric, by a trial's key or by a workload for all its
            trials.
    """

    threshold: float | None = None
    metrics: tuple[str, ...] = WITHOUT_PHASES
    overrides: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def thresholds(self, key: str, margin: float | None = None) -> dict[str, float]:
        """Return a trial's thresholds by metric.

        The settings' general threshold, which leaves phases alone, and then the trial's
        overrides replace these defaults.

        Args:
            key: The trial's key.
            margin: The default for metrics in seconds an example, which depends on the
                trial's consumer; None for each metric's own default.
        """
        limits = {name: find(name).threshold for name in self.metrics}
        if margin is not None:
            times = (name for name in limits if METRICS[name].per_example)
            limits |= dict.fromkeys(times, margin)
        if self.threshold is not None:
            general = (name for name in limits if not METRICS[name].phases)
            limits |= dict.fromkeys(general, self.threshold)
        return limits | dict(self.overrides.get(self._override(key), {}))

    def note_unused_overrides(self, guarded: GuardResult) -> GuardResult:
        """Return the result with a note on overrides that apply to none of its trials.

        Args:
            guarded: The result of a guard with these settings.
        """
        used = {self._override(row.key) for row in guarded.rows}
        unused = [name for name in self.overrides if name not in used]
        if not unused:
            return guarded
        note = f"No trial here for [{TABLE}.thresholds]: {', '.join(unused)}."
        return replace(guarded, notes=[*guarded.notes, note])

    def _override(self, key: str) -> str:
        """Return the name of a trial's override: its key, or else its workload."""
        return key if key in self.overrides else key.partition("[")[0]


def load(
    path: Path | None,
    *,
    threshold: float | None = None,
    metrics: Sequence[str] = (),
    live: bool = True,
) -> Settings:
    """Load the settings of a TOML file; arguments override the file.

    Args:
        path: A `pyproject.toml` with a table `[tool.feedrate.guard]`, or a file with
            only the keys of that table; None for no file.
        threshold: The threshold in place of the file's.
        metrics: The metrics in place of the file's.
        live: Whether processes take turns. Stored figures are compared by phases only
            if the metrics name them, because few runs estimate phases badly.

    Raises:
        UsageError: The file is not TOML, or a key or a value is not allowed.
    """
    form, where = SettingsForm(), ""
    if path:
        table = TABLE if path.name == "pyproject.toml" else ""
        form, where = toml.read(path, SettingsForm, table), f"'{path}', [{TABLE}]"
    defaults = DEFAULTS if live else WITHOUT_PHASES
    names = expanded(metrics or form.metrics or defaults)
    if threshold is not None:
        general = checked(threshold)
    else:
        general = None if form.threshold is None else parse_share(form.threshold)
    overrides = _overrides(form.thresholds, names, where)
    return Settings(threshold=general, metrics=names, overrides=overrides)


def _overrides(
    thresholds: Mapping[str, Threshold | dict[str, Threshold]],
    metrics: Sequence[str],
    where: str,
) -> dict[str, dict[str, float]]:
    """Return the thresholds by metric of each key of `thresholds`.

    A single number holds for all metrics but phases.
    """
    general = [name for name in metrics if not METRICS[name].phases]
    overrides: dict[str, dict[str, float]] = {}
    for key, value in thresholds.items():
        limits = value if isinstance(value, dict) else dict.fromkeys(general, value)
        overrides[key] = {}
        for name, limit in limits.items():
            try:
                names, share = expanded([name]), parse_share(limit)
            except UsageError as error:
                raise UsageError(f"{where}: {error}") from error
            overrides[key] |= dict.fromkeys(names, share)
    return overrides


def parse_share(text: object) -> float:
    """Parse a relative change such as `3%` or 0.03.

    Raises:
        UsageError: The text is neither, or not from 1 % to 100 %.
    """
    matched = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(%?)\s*", str(text))
    if not matched or isinstance(text, bool):
        raise UsageError(f"A threshold is spelled 3% or 0.03, got '{text}'.")
    return checked(float(matched[1]) / (100 if matched[2] else 1))


def checked(value: float) -> float:
    """Return a threshold that is from 1 % to 100 %.

    Raises:
        UsageError: The threshold is not in that range.
    """
    if not LEAST <= value <= MOST:
        why = (
            " Below 1 % two equal processes differ by their memory layout alone."
            if value < LEAST
            else " Write 3 % as 3% or 0.03."
        )
        raise UsageError(
            f"A threshold must be from 1 % to 100 %, got {100 * value:g} %.{why}"
        )
    return value
