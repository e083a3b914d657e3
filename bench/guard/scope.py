"""The scope of a guard is its trials, and in which tree the files of each one are."""

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

GUARD = "guard"  # the sweep that is guarded if no workload is named


@dataclass(frozen=True)
class Trees:
    """The trees of a repository at two revisions.

    Attributes:
        head: The repository's own working tree.
        base: The tree of the other revision.
        ours: Whether the repository is this suite's own, so that each side has its own
            shelves.
    """

    head: Path
    base: Path
    ours: bool

    def has(self, workload: str, tree: Path) -> bool:
        """Return whether a workload's file exists in this tree."""
        return _path(workload, tree, self.ours).is_file()


def trials(
    trees: Trees, sweep: Sweep, *, named: bool, seed: int, data: str
) -> tuple[list[Trial], list[Trial], dict[str, str], list[str]]:
    """Return the trials on head, those that only base has, the refused ones, and notes.

    Args:
        trees: The two trees of the repository.
        sweep: The trials; a workload's path is as the user typed it.
        named: Whether the user named the workloads; else they are those of the sweep.
        seed: The seed of the plan.
        data: The user's data in place of the workloads' own; empty for none.

    Returns:
        The trials on head and those that only base has, with workloads' paths relative
        to the repository; by key why other trials are left out; and sentences on the
        user's data.

    Raises:
        UsageError: A workload is in neither tree or the same at every ref, or base has
            no such axis.
    """
    top, ours = trees.head, trees.ours
    if not ours and not named:
        raise UsageError(
            f"No workload of {top} is named. Give your workload's file: "
            "--workload path/to/yours.py."
        )
    on_head: list[tuple[str, str]] = []  # where it is now, and in the repository
    only_in_base: list[str] = []
    names = [name for block in sweep.blocks for name in block.workloads]
    for name in names:
        relative = _relative(name, top, ours)
        if trees.has(relative, top):
            path = str(top / relative) if ".py" in relative else relative
            on_head.append((path, relative))
        elif trees.has(relative, trees.base):
            only_in_base.append(relative)
        else:
            catalog.find(name)  # raises: its error lists the workloads
            raise UsageError(f"No workload file '{name}', neither in base nor in head.")
    if ours and not named:
        only_in_base += [n for n in _base_names(trees.base) if n not in names]
    head_trials: list[Trial] = []
    refused: dict[str, str] = {}
    notes: list[str] = []
    for path, relative in on_head:
        narrowed = sweeps.narrow(sweep, workloads=[path])
        planned = plan.plan_sweep(narrowed, narrowed.effort, seed, 0.0, data)
        head_trials += [replace(trial, workload=relative) for trial in planned.trials]
        refused |= {
            key.replace(path, relative, 1): reason
            for key, reason in planned.refused.items()
        }
        notes += [note for note in planned.notes if note not in notes]
    if ours:
        _check_axes(head_trials, trees.base)
    base_trials = [Trial(workload=name, data=data) for name in only_in_base]
    return head_trials, base_trials, refused, notes


def _check_axes(trials: Iterable[Trial], base: Path) -> None:
    """Check that base's own harness has all axes; else it would measure defaults.

    Raises:
        UsageError: A trial sets an axis that base lacks.
    """
    path = base / "bench" / "pipeline.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    axes = {n.target.id for n in ast.walk(tree) if isinstance(n, ast.AnnAssign)}
    for trial in trials:
        for name in differences(trial.pipeline):
            if name not in axes:
                raise UsageError(
                    f"'{trial.key}': base has no axis '{name}' yet, and would measure "
                    "something else. Leave it out, or compare with a later base."
                )


def _relative(name: str, top: Path, ours: bool) -> str:
    """Return a workload's path from the top of the repository, or its name."""
    stem, colon, variant = name.partition(":")
    if not stem.endswith(".py"):
        if not ours:
            raise UsageError(
                f"'{name}' is this suite's own and the same at every ref of {top}. "
                "Give your workload's file: --workload path/to/yours.py."
            )
        return name
    path = Path(stem)
    path = path.resolve() if path.is_file() else (top / path).resolve()
    if not path.is_relative_to(top):
        raise UsageError(
            f"'{stem}' is not in the repository {top}, so it has no other revision. "
            "Name its repository with --repo DIR."
        )
    return f"{path.relative_to(top)}{colon}{variant}"


def _path(workload: str, tree: Path, ours: bool) -> Path:
    """Return where a workload's file is in a tree, or would be."""
    stem = workload.partition(":")[0]
    if stem.endswith(".py"):
        return tree / stem
    shelves = [tree / "bench" / "workloads", tree / "layers"]
    paths = [shelf / f"{stem}.py" for shelf in shelves]
    return next((path for path in paths if path.is_file()), paths[0])


def _base_names(tree: Path) -> Iterable[str]:
    """Return the workloads of base's own guard sweep; none if it has no such sweep."""
    path = tree / "bench" / "sweeps" / f"{GUARD}.toml"
    if not path.is_file():
        return []
    blocks = tomllib.loads(path.read_text(encoding="utf-8")).get("block", [])
    return [name for block in blocks for name in block.get("workloads", [])]
