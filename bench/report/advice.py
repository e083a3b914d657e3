"""This module writes the result of `advise` as text, Markdown, JSON and a diff."""

from __future__ import annotations

import difflib
import os
import shlex
import textwrap
from pathlib import Path

import msgspec

from bench.machine import usable_processors
from bench.report import advice_limits, binding
from bench.report.advice_record import STATES, Advice, Attempt
from bench.run.progress import duration_text, plural
from bench.run.user_pipeline import Stage
from bench.text import bounds, figure, markdown, markdown_code, spell_seconds, visible

WIDTH = 79
LONGEST = 1000  # characters of a paragraph
STAGE_COLUMNS = ("line", "stage", "settings", "element", "wait", "busy", "share")
WIDTHS = (5, 21, 16, 14, 5, 8, 5)
STAGES_EXPLAINED = (
    "Stages as written. wait: the part of the time in which the consumer waits for the "
    "stage; busy: of a batch, over all threads; share: of the busy time."
)
ORDER = ("kept", "undecided", "not_faster", "no_gain_seen", "failed", "by_hand")
ORDER += ("not_allowed", "refused", "done_already", "not_tried")


def headline(advice: Advice) -> str:
    """Return one or two sentences that sum up the result of `advise`."""
    kept = [one for one in advice.attempts if one.state == "kept"]
    tested = [one for one in advice.attempts if one.ratio is not None]
    subject = "training" if advice.model else "the pipeline"
    if advice.verdict == "faster":
        speed = spell_speed(advice.ratio, advice.low, advice.high)
        return (
            f"With {plural(len(kept), 'change')} {subject} is {speed} times as fast "
            "as written, by fresh processes that took turns."
        )
    if advice.tuned != advice.original:
        return (
            f"{plural(len(kept), 'change')} made it faster, each by its own test. The "
            "whole tuned file was not measured again."
        )
    if kept:
        return "Nothing is advised: the whole tuned file was not shown to be faster."
    if advice.attempts:
        return (
            "Nothing is advised: no change that may be made was shown to be at least "
            f"3 % faster. {len(tested)} of {len(advice.attempts)} were tested by turns."
        )
    return "Nothing is proposed."


def ceiling(advice: Advice) -> str:
    """Return sentences on the pipeline's speed as written, and on its upper limits.

    The limits are the speed of the consumer with a batch in memory, and that of
    processors which are busy all the time. The text is empty if the speed was not
    measured.
    """
    reading, count = advice.reading, usable_processors()
    if not reading.seconds_per_batch:
        return ""
    work = reading.cpu_seconds_per_batch / count
    busy = min(1.0, work / reading.seconds_per_batch)
    example = reading.seconds_per_batch / max(1, reading.batch_size)
    return (
        f"As written, a batch of {plural(reading.batch_size, 'example')} takes "
        f"{spell_seconds(reading.seconds_per_batch)} ({1 / example:,.0f} examples a "
        f"second; one process, no interval), and the first one "
        f"{spell_seconds(reading.first_batch_seconds)}. Ceilings: the same consumer "
        f"takes {spell_seconds(reading.ceiling_seconds)} for a batch that is held in "
        f"memory; the same work spread evenly over {plural(count, 'processor')} would "
        f"take {spell_seconds(work)}, so they are {busy:.0%} busy now."
    )


def stage_rows(advice: Advice) -> list[tuple[str, ...]]:
    """Return a row of text for each tf.data stage; `STAGE_COLUMNS` has the headings."""
    stages = advice.reading.stages
    total = sum(stage.seconds or 0.0 for stage in stages)
    return [
        (
            _line(stage, advice.path),
            _stage(stage),
            _settings(stage),
            stage.element,
            binding.spell_wait(stage),
            "in map" if stage.fused else _busy(stage),
            "" if stage.seconds is None else f"{stage.seconds / (total or 1):.0%}",
        )
        for stage in stages
    ]


def terminal(advice: Advice, files: list[str]) -> str:
    """Return the advice as plain text of at most 80 columns.

    Args:
        advice: The advice.
        files: Lines about the written files, which end the text.
    """
    model = f", training {advice.model}" if advice.model else ""
    lines = [f"advise {advice.path}: {advice.call}{model}", ""]
    lines += textwrap.wrap(headline(advice), WIDTH)
    lines += ["", *textwrap.wrap(STAGES_EXPLAINED, WIDTH)]
    lines.append(_columns(STAGE_COLUMNS))
    lines += [_columns(row) for row in stage_rows(advice)]
    for text in _about(advice):
        lines += ["", *textwrap.wrap(visible(text, LONGEST), WIDTH)]
    for note in advice.notes:
        lines += textwrap.wrap(note, WIDTH, initial_indent="! ", subsequent_indent="  ")
    lines += ["", "Trail: how many times as fast, with its interval"]
    for state, attempts in _by_state(advice).items():
        lines.append(f"{state.replace('_', ' ')} ({STATES[state]})")
        for attempt in attempts:
            for place, text in enumerate(_words(attempt)):
                lead = "  - " if place == 0 else "      "
                lines += textwrap.wrap(
                    visible(text),
                    WIDTH,
                    initial_indent=lead,
                    subsequent_indent="      ",
                )
    text = diff(advice)
    if text:
        lines += ["", "Diff", *text.rstrip("\n").split("\n")]
    took = f"It took {duration_text(advice.seconds)}."
    return "\n".join([*lines, "", took, *files]) + "\n"


def as_markdown(advice: Advice) -> str:
    """Return the advice as a Markdown document."""
    rows = [
        "| " + " | ".join(markdown(cell) for cell in row) + " |"
        for row in stage_rows(advice)
    ]
    model = f", training {markdown_code(advice.model)}" if advice.model else ""
    lines = [
        f"# Advice for {markdown_code(advice.path)}",
        "",
        f"{markdown_code(advice.call)}{model}: {headline(advice)}",
        "",
        "## Stages as written",
        "",
        STAGES_EXPLAINED,
        "",
        "| " + " | ".join(STAGE_COLUMNS) + " |",
        "| " + " | ".join("---" for _ in STAGE_COLUMNS) + " |",
        *rows,
        "",
        "\n\n".join(map(markdown, _about(advice))),
        "",
        *(f"- {markdown(note)}" for note in advice.notes),
        "",
        "## Trail",
        "",
        "| what came of it | change | times as fast | interval | why |",
        "| --- | --- | --- | --- | --- |",
    ]
    for state, attempts in _by_state(advice).items():
        for one in attempts:
            speed = spell_speed(one.ratio, one.low, one.high, apart=True)
            reason = "; ".join(filter(None, (_first_look(one), one.reason)))
            cells = [state.replace("_", " "), one.change, *speed, reason]
            lines.append("| " + " | ".join(markdown(cell) for cell in cells) + " |")
    if text := diff(advice):
        lines += ["", "## Diff", "", "```diff", text.rstrip("\n"), "```"]
    took = duration_text(advice.seconds)
    lines += ["", f"It took {took}. An interval is of the time, by trios of processes."]
    return "\n".join(lines) + "\n"


def as_json(advice: Advice) -> bytes:
    """Return the advice as JSON, with the diff."""
    content = {
        "schema": 1,
        **msgspec.to_builtins(advice),
        "binds": msgspec.to_builtins(binding.constraint(advice.reading)),
        "diff": diff(advice),
    }
    return msgspec.json.format(msgspec.json.encode(content)) + b"\n"


def diff(advice: Advice) -> str:
    """Return the change of the user's file as a unified diff; empty if nothing changes.

    `git apply` takes it in the folder that `diff_folder` returns.
    """
    if advice.tuned == advice.original:
        return ""
    name = os.path.relpath(Path(advice.path).absolute(), diff_folder(advice))
    sides = (advice.original, advice.tuned)
    before, after = (side.splitlines(keepends=True) for side in sides)
    lines = difflib.unified_diff(before, after, f"a/{name}", f"b/{name}")
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
        for line in lines
    )


def diff_folder(advice: Advice) -> Path:
    """Return the folder in which `git apply` takes the diff.

    It is the working folder, or the folder of the user's file if that is elsewhere.
    """
    path = Path(advice.path).absolute()
    return Path.cwd() if path.is_relative_to(Path.cwd()) else path.parent


def apply_command(advice: Advice, path: Path, *options: str) -> str:
    """Return the shell command that applies a diff or, with `-R`, reverts it."""
    there = diff_folder(advice)
    lead = "" if there == Path.cwd() else f"cd {shlex.quote(str(there))} && "
    return f"{lead}git apply {' '.join([*options, shlex.quote(str(path))])}"


def spell_speed(
    ratio: float | None, low: float | None, high: float | None, *, apart: bool = False
) -> str | tuple[str, str]:
    """Return how many times as fast a change makes the pipeline, with the interval.

    Args:
        ratio: The time with the change over the time without it; None if not measured.
        low: The lower bound of the ratio.
        high: The upper bound of the ratio.
        apart: Whether to return two texts, speed and interval, in place of one.
    """
    if not ratio:
        return ("", "") if apart else ""
    has_interval = low is not None and high is not None
    values = (1 / ratio, 1 / high, 1 / low) if has_interval else (1 / ratio,)
    speed = figure(*values)
    interval = bounds(*values) if has_interval else ""
    if apart:
        return speed, interval
    return f"{speed} ({interval})" if interval else speed


def _about(advice: Advice) -> list[str]:
    """Return what there is to say of the pipeline as written, a paragraph each."""
    reading = advice.reading
    paragraphs = (
        binding.sentences(reading),
        binding.choices(reading),
        ceiling(advice),
        advice_limits.training(reading),
    )
    return [text for text in paragraphs if text]


def _by_state(advice: Advice) -> dict[str, list[Attempt]]:
    """Return the last attempt of each change, grouped by the attempt's result.

    The groups are in the order of `ORDER`, successful changes first.
    """
    last = {(one.proposal, one.stage): one for one in advice.attempts}
    return {
        state: attempts
        for state in ORDER
        if (attempts := [one for one in last.values() if one.state == state])
    }


def _words(attempt: Attempt) -> list[str]:
    speed = spell_speed(attempt.ratio, attempt.low, attempt.high)
    first = f"{attempt.change}: {speed}" if speed else attempt.change
    return [first, *filter(None, [_first_look(attempt), attempt.reason])]


def _first_look(attempt: Attempt) -> str:
    looked_only = attempt.state in ("no_gain_seen", "not_tried")
    if not looked_only or not attempt.first_look:
        return ""
    return f"{figure(1 / attempt.first_look)} times as fast in one process"


def _columns(cells: tuple[str, ...]) -> str:
    cut = [
        cell if len(cell) <= width else cell[: width - 2] + ".."
        for cell, width in zip(cells, WIDTHS, strict=True)
    ]
    left = [
        f"{cell:<{width}}" for cell, width in zip(cut[1:4], WIDTHS[1:], strict=False)
    ]
    right = [
        f"{cell:>{width}}" for cell, width in zip(cut[4:], WIDTHS[4:], strict=False)
    ]
    return f"{cut[0]:>{WIDTHS[0]}} {' '.join([*left, *right])}".rstrip()


def _line(stage: Stage, path: str) -> str:
    if not stage.line:
        return ""
    same = Path(stage.path).absolute() == Path(path).absolute()
    return str(stage.line) if same else f"{Path(stage.path).name}:{stage.line}"


def _stage(stage: Stage) -> str:
    function = stage.function.partition(",")[0]
    name = f"{stage.method}({function})" if function else stage.method
    return f"{name} [{', '.join(stage.traits)}]" if stage.traits else name


def _settings(stage: Stage) -> str:
    spelled = {
        name: "AUTOTUNE" if value == -1 else value
        for name, value in stage.settings.items()
    }
    return ", ".join(f"{name}={value}" for name, value in spelled.items())


def _busy(stage: Stage) -> str:
    return "" if stage.seconds is None else spell_seconds(stage.seconds)
