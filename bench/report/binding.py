"""This module spells what binds a user's pipeline, and what AUTOTUNE chose."""

from __future__ import annotations

from bench.analysis.constraints import Constraint, binding
from bench.machine import usable_processors
from bench.run.user_pipeline import PipelineReading, Stage
from bench.text import figure, plural

# By resource: what it means that it binds. `{stage}` is the stage by its line.
SENTENCES = {
    "storage": "Storage binds: reading in {stage} waits for files.",
    "Python": "Python binds: {stage} runs Python, one call at a time.",
    "ordering": "Ordering binds: a slow example holds up those behind it.",
    "CPU cores": "CPU cores bind: the pipeline keeps {busy} of {processors} busy, "
    "most of all in {stage}.",
    "stage": "A stage binds: {stage}.",
    "none": "No stage binds by itself: the costliest is {stage}.",
}
WITHOUT = {
    "storage": "With its elements in memory",
    "ordering": "If parallel calls handed on what is ready first",
}
TAKEN_AWAY = "Without it"


def constraint(reading: PipelineReading) -> Constraint | None:
    """Return what binds a pipeline on this machine; None if waits were not measured."""
    return binding(reading, usable_processors())


def sentences(reading: PipelineReading) -> str:
    """Return sentences on what binds a pipeline, with the factor that lifting it gains.

    The text is empty if nothing was measured and there is no reason for that either.
    """
    bound = constraint(reading)
    if bound is None:
        reason = reading.no_waits
        return f"What binds is not known: {reason.rstrip('.')}." if reason else ""
    count = usable_processors()
    text = SENTENCES[bound.resource].format(
        stage=_named(reading, bound),
        busy=f"{min(reading.stages[-1].processors, count):.1f}",
        processors=plural(count, "processor"),
    )
    return f"{text} {_gain(reading, bound)}"


def choices(reading: PipelineReading) -> str:
    """Return a sentence on the values that AUTOTUNE chose; empty if it chose none."""
    chosen = [
        f"{_place(stage)} {name}={value}"
        for stage in reading.stages
        for name, value in stage.chosen.items()
    ]
    return f"AUTOTUNE chose: {', '.join(chosen)}." if chosen else ""


def spell_wait(stage: Stage) -> str:
    """Return the share of a stage in the time that the consumer waits, in percent."""
    return "" if stage.wait is None else f"{stage.wait:.0%}"


def _gain(reading: PipelineReading, bound: Constraint) -> str:
    if bound.factor is None:
        wait = reading.stages[bound.stage].wait or 0.0
        reason = bound.reason.rstrip(".")
        return (
            f"The consumer waits for it {wait:.0%} of the time. What its removal gains "
            f"was not measured: {reason}."
        )
    lead = WITHOUT.get(bound.resource, TAKEN_AWAY)
    factor = figure(bound.factor)
    return f"{lead} the pipeline would be {factor} times as fast."


def _named(reading: PipelineReading, bound: Constraint) -> str:
    if bound.stage < 0:
        return ""
    stage = reading.stages[bound.stage]
    function = stage.function.partition(",")[0]
    method = f"{stage.method}({function})" if function else stage.method
    return f"{method} of {_place(stage)}" if stage.line else f"{method}, in a library"


def _place(stage: Stage) -> str:
    return f"line {stage.line}" if stage.line else stage.method
