"""A claim of the field: what it says, who says it, and which trials would show it.

A claim is one entry of `claims.toml`, whose head explains the keys. This module reads
them; `bench.commands.claims` judges them.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bench import catalog
from bench.errors import UsageError, unknown
from bench.pipeline import pipeline
from bench.trial import CONSUMERS, Trial

FILE = catalog.ROOT / "bench" / "claims.toml"
SIDES = ("fastest", "slowest", "sum")
KEYS = (
    *("id", "sentence", "source", "sweep", "trial", "than", "workloads"),
    *("measure", "predict", "scale", "error", "counted", "needs", "refuted_by"),
)
REQUIRED = ("id", "sentence", "source", "sweep", "trial", "predict")


@dataclass(frozen=True)
class Side:
    """One side of a comparison: a trial, or several taken together.

    Attributes:
        trials: What must have been measured.
        how: `fastest` or `slowest` of them, or the `sum` of their seconds.
    """

    trials: tuple[Trial, ...]
    how: Literal["fastest", "slowest", "sum"] = "fastest"

    def __str__(self) -> str:
        """The trials' keys, with what is made of them where they are several."""
        keys = [trial.key for trial in self.trials]
        return keys[0] if len(keys) == 1 else f"{self.how} of {', '.join(keys)}"


@dataclass(frozen=True)
class Prediction:
    """What a claim predicts: a number within bounds, or a word.

    Attributes:
        low: The least that the claim allows.
        high: The most.
        word: What a fact must say, where it is no number.
    """

    low: float = -math.inf
    high: float = math.inf
    word: str = ""

    def __str__(self) -> str:
        """As in the file."""
        if self.word:
            return self.word
        if self.high == math.inf:
            return f"> {self.low:g}"
        if self.low == -math.inf:
            return f"< {self.high:g}"
        same = self.low == self.high
        return f"{self.low:g}" if same else f"{self.low:g} to {self.high:g}"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A claim for one workload.

    Attributes:
        workload: Its name.
        trial: What the claim praises.
        than: What it is compared with; None where a run speaks for itself.
    """

    workload: str
    trial: Side
    than: Side | None = None

    @property
    def trials(self) -> tuple[Trial, ...]:
        """Everything that must have been measured."""
        return self.trial.trials + (self.than.trials if self.than else ())


@dataclass(frozen=True, kw_only=True)
class Claim:
    """Something that is said of preprocessing, in a form that can be judged.

    Attributes:
        id: Its name.
        sentence: What it says, in our words.
        source: Who says it.
        sweep: The named sweep with all its trials.
        cases: One for each workload.
        measure: What is compared; see `claims.toml`.
        predict: What the claim predicts of it.
        scale: The factor is multiplied by this, such as pixels an example.
        error: The column of the standard error of a counted value.
        counted: Whether the value is counted and not timed, so that one run tells.
        needs: `gpu`, or empty.
        refuted_by: What the error says of a run that found the claim untrue.
    """

    id: str
    sentence: str
    source: str
    sweep: str
    cases: tuple[Case, ...] = field(repr=False)
    measure: str = "speed"
    predict: Prediction = Prediction()
    scale: float = 1.0
    error: str = ""
    counted: bool = False
    needs: str = ""
    refuted_by: str = ""


def names() -> dict[str, str]:
    """Every claim's sentence by its id."""
    return {claim.id: claim.sentence for claim in load()}


def load(path: Path = FILE) -> list[Claim]:
    """The claims of a file, in its order.

    Raises:
        UsageError: Not TOML, an unknown key or value, or two claims of one id.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"Claims file '{path}' cannot be read: {error}.") from error
    claims = [_claim(entry) for entry in content.get("claim", [])]
    ids = [claim.id for claim in claims]
    for name in ids:
        if ids.count(name) > 1:
            raise UsageError(f"Claims file '{path}' has two claims of the id '{name}'.")
    return claims


def trial(key: str) -> Trial:
    """The trial that a key spells: `text_lstm[batch_size=256,order=batch_map]`.

    Raises:
        UsageError: An unknown workload, axis or value, or a bracket that is not closed.
    """
    name, bracket, inside = key.partition("[")
    if bracket and not inside.endswith("]"):
        raise UsageError(f"A trial is spelled name[axis=value,...], got '{key}'.")
    catalog.find(name)
    settings = dict(
        part.strip().split("=", 1) for part in inside[:-1].split(",") if "=" in part
    )
    consumer = settings.pop("consumer", "drain")
    if consumer not in CONSUMERS:
        raise unknown("consumer", consumer, CONSUMERS)
    return Trial(
        workload=name,
        consumer=consumer,
        unit=settings.pop("unit", "window"),
        pipeline=pipeline(settings),
    )


def prediction(text: str) -> Prediction:
    """`> 1.05`, `< 0.95`, `0.9 to 1.1`, `2`, or a word such as `yes`."""
    text = text.strip()
    try:
        if text.startswith(">"):
            return Prediction(low=float(text[1:]))
        if text.startswith("<"):
            return Prediction(high=float(text[1:]))
        low, to, high = text.partition(" to ")
        return Prediction(low=float(low), high=float(high if to else low))
    except ValueError:
        return Prediction(word=text)


def _claim(entry: Mapping[str, object]) -> Claim:
    name = entry.get("id", "without an id")
    for key in entry:
        if key not in KEYS:
            raise UsageError(f"Claim '{name}': {unknown('key', key, KEYS)}")
    missing = [key for key in REQUIRED if key not in entry]
    if missing:
        raise UsageError(f"Claim '{name}' needs {', '.join(missing)}.")
    given = {k: v for k, v in entry.items() if k not in ("trial", "than", "workloads")}
    cases = []
    for workload in entry.get("workloads", [""]):
        first = _side(entry["trial"], workload)
        than = _side(entry["than"], workload) if "than" in entry else None
        cases.append(Case(workload=first.trials[0].workload, trial=first, than=than))
    given["predict"] = prediction(str(given["predict"]))
    return Claim(cases=tuple(cases), **given)


def _side(given: str | Mapping[str, list[str]], workload: str) -> Side:
    spelled = {"fastest": [given]} if isinstance(given, str) else dict(given)
    (how, keys), *others = spelled.items()
    if others or how not in SIDES:
        raise unknown("way to take trials together", how, SIDES)
    return Side(tuple(trial(key.replace("{w}", workload)) for key in keys), how)
