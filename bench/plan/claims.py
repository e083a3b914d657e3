"""This module reads published claims about preprocessing from `claims.toml`.

A claim is a sentence with its source and the trials that would show it. The comments at
the head of `claims.toml` explain the keys. `analysis/claim_verdicts.py` tests claims.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from bench import catalog
from bench.errors import UsageError, unknown
from bench.pipeline import pipeline
from bench.plan import toml
from bench.trial import CONSUMERS, Trial

FILE = catalog.ROOT / "bench" / "claims.toml"
SIDES = ("fastest", "slowest", "sum")


@dataclass(frozen=True)
class Side:
    """A side of a comparison is one trial, or several trials combined.

    Attributes:
        trials: The trials that must have been measured.
        how: How several trials are combined: the `fastest` or the `slowest` of them,
            or the `sum` of their seconds.
    """

    trials: tuple[Trial, ...]
    how: Literal["fastest", "slowest", "sum"] = "fastest"

    def __str__(self) -> str:
        """Return the trials' keys and, if there are several, how they are combined."""
        keys = [trial.key for trial in self.trials]
        return keys[0] if len(keys) == 1 else f"{self.how} of {', '.join(keys)}"


@dataclass(frozen=True)
class Prediction:
    """A prediction is a number within bounds, or a word.

    Attributes:
        low: The least value that the claim allows.
        high: The largest value that the claim allows.
        word: The word that a fact must be; empty where the prediction is a number.
    """

    low: float = -math.inf
    high: float = math.inf
    word: str = ""

    def __str__(self) -> str:
        """Return the prediction as the file spells it."""
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
    """A case is a claim about one workload, with the trials that test it.

    Attributes:
        workload: The name of the workload.
        trial: The side that the claim favours.
        than: The side that `trial` is compared with; None where the claim is about the
            value of one trial.
    """

    workload: str
    trial: Side
    than: Side | None = None

    @property
    def trials(self) -> tuple[Trial, ...]:
        """Return the trials of both sides, which must all have been measured."""
        return self.trial.trials + (self.than.trials if self.than else ())


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A claim is a published statement on preprocessing, in a form that can be tested.

    Attributes:
        id: The name of the claim.
        sentence: The claim in the words of this suite.
        source: Who makes the claim.
        sweep: The named sweep that has all trials of the claim.
        cases: A case for each workload.
        measure: The quantity that is compared; see `claims.toml`.
        predict: The value that the claim predicts.
        scale: The factor by which the value is multiplied, such as pixels an example.
        error: The column with the standard error of a counted value; empty if it has
            none.
        counted: Whether the value is counted and not timed, so that one run is enough.
        needs: `gpu` if only a machine with a GPU can test the claim; else empty.
        refuted_by: A part of the error message of a run that refutes the claim.
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


class ClaimForm(msgspec.Struct):
    """This struct has the keys of a `[[claim]]` table in a claims file."""

    id: str
    sentence: str
    source: str
    sweep: str
    trial: str | dict[str, list[str]]
    predict: str | int | float
    than: str | dict[str, list[str]] | None = None
    workloads: tuple[str, ...] = ("",)
    measure: str = Claim.measure
    scale: float = Claim.scale
    error: str = Claim.error
    counted: bool = Claim.counted
    needs: str = Claim.needs
    refuted_by: str = Claim.refuted_by


class ClaimsForm(msgspec.Struct):
    """This struct has the keys of a whole claims file."""

    claim: list[ClaimForm] = []


def names() -> dict[str, str]:
    """Return the sentence of every claim, by the claim's id."""
    return {claim.id: claim.sentence for claim in load()}


def load(path: Path = FILE) -> list[Claim]:
    """Read the claims of a file, in the order of the file.

    Raises:
        UsageError: The file is not TOML, has an unknown key or value, or has two claims
            of one id.
    """
    claims = [_claim(form) for form in toml.read(path, ClaimsForm).claim]
    ids = [claim.id for claim in claims]
    for name in ids:
        if ids.count(name) > 1:
            raise UsageError(f"'{path}' has two claims of the id '{name}'.")
    return claims


def trial(key: str) -> Trial:
    """Return the trial of a key, such as `text_lstm[batch_size=256,order=batch_map]`.

    Raises:
        UsageError: A workload, an axis or a value is unknown, or a bracket is open.
    """
    name, bracket, inside = key.partition("[")
    if bracket and not inside.endswith("]"):
        raise UsageError(f"A trial is spelled name[axis=value,...], got '{key}'.")
    catalog.find(name)
    settings = dict(
        part.strip().split("=", 1) for part in inside[:-1].split(",") if "=" in part
    )
    consumer = settings.pop("consumer", Trial.consumer)
    if consumer not in CONSUMERS:
        raise unknown("consumer", consumer, CONSUMERS)
    return Trial(
        workload=name,
        consumer=consumer,
        unit=settings.pop("unit", Trial.unit),
        pipeline=pipeline(settings),
    )


def prediction(text: str) -> Prediction:
    """Return the prediction of a text: `> 1.05`, `< 0.95`, `0.9 to 1.1`, `2` or `yes`.

    A text that is no number and no range is the word that a fact must be.
    """
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


def _claim(form: ClaimForm) -> Claim:
    values = msgspec.structs.asdict(form)
    sides = values.pop("trial"), values.pop("than")
    cases = [_case(*sides, workload) for workload in values.pop("workloads")]
    predict = prediction(str(values.pop("predict")))
    return Claim(cases=tuple(cases), predict=predict, **values)


def _case(
    trial: str | Mapping[str, list[str]],
    than: str | Mapping[str, list[str]] | None,
    workload: str,
) -> Case:
    side = _side(trial, workload)
    other = _side(than, workload) if than else None
    return Case(workload=side.trials[0].workload, trial=side, than=other)


def _side(keys: str | Mapping[str, list[str]], workload: str) -> Side:
    """Return one side of a comparison, from its keys in a claims file.

    `keys` is the key of one trial, or a dictionary such as `{"sum": [key, key]}` whose
    single entry states how several trials are combined. `{w}` in a key stands for the
    workload.
    """
    combined = {"fastest": [keys]} if isinstance(keys, str) else dict(keys)
    (how, several), *others = combined.items()
    if others or how not in SIDES:
        raise unknown("way to take trials together", how, SIDES)
    return Side(tuple(trial(key.replace("{w}", workload)) for key in several), how)
