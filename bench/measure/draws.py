"""Draws of layers: once an example, once a batch, or once while the layer is traced.

The module tries the layers out. Copies of one example show what each example draws.
Several calls show what a batch shares. Several traces show what Python code drew.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from google.protobuf.message import Message

from bench.measure.layers import alone

PERMUTATIONS = 2000  # three tests: 1 in 700 layers seems to share draws and does not
STEP = 1e-4  # of the largest value; what differs by less is rounding
TRACES = 8  # two of them may choose alike
QUICK_SECONDS = 0.1  # a slower layer is traced twice only, unless it asks a generator
# Attributes that name something anew in every trace, and change no computation.
NAMES = ("token", "config_proto", "executor_type", "shared_name", "container", "cc")

Node = tuple[str, tuple]


@dataclass(frozen=True, kw_only=True)
class Traced:
    """What several traces of some layers show.

    Attributes:
        frozen: Whether two traces do different work. Then Python code drew a choice
            while it was traced, and a compiled function repeats that choice for good.
        begins_again: Whether an operation keeps the state of its generator itself, as
            those of `tf.random` do: then that state lives as long as one iterator.
    """

    frozen: bool
    begins_again: bool


def levels(calls: Sequence[np.ndarray]) -> list[str]:
    """Name what has a draw of its own: an `example`, a `batch`, both or nothing.

    Args:
        calls: The outputs of several calls for the same copies of one example,
            `[copies, ...]` each.
    """
    largest = max(_largest(call) for call in calls)
    rounded = [_rounded(call, largest) for call in calls]
    within = any(distinct(call) > 1 for call in rounded)
    between = any(not np.array_equal(rounded[0], call) for call in rounded[1:])
    if not within:
        return ["batch"] if between else []
    sizes = {call.shape for call in calls}
    shared = len(sizes) > 1 or grouped(np.stack(rounded))
    return ["example", "batch"] if shared else ["example"]


def distinct(outputs: np.ndarray) -> int:
    """Count the outputs that differ by more than rounding from all others."""
    rounded = _rounded(outputs, _largest(outputs))
    return len(np.unique(rounded.reshape(len(outputs), -1), axis=0))


def grouped(outputs: np.ndarray, permutations: int = PERMUTATIONS) -> bool:
    """Whether outputs of one call are more alike than outputs of different calls.

    A permutation test compares the sum of distances within calls with the sums of
    random divisions of the same outputs. Source: Mielke and Berry (2007).

    Args:
        outputs: `[calls, copies, ...]`.
        permutations: Random divisions; none of them may come as close.
    """
    calls, copies = outputs.shape[:2]
    call = np.repeat(np.arange(calls), copies)
    rng = np.random.default_rng(0)
    return any(
        _closer(apart, np.eye(calls)[call[chosen]], rng, permutations)
        for chosen, apart in _distances(outputs.reshape(calls * copies, -1))
    )


def traced(layers: Sequence[Callable], features: tf.Tensor) -> Traced:
    """Compare several traces of the layers by their operations and constants.

    Args:
        layers: Applied in turn.
        features: One bare example or a batch; only its shape and type matter.
    """
    spec = tf.TensorSpec(features.shape, features.dtype)
    with generators_restored():
        before, start = _states(), time.perf_counter()
        first = _trace(layers, spec)
        quick = time.perf_counter() - start < QUICK_SECONDS
        more = TRACES - 1 if quick or _states() != before else 1
        frozen = any(_trace(layers, spec) != first for _ in range(more))
    return Traced(frozen=frozen, begins_again=_begins_again(first))


@contextmanager
def generators_restored() -> Iterator[None]:
    """Leave Python's and NumPy's global generators as they were."""
    python, numpy = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


def _states() -> tuple:
    _, keys, *position = np.random.get_state()
    return random.getstate(), keys.tobytes(), position


def _closer(
    apart: np.ndarray, member: np.ndarray, rng: np.random.Generator, permutations: int
) -> bool:
    """Whether members of a group are closer than in every random division.

    Args:
        apart: Distances, `[outputs, outputs]`.
        member: 1 where an output is of a group, `[outputs, groups]`.
        rng: Divides the outputs.
        permutations: Random divisions.
    """

    def within(member: np.ndarray) -> float:
        return float((member * (apart @ member)).sum())

    limit = (1 + 1e-9) * within(member)
    return all(limit < within(rng.permutation(member)) for _ in range(permutations))


def _largest(outputs: np.ndarray) -> float:
    if not np.issubdtype(outputs.dtype, np.floating):
        return 0.0
    return float(np.abs(np.nan_to_num(outputs)).max(initial=0.0))


def _rounded(outputs: np.ndarray, largest: float) -> np.ndarray:
    """Round away small differences, which mixing an image with itself leaves."""
    if not largest:
        return outputs
    return np.round(np.nan_to_num(outputs.astype(np.float64)) / (STEP * largest))


def _distances(rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows, and how far each two of them are apart, in several senses."""
    _, which, counts = np.unique(rows, axis=0, return_inverse=True, return_counts=True)
    which = which.reshape(-1)
    every = np.arange(len(rows))
    yield every, np.not_equal.outer(which, which).astype(float)
    if not np.issubdtype(rows.dtype, np.number):
        return
    rows = rows.astype(np.float64)
    squares = (rows**2).sum(axis=1)
    squared = np.add.outer(squares, squares) - 2 * rows @ rows.T
    yield every, np.sqrt(np.maximum(squared, 0))
    # A distortion may share its strength, while each example draws a pattern of its
    # own. The most frequent output is that of examples that it leaves alone.
    most = counts.argmax()
    centre = rows[which == most][0] if counts[most] > 1 else rows.mean(axis=0)
    changed = every[which != most] if counts[most] > 1 else every
    strength = np.log1p(np.linalg.norm(rows[changed] - centre, axis=1))
    yield changed, np.abs(np.subtract.outer(strength, strength))


def _trace(layers: Sequence[Callable], spec: tf.TensorSpec) -> list[Node]:
    graph = alone(layers).get_concrete_function(spec).graph.as_graph_def()
    bodies = {body.signature.name: body.node_def for body in graph.library.function}
    return [_node(node, bodies) for node in graph.node]


def _begins_again(nodes: Sequence[Node]) -> bool:
    """Whether a node, or one of a function that it calls, has a seed as attribute."""
    return any(
        name == "seed2" or (isinstance(value, list) and any(map(_begins_again, value)))
        for _, attributes in nodes
        for name, value in attributes
    )


def _node(node: Message, bodies: dict[str, Sequence[Message]]) -> Node:
    """The operation with its attributes, without any names."""
    text = node.op == "Const" and node.attr["dtype"].type == tf.string.as_datatype_enum
    return node.op, tuple(
        (name, _value(node.attr[name], bodies))
        for name in sorted(node.attr)
        if name not in NAMES
        and not name.startswith("_")
        and not (text and name == "value")  # of assertions: it has names of tensors
    )


def _value(value: Message, bodies: dict[str, Sequence[Message]]) -> object:
    called = [value.func] if value.HasField("func") else value.list.func
    if not called:
        return value.SerializeToString(deterministic=True)
    return [
        [_node(node, bodies) for node in bodies.get(function.name, ())]
        for function in called
    ]
