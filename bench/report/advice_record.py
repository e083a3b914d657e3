"""This module defines the record of `advise`: the changes that it tried."""

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
    """An attempt is one proposed change to a pipeline, with the result of its test.

    Attributes:
        proposal: The name of the kind of change, a file of `bench/advise/proposals/`.
        stage: The tf.data stage to change, without its line.
        change: The change in words, with the line of the user's file.
        state: The result, one of `STATES`.
        round: The number of the round of proposals, from 1. A round begins with the
            changes that earlier rounds have accepted.
        ratio: The time with the change over the time without it; None if not measured.
        low: The lower bound of the ratio.
        high: The upper bound of the ratio.
        first_look: A rough ratio, measured first in a single process; None if not
            measured.
        reason: The reason why the change was not accepted, or what its test does not
            cover.
        compared: The number of examples that were compared before and after the change.
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
    """The advice is the result of `advise` about one pipeline.

    Attributes:
        path: The path of the user's file.
        call: The expression that makes the dataset.
        model: The file and the expression of the model that is trained; empty without
            a model.
        reading: The stages and times of the pipeline as the user wrote it.
        original: The source text of the user's file.
        tuned: The source text with all accepted changes; the original if there are
            none.
        attempts: The tested changes, in the order in which they were decided.
        verdict: The verdict on the tuned file against the original, by fresh processes;
            empty if not measured.
        ratio: The time of the tuned pipeline over the time of the original pipeline.
        low: The lower bound of the ratio.
        high: The upper bound of the ratio.
        notes: Remarks for the reader, one line each.
        seconds: The duration of the whole search; seconds.
        interrupted: Whether the user stopped the search.
    """

    path: str
    call: str
    reading: PipelineReading
    original: str
    tuned: str
    model: str = ""
    attempts: list[Attempt] = field(default_factory=list)
    verdict: str = ""
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False
