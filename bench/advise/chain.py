"""A user's pipeline as proposals see it: a chain of stages, and the source's edits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.advise.source import CannotEdit, Link, Source
from bench.run.user_pipeline import PipelineReading, Stage


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A proposal is one change of one thing, not measured yet.

    Attributes:
        name: The name of its file on the shelf.
        stage: Which stage it changes, in words.
        change: What it changes, in words, with the line.
        source: The edited source; empty if there is none.
        consent: The names in `--allow` that it needs.
        refusal: Why it is not legal; empty if it is.
        done_already: Why it changes nothing; empty if it may.
        by_hand: What to write where, if the source cannot be edited safely.
        fills: Whether it needs full caches before its clock starts.
        bars_cache: Whether no cache can hold any more what it moves.
    """

    name: str
    stage: str
    change: str
    source: str = ""
    consent: tuple[str, ...] = ()
    refusal: str = ""
    done_already: str = ""
    by_hand: str = ""
    fills: bool = False
    bars_cache: bool = False


@dataclass(frozen=True)
class Chain:
    """The last stages of the user's pipeline, each with one input: no branches.

    Attributes:
        reading: What was read.
        path: The user's file; only calls in this file are edited.
        source: Its text, parsed.
        stages: In order; the first may have no input, or several (a source, a zip).
    """

    reading: PipelineReading
    path: str
    source: Source
    stages: list[Stage] = field(default_factory=list)

    @property
    def examples(self) -> int:
        """Examples in an epoch, about; 0 where it is not known."""
        return self.reading.epoch_batches * self.reading.batch_size

    def link(self, stage: Stage) -> Link:
        """Return a stage's call in the source.

        Raises:
            CannotEdit: It is in another file, or cannot be found.
        """
        if Path(stage.path).absolute() != Path(self.path).absolute():
            raise CannotEdit(f"the call is in {Path(stage.path).name or 'a library'}")
        return self.source.link(stage)

    def propose(
        self,
        name: str,
        stage: Stage,
        change: str,
        edit: Callable[[], str],
        **properties: object,
    ) -> Proposal:
        """Return a proposal with its edited source, or with what to write by hand."""
        text, by_hand = "", ""
        if not properties.get("refusal"):
            try:
                text = edit()
            except CannotEdit as error:
                by_hand = f"{where(stage)}: {change} ({error})"
        return Proposal(
            name=name,
            stage=label(stage),
            change=f"{where(stage)}: {change}",
            source=text,
            by_hand=by_hand,
            **properties,
        )

    def propose_move(
        self,
        name: str,
        maps: Sequence[Stage],
        target: Stage,
        refusal: str,
        **properties: object,
    ) -> Proposal:
        """Return the proposal to move maps, in their order, behind a later stage."""
        named = " and ".join(f".map({function_name(one)})" for one in maps)
        return self.propose(
            name,
            maps[0],
            f"move {named} behind .{target.method} of line {target.line}",
            lambda: self.source.moved(
                [self.link(one) for one in maps], self.link(target)
            ),
            refusal=refusal,
            **properties,
        )


def chain(reading: PipelineReading, path: str, text: str) -> Chain:
    """Return the chain of a reading that ends with the user's dataset.

    Raises:
        CannotEdit: The text is not valid Python.
    """
    stages: list[Stage] = []
    place = len(reading.stages) - 1
    while place >= 0:
        stage = reading.stages[place]
        stages.insert(0, stage)
        place = stage.inputs[0] if len(stage.inputs) == 1 else -1
    return Chain(reading, path, Source(text), stages)


def label(stage: Stage) -> str:
    """A stage in words: its method, and its function's name."""
    function = function_name(stage)
    return f"{stage.method}({function})" if function else stage.method


def function_name(stage: Stage) -> str:
    """The name of a stage's function; empty if it has none."""
    return stage.function.partition(",")[0]


def where(stage: Stage) -> str:
    """A stage's line."""
    return f"line {stage.line}" if stage.line else "in a library"
