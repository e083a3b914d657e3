"""Busy seconds of each recorded stage, from the graph that the runtime executed."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

import tensorflow as tf

from bench import stages
from bench.measure import graph
from bench.run.user_pipeline import Stage

LOOK_SECONDS = 0.6
# The node that runs a stage, where its name is not the method's.
NODES = {
    "from_tensor_slices": "TensorSlice",
    "from_tensors": "Tensor",
    "from_generator": "FlatMap",
    "list_files": "Shuffle",
    "repeat": "ForeverRepeat|FiniteRepeat|Repeat",
    "map": "Map|MapAndBatch",
    "batch": "Batch|MapAndBatch",
    "shuffle": "Shuffle|ShuffleAndRepeat",
    "cache": "Cache|MemoryCache|MemoryCacheImpl|FileCache",
    "take": "FiniteTake|Take",
    "skip": "FiniteSkip|Skip",
}
# What AUTOTUNE may choose: the setting of the call, and its name in the graph.
TUNED = {"num_parallel_calls": "parallelism", "buffer_size": "buffer_size"}
AUTOTUNE = -1


def add_seconds(
    recorded: Sequence[Stage],
    datasets: Sequence[tf.data.Dataset | None],
    epoch: int,
    batch_size: int,
) -> None:
    """Give each stage the busy seconds a batch of the node that ran it.

    A shuffle that has read its input to the end lets go of all before it. Then the
    stages before the shuffle are run by themselves.

    Args:
        recorded: The stages, each after its inputs; they get `seconds`, and what
            AUTOTUNE chose.
        datasets: The dataset of each stage; None where a library made it.
        epoch: Batches in an epoch; 0 if unknown.
        batch_size: Examples in a batch.
    """
    if datasets and datasets[-1] is not None:
        _add(recorded, datasets[-1], (epoch + 1) // 2, 1.0)
    shuffles = [n for n, stage in enumerate(recorded) if stage.method == "shuffle"]
    if not shuffles or all(one.seconds is not None for one in recorded[: shuffles[0]]):
        return
    before = shuffles[0] - 1
    if before >= 0 and datasets[before] is not None:
        half = epoch * batch_size // 2
        _add(recorded[: before + 1], datasets[before], half, float(batch_size))


def _add(
    recorded: Sequence[Stage], dataset: tf.data.Dataset, elements: int, scale: float
) -> None:
    """Iterate part of an epoch, again and again for a second, and read the graph."""
    totals: list[float] = []
    executed: list[dict[str, object]] = []
    names: list[str] = []
    rounds, deadline = 0, time.monotonic() + LOOK_SECONDS
    while time.monotonic() < deadline:
        iterator = iter(dataset)
        for count, _ in enumerate(iterator, start=1):
            if (elements and count >= elements) or time.monotonic() > deadline:
                break
        executed = graph.executed_graph(iterator)
        seconds = stages.node_seconds_per_batch(executed)
        if not seconds:
            break
        own = [str(node["name"]) for node in executed]
        if own != names:  # AUTOTUNE may add a buffer
            names, totals, rounds = own, [0.0] * len(own), 0
        totals = [total + one for total, one in zip(totals, seconds, strict=True)]
        rounds += 1
    place = 0
    for stage in recorded:
        pattern = NODES.get(stage.method, stage.method.replace("_", ""))
        pattern = pattern.removesuffix("Dataset")
        for number in range(place, len(names)):
            bare = re.sub(r"^(Parallel|Legacy)|V\d+$|Dataset", "", names[number])
            if re.fullmatch(pattern, bare, re.IGNORECASE):
                fused = bare == "MapAndBatch"
                stage.fused = fused and stage.method == "batch"
                if not stage.fused:
                    stage.seconds = scale * totals[number] / rounds
                    node = executed[number]
                    stage.calls_at_a_time = int(node.get("parallelism", 0))
                    stage.chosen = {
                        setting: int(node[name])
                        for setting, name in TUNED.items()
                        if stage.settings.get(setting) == AUTOTUNE and node.get(name)
                    }
                place = number + (not fused or stage.fused)
                break
