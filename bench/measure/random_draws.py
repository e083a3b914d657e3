"""This module finds whether layers draw once an example, once a batch or once a trace.

Copies of one example show what each example draws. Several calls show what a batch
shares. Several traces show what Python code drew.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from google.protobuf.message import Message

from bench.measure import nests
from bench.measure.layers import graph_function

PERMUTATIONS = 2000  # three tests: 1 in 700 layers wrongly seems to share draws
STEP = 1e-4  # of the largest value; smaller differences are rounding
TRACES = 8  # two traces may by chance draw the same
QUICK_SECONDS = 0.1  # a slower layer is traced only twice, unless it uses a generator
# Attributes whose names change with every trace and do not change the computation.
NAMES = ("token", "config_proto", "executor_type", "shared_name", "container", "cc")

Node = tuple[str, tuple]


@dataclass(frozen=True, kw_only=True)
class TraceComparison:
    """A trace comparison is what several traces of the same layers show.

    Attributes:
        frozen: Whether two traces do different work. Then Python code drew a choice
            during tracing, and the compiled function repeats that choice forever.
        begins_again: Whether an operation holds the state of its own generator, as
            operations of `tf.random` do. Such a state lives as long as one iterator.
    """

    frozen: bool
    begins_again: bool


def levels(calls: Sequence[np.ndarray]) -> list[str]:
    """Return which units have a draw of their own: `example`, `batch`, both or neither.

    Args:
        calls: The outputs of several calls for the same copies of one example, each
            `[copies, ...]`.
    """
    largest = max(_largest(call) for call in calls)
    rounded = [_rounded(call, largest) for call in calls]
    within = any(count_distinct(call) > 1 for call in rounded)
    between = any(not np.array_equal(rounded[0], call) for call in rounded[1:])
    if not within:
        return ["batch"] if between else []
    sizes = {call.shape for call in calls}
    shared = len(sizes) > 1 or is_grouped(np.stack(rounded))
    return ["example", "batch"] if shared else ["example"]


def joined(output: object) -> np.ndarray:
    """Return all components of an output side by side, `[examples, ...]`.

    A single component stays as it is. Strings are numbered where numbers are beside
    them.
    """
    parts = tf.nest.flatten(output)
    if len(parts) == 1:
        return parts[0]
    return np.concatenate([_columns(part) for part in parts], axis=1)


def _columns(part: np.ndarray) -> np.ndarray:
    if not np.issubdtype(part.dtype, np.number):
        _, numbers = np.unique(part, return_inverse=True)
        part = numbers.reshape(part.shape)
    return part.reshape(len(part), -1).astype(np.float64)


def count_distinct(outputs: np.ndarray) -> int:
    """Count the outputs that differ by more than rounding from all others."""
    rounded = _rounded(outputs, _largest(outputs))
    return len(np.unique(rounded.reshape(len(outputs), -1), axis=0))


def is_grouped(outputs: np.ndarray, permutations: int = PERMUTATIONS) -> bool:
    """Whether outputs of one call are more alike than outputs of different calls.

    A permutation test compares the sum of distances within calls with the sums of
    random divisions of the same outputs. Source: Mielke and Berry (2007).

    Args:
        outputs: `[calls, copies, ...]`.
        permutations: Number of random divisions; the outputs are grouped if every
            random division has larger distances.
    """
    calls, copies = outputs.shape[:2]
    call = np.repeat(np.arange(calls), copies)
    rng = np.random.default_rng(0)
    return any(
        _closer(distances, np.eye(calls)[call[chosen]], rng, permutations)
        for chosen, distances in _distances(outputs.reshape(calls * copies, -1))
    )


def compare_traces(layers: Sequence[Callable], features: object) -> TraceComparison:
    """Compare several traces of the layers by their operations and constants.

    Args:
        layers: Layers, applied in order.
        features: One bare example or a batch; only its shapes and types matter.
    """
    spec = nests.specs(features)
    with generators_restored():
        before, start = _states(), time.perf_counter()
        first = _trace(layers, spec)
        quick = time.perf_counter() - start < QUICK_SECONDS
        more = TRACES - 1 if quick or _states() != before else 1
        frozen = any(_trace(layers, spec) != first for _ in range(more))
    return TraceComparison(frozen=frozen, begins_again=_begins_again(first))


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
    distances: np.ndarray,
    member: np.ndarray,
    rng: np.random.Generator,
    permutations: int,
) -> bool:
    """Whether members of a group are closer than in every random division.

    Args:
        distances: `[outputs, outputs]`.
        member: 1 where an output belongs to a group, else 0: `[outputs, groups]`.
        rng: The generator of the random divisions.
        permutations: Number of random divisions.
    """

    def within(member: np.ndarray) -> float:
        return float((member * (distances @ member)).sum())

    limit = (1 + 1e-9) * within(member)
    return all(limit < within(rng.permutation(member)) for _ in range(permutations))


def _largest(outputs: np.ndarray) -> float:
    if not np.issubdtype(outputs.dtype, np.floating):
        return 0.0
    return float(np.abs(np.nan_to_num(outputs)).max(initial=0.0))


def _rounded(outputs: np.ndarray, largest: float) -> np.ndarray:
    """Round small differences away, such as those of an image mixed with itself."""
    if not largest:
        return outputs
    return np.round(np.nan_to_num(outputs.astype(np.float64)) / (STEP * largest))


def _distances(rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield indices of rows and the distances of each two rows, by several measures."""
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
    # A batch may share the strength of a distortion while each example draws its own
    # pattern. The most frequent output belongs to examples that stay unchanged.
    most = counts.argmax()
    centre = rows[which == most][0] if counts[most] > 1 else rows.mean(axis=0)
    changed = every[which != most] if counts[most] > 1 else every
    strength = np.log1p(np.linalg.norm(rows[changed] - centre, axis=1))
    yield changed, np.abs(np.subtract.outer(strength, strength))


def _trace(layers: Sequence[Callable], spec: object) -> list[Node]:
    graph = graph_function(layers).get_concrete_function(spec).graph.as_graph_def()
    bodies = {body.signature.name: body.node_def for body in graph.library.function}
    return [_node(node, bodies) for node in graph.node]


def _begins_again(nodes: Sequence[Node]) -> bool:
    """Whether a node, or a node of a function that it calls, has a seed attribute."""
    return any(
        name == "seed2" or (isinstance(value, list) and any(map(_begins_again, value)))
        for _, attributes in nodes
        for name, value in attributes
    )


def _node(node: Message, bodies: dict[str, Sequence[Message]]) -> Node:
    """Return the operation with its attributes, without any names."""
    text = node.op == "Const" and node.attr["dtype"].type == tf.string.as_datatype_enum
    return node.op, tuple(
        (name, _value(node.attr[name], bodies))
        for name in sorted(node.attr)
        if name not in NAMES
        and not name.startswith("_")
        and not (text and name == "value")  # of assertions, with tensors' names
    )


def _value(value: Message, bodies: dict[str, Sequence[Message]]) -> object:
    called = [value.func] if value.HasField("func") else value.list.func
    if not called:
        return value.SerializeToString(deterministic=True)
    return [
        [_node(node, bodies) for node in bodies.get(function.name, ())]
        for function in called
    ]
