"""This module identifies the inputs of trials and describes how two inputs differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from bench.machine import identity
from bench.trial import InputPart, Measured, Run

CHANGED = "inputs_changed"  # the flag of a trial whose runs had several inputs
MOST_NOTES = 5
ASPECTS = ("count", "shape", "dtype", "content")


@dataclass(frozen=True)
class InputIdentity:
    """The identity of the inputs that one process measured.

    Attributes:
        fingerprint: The digest of the whole content; empty if unknown.
        parts: The features and the labels by name; empty in older records.
    """

    fingerprint: str
    parts: Mapping[str, InputPart] = field(default_factory=dict)


def input_identity(measured: Measured) -> InputIdentity:
    """Return the identity of the inputs that a process measured."""
    return InputIdentity(measured.input_fingerprint, measured.input_parts)


def difference(
    base: InputIdentity, head: InputIdentity, names: tuple[str, str] = ("base", "head")
) -> str:
    """Describe how two inputs differ; empty if they agree or one is unknown.

    Args:
        base: The first inputs.
        head: The second inputs.
        names: The names of the two sides in the description.
    """
    if not (base.fingerprint and head.fingerprint):
        return ""
    if not (base.parts and head.parts):
        return "" if base.fingerprint == head.fingerprint else "the inputs differ"
    details: dict[str, list[str]] = {aspect: [] for aspect in ASPECTS}
    for name in dict.fromkeys((*base.parts, *head.parts)):
        ours, theirs = base.parts.get(name), head.parts.get(name)
        if ours is None or theirs is None:
            details["content"].append(f"{name} exist only in {names[ours is None]}")
        elif aspects := _aspects(ours, theirs):
            details[aspects[0]].append(_sentence(name, ours, theirs, names))
            for aspect in aspects[1:]:
                details[aspect].append("")
    differing = [aspect for aspect in ASPECTS if details[aspect]]
    if not differing:
        return ""
    sentences = filter(None, (text for some in details.values() for text in some))
    return f"the inputs differ in {' and '.join(differing)}: {'; '.join(sentences)}"


def _aspects(base: InputPart, head: InputPart) -> list[str]:
    """Return the `ASPECTS` in which two parts differ; `content` only on its own."""
    differing = {
        "count": base.shape[:1] != head.shape[:1],
        "shape": base.shape[1:] != head.shape[1:],
        "dtype": base.dtype != head.dtype,
    }
    aspects = [aspect for aspect, differs in differing.items() if differs]
    return aspects or ["content"] * (base.digest != head.digest)


def _sentence(
    name: str, base: InputPart, head: InputPart, names: tuple[str, str]
) -> str:
    if str(base) == str(head):
        return f"{name} are {base} with other values in {names[0]} than in {names[1]}"
    return f"{name} are {base} in {names[0]} and {head} in {names[1]}"


@dataclass(frozen=True)
class AlikeRuns:
    """The runs that had the same inputs as the first run of their trial.

    Attributes:
        numbers: The index of each such run among all runs.
        runs: These runs. The runs of a trial whose inputs changed have the flag
            `CHANGED`.
        changes: By the key of a trial, a sentence on which of its runs had other
            inputs, and on how these differ.
    """

    numbers: list[int]
    runs: list[Run]
    changes: dict[str, str]

    @property
    def notes(self) -> list[str]:
        """A line for each trial whose inputs changed, at most `MOST_NOTES`."""
        lines = [
            f"{key}: its data changed between rounds, so it is not ranked. {change}"
            for key, change in list(self.changes.items())[:MOST_NOTES]
        ]
        more = len(self.changes) - len(lines)
        return lines + [f"The data of {more} more trials changed as well."] * (more > 0)


def runs_with_equal_inputs(runs: Sequence[Run]) -> AlikeRuns:
    """Exclude the runs whose inputs differ from the first run of their trial.

    Times on different inputs cannot be averaged, so the trial gets the flag `CHANGED`,
    which excludes it from ranking.

    Args:
        runs: The runs in file order, from any number of folders.
    """
    trials = [(run.key, identity(run.machine)) for run in runs]
    first: dict[tuple, Run] = {}
    others: dict[tuple, list[Run]] = {}
    numbers = []
    for number, (run, trial) in enumerate(zip(runs, trials, strict=True)):
        if run.measured.input_fingerprint:
            first.setdefault(trial, run)
        if _change(first.get(trial, run), run):
            others.setdefault(trial, []).append(run)
        else:
            numbers.append(number)
    return AlikeRuns(
        numbers=numbers,
        runs=[_flagged(runs[n]) if trials[n] in others else runs[n] for n in numbers],
        changes={
            trial[0]: _changes(first[trial], odd) for trial, odd in others.items()
        },
    )


def _change(first: Run, run: Run) -> str:
    names = (f"round {first.round}", f"round {run.round}")
    return difference(
        input_identity(first.measured), input_identity(run.measured), names
    )


def _changes(first: Run, odd: Sequence[Run]) -> str:
    """Return a sentence on the runs that had other inputs."""
    rounds = list(dict.fromkeys(str(run.round) for run in odd))
    many = len(rounds) > 1
    return (
        f"Round{'s' * many} {', '.join(rounds)} of '{odd[0].sweep}' had other inputs "
        f"than round {first.round} of '{first.sweep}' and {'do' if many else 'does'} "
        f"not count: {_change(first, odd[0])}."
    )


def _flagged(run: Run) -> Run:
    flags = list(dict.fromkeys([*run.measured.flags, CHANGED]))
    return replace(run, measured=replace(run.measured, flags=flags))
