"""Which trials a guard of two revisions means, and in which tree their files are."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from bench import catalog
from bench.errors import UsageError
from bench.pipeline import differences
from bench.plan import plan, sweeps
from bench.plan.sweeps import Sweep
from bench.trial import Trial

GUARD = "guard"  # the sweep that is guarded where no workload is named


@dataclass(frozen=True)
class Trees:
    """A repository at two revisions.

    Attributes:
        head: Its own working tree.
        base: The other revision's.
        ours: Whether it is this suite's own, so that each side has its own shelves.
    """

    head: Path
    base: Path
    ours: bool

    def has(self, workload: str, tree: Path) -> bool:
        """Whether a workload's file is in one of the two."""
        return _path(workload, tree, self.ours).is_file()


def trials(
    trees: Trees, sweep: Sweep, *, named: bool, seed: int, data: str
) -> tuple[list[Trial], list[Trial], dict[str, str]]:
    """Trials on head, those that only base has, and by key why others are left out.

    Paths are relative to the repository.

    Args:
        trees: The repository.
        sweep: What is wanted; a workload's path is as the user gave it.
        named: Whether the user named the workloads, or the sweep did.
        seed: Of the plan.
        data: The user's data in place of the workloads' own.

    Raises:
        UsageError: A workload is nowhere, or is the same at every ref, or an axis is
            unknown to base.
    """
    top, ours = trees.head, trees.ours
    if not ours and not named:
        raise UsageError(
            f"Nothing of {top} was named. Give your workload's file: "
            "--workload path/to/yours.py."
        )
    here, gone = [], []
    names = [name for block in sweep.blocks for name in block.workloads]
    for name in names:
        spelled = _relative(name, top, ours)
        if trees.has(spelled, top):
            here.append((str(top / spelled) if ".py" in spelled else spelled, spelled))
        elif trees.has(spelled, trees.base):
            gone.append(spelled)
        else:
            catalog.find(name)  # raises: it says what there is
            raise UsageError(f"No workload file '{name}', neither in base nor in head.")
    if ours and not named:
        gone += [name for name in _base_names(trees.base) if name not in names]
    found: list[Trial] = []
    refused: dict[str, str] = {}
    for name, spelled in here:
        alone = sweeps.narrow(sweep, workloads=[name])
        made = plan.plan_sweep(alone, alone.effort, seed, 0.0, data)
        found += [replace(trial, workload=spelled) for trial in made.trials]
        refused |= {k.replace(name, spelled, 1): r for k, r in made.refused.items()}
    if ours:
        _demand_axes(found, trees.base)
    lost = [Trial(workload=name, data=data) for name in gone]
    return found, lost, refused


def _demand_axes(trials: Iterable[Trial], base: Path) -> None:
    """Refuse axes that base's own harness lacks: it would measure their defaults.

    Raises:
        UsageError: It lacks one that is set.
    """
    path = base / "bench" / "pipeline.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    known = {n.target.id for n in ast.walk(tree) if isinstance(n, ast.AnnAssign)}
    for trial in trials:
        for name in differences(trial.pipeline):
            if name not in known:
                raise UsageError(
                    f"'{trial.key}': base has no axis '{name}' yet, and would measure "
                    "something else. Leave it out, or compare with a later base."
                )


def anywhere(data: str) -> str:
    """The user's data, a path or `FILE.csv:COLUMN`, as found from any folder."""
    path, _, column = data.rpartition(":")
    if data and Path(data).exists():
        return str(Path(data).absolute())
    if path and Path(path).exists():
        return f"{Path(path).absolute()}:{column}"
    return data  # a name, or nothing


def _relative(name: str, top: Path, ours: bool) -> str:
    """A workload as the repository knows it: a path from its top, or a name."""
    stem, colon, variant = name.partition(":")
    if not stem.endswith(".py"):
        if not ours:
            raise UsageError(
                f"'{name}' is this suite's own and the same at every ref of {top}. "
                "Give your workload's file: --workload path/to/yours.py."
            )
        return name
    given = Path(stem)
    path = given.resolve() if given.is_file() else (top / given).resolve()
    if not path.is_relative_to(top):
        raise UsageError(
            f"'{stem}' is not in the repository {top}, so it has no other revision. "
            "Name its repository with --repo DIR."
        )
    return f"{path.relative_to(top)}{colon}{variant}"


def _path(workload: str, tree: Path, ours: bool) -> Path:
    """Where a workload's file is in a tree, there or not."""
    stem = workload.partition(":")[0]
    if stem.endswith(".py"):
        return tree / stem
    places = [tree / "bench" / "workloads", tree / "layers"]
    found = [place / f"{stem}.py" for place in places]
    return next((path for path in found if path.is_file()), found[0])


def _base_names(tree: Path) -> Iterable[str]:
    """The workloads of the base's own guard sweep; none if it had no such sweep."""
    path = tree / "bench" / "sweeps" / f"{GUARD}.toml"
    if not path.is_file():
        return []
    blocks = tomllib.loads(path.read_text(encoding="utf-8")).get("block", [])
    return [name for block in blocks for name in block.get("workloads", [])]
