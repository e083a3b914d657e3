"""Sweeps as data: named ones in `bench/sweeps/*.toml`, a user's in a file of its own.

A sweep is a list of blocks; a block is workloads x strategies x axes, seen by one
consumer. `include` takes in the blocks of other named sweeps, `claims = true` the
trials of every claim.
"""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench import catalog
from bench.errors import UsageError, unknown
from bench.pipeline import STRATEGIES, Pipeline, differences, parse, with_axes
from bench.plan import sweep_form
from bench.plan.refusals import refusal
from bench.plan.sweep_form import BlockForm
from bench.trial import Effort, Trial

FOLDER = catalog.ROOT / "bench" / "sweeps"


@dataclass(frozen=True, kw_only=True)
class Block:
    """Workloads x strategies x axes, seen by one consumer.

    Attributes:
        workloads: Names or paths; `layers:*` is a whole shelf, `layers:image` a kind.
        strategies: Names; none means the plain pipeline with its axes.
        axes: Values by axis; an axis given here overrides a strategy's.
        consumer: What pulls the batches.
        unit: What a sample covers.
    """

    workloads: tuple[str, ...]
    strategies: tuple[str, ...] = ()
    axes: Mapping[str, tuple] = field(default_factory=dict)
    consumer: str = "drain"
    unit: str = "window"


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What to run: blocks, and how much effort each trial gets.

    Attributes:
        name: The stem of its file.
        description: What it answers.
        blocks: The trials, as products.
        effort: How much measuring.
    """

    name: str
    description: str = ""
    blocks: tuple[Block, ...] = ()
    effort: Effort = Effort()


def names() -> dict[str, str]:
    """Every named sweep with its description."""
    files = sorted(FOLDER.glob("*.toml"))
    return {file.stem: sweep_form.toml(file).get("description", "") for file in files}


def find(name: str, within: tuple[Path, ...] = ()) -> Sweep:
    """The named sweep, or the user's own where the name is a path.

    Args:
        name: Of a sweep, or the path of a TOML file.
        within: The files that are including it.

    Raises:
        UsageError: No such sweep, not TOML, or a key or value that means nothing.
    """
    if name.endswith(".toml"):
        path = Path(name)
        if not path.is_file():
            raise UsageError(f"No sweep file at '{name}'.")
        return _sweep(path, within)
    if name not in names():
        raise unknown("sweep", name, names())
    return _sweep(FOLDER / f"{name}.toml", within)


def trials(sweep: Sweep, data: str = "") -> tuple[list[Trial], dict[str, str]]:
    """Every trial once, and the reason for each combination that means nothing.

    Args:
        sweep: What to run.
        data: The user's data in place of the workloads' own.

    Raises:
        UsageError: An unknown name or value, or nothing is left to run.
    """
    found: dict[str, Trial] = {}
    refused: dict[str, str] = {}
    for block in sweep.blocks:
        for workload in _expand(block.workloads):
            entry = catalog.find(workload)
            for pipeline in _pipelines(block):
                trial = Trial(
                    workload=workload,
                    pipeline=pipeline,
                    consumer=block.consumer,
                    unit=block.unit,
                    data=data,
                )
                reason = refusal(pipeline, block.consumer, block.unit, entry)
                if reason:
                    refused[trial.key] = reason
                else:
                    found[trial.key] = trial
    if not found:
        listed = "\n".join(f"  {key}: {reason}" for key, reason in refused.items())
        raise UsageError(
            f"Nothing is left to run; every combination is refused:\n{listed}"
        )
    return list(found.values()), refused


def narrow(
    sweep: Sweep,
    *,
    workloads: Iterable[str] = (),
    strategies: Iterable[str] = (),
    axes: Mapping[str, tuple] | None = None,
    consumer: str = "",
    unit: str = "",
) -> Sweep:
    """The sweep with what the command line says in place of its own."""
    changes: dict[str, object] = {}
    if workloads:
        changes["workloads"] = tuple(workloads)
    if strategies:
        changes["strategies"] = _checked_strategies(strategies)
    if consumer:
        changes["consumer"] = consumer
    if unit:
        changes["unit"] = unit
    blocks = []
    for block in sweep.blocks:
        merged = {**block.axes, **(axes or {})}
        blocks.append(replace(block, **changes, axes=merged))
    unique: list[Block] = []
    for block in blocks:
        if block not in unique:
            unique.append(block)
    return replace(sweep, blocks=tuple(unique))


def parse_axis(text: str) -> tuple[str, tuple]:
    """`name=v1,v2` as the axis and its values."""
    name, equals, values = text.partition("=")
    if not equals or not values:
        raise UsageError(f"--axis takes name=value,value, got '{text}'.")
    return name, tuple(parse(name, value) for value in values.split(","))


def _pipelines(block: Block) -> list[Pipeline]:
    bases = [STRATEGIES[name] for name in block.strategies] or [{}]
    points = [
        dict(zip(block.axes, values, strict=True))
        for values in itertools.product(*block.axes.values())
    ]
    return [
        with_axes(Pipeline(), {**base, **point}) for base in bases for point in points
    ]


def _expand(workloads: Iterable[str]) -> list[str]:
    """Names as they are; `layers:*` is a whole shelf, `layers:image` one kind of it."""
    expanded = []
    for name in workloads:
        shelf, _, wanted = name.partition(":")
        if shelf not in ("layers", "workloads"):
            expanded.append(name)
            continue
        on_shelf = catalog.entries(shelf).values()
        kinds = sorted({entry.kind for entry in on_shelf})
        if wanted not in ("*", *kinds):
            raise unknown(f"kind on the shelf '{shelf}'", wanted, ("*", *kinds))
        for entry in on_shelf:
            if wanted in ("*", entry.kind):
                expanded += [entry.name, *(f"{entry.name}:{v}" for v in entry.variants)]
    return expanded


def _sweep(path: Path, within: tuple[Path, ...] = ()) -> Sweep:
    if path in within:
        raise UsageError(f"Sweep file '{path.name}' includes itself.")
    form, effort = sweep_form.read(path)
    blocks = [
        block for name in form.include for block in find(name, (*within, path)).blocks
    ]
    blocks += _of_claims() if form.claims else []
    blocks += [_block(block) for block in form.block]
    if not blocks:
        raise UsageError(
            f"Sweep file '{path.name}' has no [[block]], so there is nothing to run."
        )
    return Sweep(
        name=path.stem,
        description=form.description,
        blocks=tuple(blocks),
        effort=effort,
    )


def _of_claims() -> list[Block]:
    from bench.plan import claims  # late: `list` and `--help` need no claims

    wanted = {
        trial.key: trial
        for one in claims.load()
        for case in one.cases
        for trial in case.trials
    }
    return [
        Block(
            workloads=(trial.workload,),
            axes={name: (v,) for name, v in differences(trial.pipeline).items()},
            consumer=trial.consumer,
            unit=trial.unit,
        )
        for trial in wanted.values()
    ]


def _block(form: BlockForm) -> Block:
    axes = {
        name: tuple(
            parse(name, v) for v in (values if isinstance(values, list) else [values])
        )
        for name, values in form.axes.items()
    }
    return Block(
        workloads=tuple(form.workloads),
        strategies=_checked_strategies(form.strategies),
        axes=axes,
        consumer=form.consumer,
        unit=form.unit,
    )


def _checked_strategies(given: Iterable[str]) -> tuple[str, ...]:
    given = tuple(given)
    for name in given:
        if name not in STRATEGIES:
            raise unknown("strategy", name, STRATEGIES)
    return given
