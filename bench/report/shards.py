"""This module checks that result folders are shards of one sweep, and names the rest.

A shard is the part of a sweep that one machine ran; see `bench.plan.shards`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from bench import shell, store
from bench.errors import UsageError
from bench.machine import identity
from bench.plan.shards import Shard
from bench.text import plural
from bench.trial import Effort, Run

MOST_NAMED = 3  # missing shards that are named with their commands


class _PlanForm(msgspec.Struct):
    """This struct has the parts of `plan.json` that a report of shards needs.

    The trials stay undecoded: a report needs no workload's file.
    """

    sweep: str
    trials: list[msgspec.Raw]
    seed: int
    effort: Effort
    precision: float = 0.0
    shard: Shard | None = None


@dataclass(frozen=True)
class _Part:
    """A part is the shard of a result folder, with what it shares with the others."""

    folder: Path
    shard: Shard
    trials: int
    shared: Mapping[str, object]


def notes(
    folders: Sequence[Path], runs: Sequence[Run], names: Sequence[str]
) -> list[str]:
    """Return sentences on which shards of a sweep the folders are, and which miss.

    Without a shard among the folders there are none.

    Args:
        folders: The result folders.
        runs: Their runs.
        names: The folder of each run.

    Raises:
        UsageError: The folders are shards of different sweeps, or two folders are the
            same shard from the same machine.
    """
    parts = [part for folder in folders if (part := _part(folder))]
    if not parts:
        return []
    _refuse_other_sweeps(parts)
    _refuse_doubled(parts, runs, names)
    part = parts[0]
    sweep, count = part.shared["the sweep"], part.shard.count
    numbers = sorted({part.shard.number for part in parts})
    missing = [n for n in range(1, count + 1) if n not in numbers]
    trials = plural(len(part.shard.keys), "trial")
    unfinished = _unfinished(parts, runs, names)
    if not missing:
        return [
            f"All {plural(count, 'shard')} of the sweep '{sweep}' are here: together "
            f"they are its {trials}.",
            *unfinished,
        ]
    command = part.shard.command
    lines = [
        f"Shard {n}/{count} is missing. This command runs it: "
        + shell.command(*command, "--shard", f"{n}/{count}")
        for n in missing[:MOST_NAMED]
    ]
    more = len(missing) - len(lines)
    here = ", ".join(map(str, numbers))
    return [
        f"Of the {plural(count, 'shard')} of the sweep '{sweep}' with its {trials} "
        f"these are here: {here}.",
        *unfinished,
        *lines,
        *([f"{plural(more, 'more shard')} missing."] if more else []),
    ]


def _unfinished(
    parts: Sequence[_Part], runs: Sequence[Run], names: Sequence[str]
) -> list[str]:
    """Return a sentence on each shard that has trials without a run."""
    measured: dict[str, set[str]] = {}
    for run, name in zip(runs, names, strict=True):
        measured.setdefault(name, set()).add(run.key)
    lines = []
    for part in parts:
        left = part.trials - len(measured.get(str(part.folder), ()))
        if left > 0:
            command = shell.command("run", "--resume", part.folder)
            lines.append(
                f"Shard {part.shard} is not finished: {left} of "
                f"{plural(part.trials, 'trial')} have no run. Continue with: {command}"
            )
    return lines


def _part(folder: Path) -> _Part | None:
    """Return the shard of a result folder; None if it has none or no readable plan.

    `store.load` has a note on a plan that cannot be read.
    """
    path = folder / store.PLAN if folder.is_dir() else folder.with_name(store.PLAN)
    try:
        plan = msgspec.json.decode(path.read_bytes(), type=_PlanForm)
    except (OSError, msgspec.MsgspecError):
        return None
    if plan.shard is None:
        return None
    # A resumed shard may have got another time limit, which changes no figure.
    effort = replace(plan.effort, limit_seconds=0.0)
    shared = {
        "the sweep": plan.sweep,
        "the number of shards": plan.shard.count,
        "the list of trials": tuple(plan.shard.keys),
        "the seed": plan.seed,
        "the effort": effort,
        "the precision": plan.precision,
    }
    return _Part(folder, plan.shard, len(plan.trials), shared)


def _refuse_other_sweeps(parts: Sequence[_Part]) -> None:
    """Raise `UsageError` if the plans of two shards differ in what they must share."""
    first, *others = parts
    for other in others:
        for name, value in first.shared.items():
            if other.shared[name] == value:
                continue
            values = ""
            if isinstance(value, str | int | float):
                values = f" ({value} and {other.shared[name]})"
            raise UsageError(
                f"'{first.folder}' and '{other.folder}' are shards of different "
                f"sweeps: {name} differs{values}. Name the shards of one sweep, or "
                "compare two sweeps with `compare A B`."
            )


def _refuse_doubled(
    parts: Sequence[_Part], runs: Sequence[Run], names: Sequence[str]
) -> None:
    """Raise `UsageError` if one machine ran a shard into two of the folders.

    Two machines may run the same shard: the report then compares their ratios.
    """
    machines: dict[str, set[tuple]] = {}
    for run, name in zip(runs, names, strict=True):
        machines.setdefault(name, set()).add(identity(run.machine))
    owners: dict[tuple, Path] = {}
    for part in parts:
        for machine in machines.get(str(part.folder), ()):
            place = part.shard.number, machine
            if place in owners:
                raise UsageError(
                    f"Shard {part.shard} is twice here, from one machine: in "
                    f"'{owners[place]}' and in '{part.folder}'. Name one of them."
                )
            owners[place] = part.folder
