"""This module reads sweeps from TOML and expands them into trials.

Named sweeps are in `bench/sweeps/*.toml`; a user's sweep is a file of his own. A sweep
is a list of blocks. A block is the product of workloads, strategies and axes for one
consumer. `include` adds the blocks of other sweeps, and `claims = true` adds the trials
of every claim.
"""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated

import msgspec

from bench import catalog
from bench.data import source
from bench.errors import UsageError, unknown
from bench.pipeline import STRATEGIES, Pipeline, differences, parse, with_axes
from bench.plan import toml
from bench.plan.refusals import refusal
from bench.trial import CONSUMERS, UNITS, Effort, Trial

FOLDER = catalog.ROOT / "bench" / "sweeps"
WHICH = ("", "plain", "deterministic")  # of a kind on a shelf: all, or a part
MAY_BE_ZERO = ("warmup_seconds", "trace_steps")

# The numbers of an effort: its words and flags are for the program alone.
EffortForm = msgspec.defstruct(
    "EffortForm",
    [
        (one.name, type(one.default), one.default)
        for one in fields(Effort)
        if type(one.default) in (int, float)
    ],
    frozen=True,
)


class BlockForm(msgspec.Struct):
    """This struct has the keys of a `[[block]]` table in a sweep's file."""

    workloads: Annotated[list[str], msgspec.Meta(min_length=1)]
    strategies: list[str] = []
    axes: dict[str, object] = {}
    consumer: str = Trial.consumer
    unit: str = Trial.unit


class SweepForm(msgspec.Struct):
    """This struct has the keys of a whole sweep file."""

    description: str = ""
    include: list[str] = []
    claims: bool = False
    budget_seconds: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    effort: EffortForm = EffortForm()
    block: list[BlockForm] = []


@dataclass(frozen=True, kw_only=True)
class Block:
    """A block is the product of workloads, strategies and axes for one consumer.

    Attributes:
        workloads: Names or paths; `layers:*` stands for all layers, `layers:image` for
            all layers of one kind, `layers:image:plain` for these without variants, and
            `layers:image:deterministic` for these without the random ones.
        strategies: Names of strategies; empty for the plain pipeline with the axes.
        axes: Values by axis. An axis here overrides the axis of a strategy.
        consumer: The consumer of every trial in the block.
        unit: The extent of a sample, `window` or `epoch`.
    """

    workloads: tuple[str, ...]
    strategies: tuple[str, ...] = ()
    axes: Mapping[str, tuple] = field(default_factory=dict)
    consumer: str = Trial.consumer
    unit: str = Trial.unit


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A sweep states which trials to run and how much effort each one gets.

    Attributes:
        name: The stem of the sweep's file.
        description: The question that the sweep answers.
        blocks: The trials, as products.
        effort: The effort of each trial.
        budget_seconds: The time after which the sweep stops, whatever rounds are left;
            0 for no limit. A budget from the command line replaces it.
    """

    name: str
    description: str = ""
    blocks: tuple[Block, ...] = ()
    effort: Effort = Effort()
    budget_seconds: float = 0.0


def names() -> dict[str, str]:
    """Return the description of every named sweep, by name."""
    files = sorted(FOLDER.glob("*.toml"))
    return {file.stem: toml.read(file, SweepForm).description for file in files}


def find(name: str, within: tuple[Path, ...] = ()) -> Sweep:
    """Return the sweep with this name, or the sweep in this file.

    Args:
        name: The name of a sweep, or the path of a TOML file.
        within: The files that include this sweep, outermost first.

    Raises:
        UsageError: The sweep does not exist, is not TOML, or has an invalid key or
            value.
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
    """Expand a sweep into the trials to run and the combinations that are refused.

    Args:
        sweep: The sweep.
        data: The user's data, a name or a path, in place of the workloads' own.

    Returns:
        The trials, each once; and the reason for each refused combination, by its key.

    Raises:
        UsageError: A name or value is unknown, or every combination is refused.
    """
    accepted: dict[str, Trial] = {}
    refused: dict[str, str] = {}
    for block in sweep.blocks:
        for workload in _expand(block.workloads):
            entry = source.entry_for(catalog.find(workload), data)
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
                    accepted[trial.key] = trial
    if not accepted:
        reasons = "\n".join(f"  {key}: {reason}" for key, reason in refused.items())
        raise UsageError(
            "Every combination is refused, so nothing is left to run. Change the axes, "
            f"the workloads or the consumer. The reasons:\n{reasons}"
        )
    return list(accepted.values()), refused


def narrow(
    sweep: Sweep,
    *,
    workloads: Iterable[str] = (),
    strategies: Iterable[str] = (),
    axes: Mapping[str, tuple] | None = None,
    consumer: str = "",
    unit: str = "",
) -> Sweep:
    """Replace workloads, strategies, axes, consumer or unit in every block of a sweep.

    Args:
        sweep: The sweep.
        workloads: Replace the workloads of every block, if not empty.
        strategies: Replace the strategies of every block, if not empty.
        axes: Are added to the axes of every block and override them.
        consumer: Replaces the consumer of every block, if not empty.
        unit: Replaces the unit of every block, if not empty.
    """
    changes: dict[str, object] = {}
    if workloads:
        changes["workloads"] = tuple(workloads)
    if strategies:
        changes["strategies"] = _checked_strategies(strategies)
    if consumer:
        changes["consumer"] = consumer
    if unit:
        changes["unit"] = unit
    blocks: list[Block] = []
    for block in sweep.blocks:
        narrowed = replace(block, **changes, axes={**block.axes, **(axes or {})})
        if narrowed not in blocks:
            blocks.append(narrowed)
    return replace(sweep, blocks=tuple(blocks))


def parse_axis(text: str) -> tuple[str, tuple]:
    """Parse `name=value,value` into the name of an axis and a tuple of its values."""
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
    """Replace `layers:KIND` and `layers:KIND:WHICH` by the names of these layers.

    `KIND` may be `*`. The same holds for `workloads:`. Other names stay.
    """
    expanded = []
    for name in workloads:
        shelf, _, wanted = name.partition(":")
        if shelf not in ("layers", "workloads"):
            expanded.append(name)
            continue
        wanted, _, which = wanted.partition(":")
        on_shelf = catalog.entries(shelf).values()
        kinds = sorted({entry.kind for entry in on_shelf})
        if wanted not in ("*", *kinds):
            raise unknown(f"kind on the shelf '{shelf}'", wanted, ("*", *kinds))
        if which not in WHICH:
            raise unknown(f"part of '{shelf}:{wanted}'", which, WHICH[1:])
        for entry in on_shelf:
            if wanted not in ("*", entry.kind):
                continue
            if which == "deterministic" and not entry.deterministic:
                continue
            variants = () if which == "plain" else entry.variants
            expanded += [entry.name, *(f"{entry.name}:{v}" for v in variants)]
    return expanded


def _sweep(path: Path, within: tuple[Path, ...] = ()) -> Sweep:
    if path in within:
        raise UsageError(f"Sweep file '{path.name}' includes itself.")
    form = toml.read(path, SweepForm)
    effort = msgspec.structs.asdict(form.effort)
    for name, value in effort.items():
        if value < 0 or (value == 0 and name not in MAY_BE_ZERO):
            raise UsageError(
                f"'{path}', [effort]: {name} must be above 0, got {value}."
            )
    blocks = [
        block for name in form.include for block in find(name, (*within, path)).blocks
    ]
    blocks += _claim_blocks() if form.claims else []
    blocks += [_block(block) for block in form.block]
    if not blocks:
        raise UsageError(
            f"'{path}' has nothing to run. Add a [[block]], include = [...], or "
            "claims = true."
        )
    return Sweep(
        name=path.stem,
        description=form.description,
        blocks=tuple(blocks),
        effort=Effort(**effort),
        budget_seconds=form.budget_seconds,
    )


def _claim_blocks() -> list[Block]:
    """Return a block for each trial that any claim of `claims.toml` compares."""
    from bench.plan import claims  # late: `list` and `--help` need no claims

    claimed = {
        trial.key: trial
        for claim in claims.load()
        for case in claim.cases
        for trial in case.trials
    }
    return [
        Block(
            workloads=(trial.workload,),
            axes={name: (v,) for name, v in differences(trial.pipeline).items()},
            consumer=trial.consumer,
            unit=trial.unit,
        )
        for trial in claimed.values()
    ]


def _block(form: BlockForm) -> Block:
    if form.consumer not in CONSUMERS:
        raise unknown("consumer", form.consumer, CONSUMERS)
    if form.unit not in UNITS:
        raise unknown("unit", form.unit, UNITS)
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


def _checked_strategies(strategies: Iterable[str]) -> tuple[str, ...]:
    strategies = tuple(strategies)
    for name in strategies:
        if name not in STRATEGIES:
            raise unknown("strategy", name, STRATEGIES)
    return strategies
