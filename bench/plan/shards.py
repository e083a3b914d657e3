"""A shard is the part of a sweep that one machine runs; this module divides a sweep.

All trials of one workload stay in one shard, because the report compares them: within a
scene (workload, consumer, unit and data) as ratios, and across scenes where it decides
whether the pipeline or the model limits training. So every comparison of the report is
made on one machine. The division depends on the sweep alone: machines need not talk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench import catalog
from bench.errors import UsageError
from bench.text import plural
from bench.trial import Trial


@dataclass(frozen=True, kw_only=True)
class Shard:
    """A shard states which part of which sweep a plan is.

    Attributes:
        number: The number of the shard, from 1.
        count: The number of shards.
        keys: The keys of all trials of the whole sweep. Some of them may be refused on
            a machine without a GPU.
        most_trials: The number of trials of the largest shard.
        command: The verb and the options that run the whole sweep.
    """

    number: int
    count: int
    keys: list[str]
    most_trials: int
    command: list[str]

    def __str__(self) -> str:
        """Return the shard as `--shard` takes it, such as `2/3`."""
        return f"{self.number}/{self.count}"


def divide(
    trials: Sequence[Trial], count: int, seconds: Callable[[list[Trial]], float]
) -> list[list[Trial]]:
    """Divide trials into shards of whole workloads that take about equally long.

    The longest workload goes first, each to the shard that takes the least time so far
    (Graham 1969: at most 4/3 of the shortest possible time). Equal input gives equal
    shards on every machine. In a shard the trials keep their order.

    Args:
        trials: The trials of the whole sweep.
        count: The number of shards.
        seconds: Returns the expected seconds of some trials.

    Raises:
        UsageError: There are more shards than workloads.
    """
    workloads: dict[str, list[Trial]] = {}
    for trial in trials:  # the variants of a workload have the same file
        path = str(catalog.find(trial.workload).path)
        workloads.setdefault(path, []).append(trial)
    if count > len(workloads):
        have = plural(len(workloads), "workload")
        raise UsageError(
            f"This sweep has {have}, which is too few for {plural(count, 'shard')}: "
            "all trials of a workload stay on one machine, because the report compares "
            f"them. Use at most {plural(len(workloads), 'shard')}."
        )
    expected = {path: seconds(own) for path, own in workloads.items()}
    shard_of: dict[str, int] = {}
    loads = [0.0] * count
    for path in sorted(workloads, key=lambda path: -expected[path]):
        least = loads.index(min(loads))
        shard_of |= {trial.key: least for trial in workloads[path]}
        loads[least] += expected[path]
    return [[t for t in trials if shard_of[t.key] == n] for n in range(count)]
