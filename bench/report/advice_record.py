"""The records of an `advise`: what was tried, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.run.user_pipeline import PipelineReading

# What came of a proposal, in words.
STATES = {
    "kept": "faster, so it is part of the advice",
    "not_faster": "measured, and not shown to be faster",
    "undecided": "the test was not settled when its time ended",
    "no_gain_seen": "a first look saw no gain, so it was not tested",
    "refused": "not legal by its rule, or its examples differ",
    "done_already": "tf.data does it by itself",
    "not_allowed": "it needs consent: see --allow",
    "by_hand": "the source cannot be edited safely: write it by hand",
    "failed": "the edited pipeline fails, as where a map cannot take batches",
    "not_tried": "promising or not looked at, and not tested",
}


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """An attempt is what became of one proposal.

    Attributes:
        proposal: The proposal's name.
        stage: The stage that it changes, without the line.
        change: What it changes, with the line.
        state: One of `STATES`.
        round: In which round of proposals, from 1; each begins with what was kept.
        ratio: Its time over the time without it; None where it was not tested.
        low: The lower bound of the ratio.
        high: The upper bound of the ratio.
        first_look: The ratio that one process saw at first; None without one.
        reason: Why it was not kept, or what its test does not cover.
        compared: Examples that the gate compared.
    """

    proposal: str
    stage: str
    change: str
    state: str
    round: int = 1
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    first_look: float | None = None
    reason: str = ""
    compared: int = 0


@dataclass(kw_only=True)
class Advice:
    """The advice about one pipeline.

    Attributes:
        path: The user's file.
        call: The expression that made the dataset.
        reading: The pipeline as it was written.
        original: Its source.
        tuned: The source with all kept proposals; the original if there are none.
        attempts: The proposals, in the order in which they were decided.
        verdict: Of the tuned file against the original, by fresh processes; empty if
            that was not measured.
        ratio: The time of the tuned pipeline over the original one's.
        low: The lower bound of the ratio.
        high: The upper bound of the ratio.
        notes: What a reader has to know, a line each.
        seconds: How long it all took.
        interrupted: Whether the user stopped it.
    """

    path: str
    call: str
    reading: PipelineReading
    original: str
    tuned: str
    attempts: list[Attempt] = field(default_factory=list)
    verdict: str = ""
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False
