"""This module checks the outputs of a trial before any clock starts."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import ModuleType

import numpy as np
import tensorflow as tf

from bench.catalog import Entry
from bench.data.components import mapped, named
from bench.data.inputs import CHECKED_EXAMPLES
from bench.errors import UsageError
from bench.measure import nests, plain_data
from bench.measure.equality import demand_equal, is_close
from bench.measure.layers import CALLS, arrays_equal, fingerprint, to_numpy
from bench.pipeline import Pipeline

CHECKED_BYTES = 64 * 2**20  # of examples; a check in NumPy takes 0.4 s a megapixel
LEAST_DETERMINISTIC, LEAST_RANDOM = 2, 16
SEVERAL_SHAPES = re.compile(
    r"Cannot batch tensors with different shapes in component \d+\. First element had "
    r"shape (\[[^]]*\]) and element \d+ had shape (\[[^]]*\])"
)


def examples_within_limit(example_bytes: int, deterministic: bool) -> int:
    """Return how many examples a check looks at, so that large ones take no minutes.

    Args:
        example_bytes: The bytes of the features of one example.
        deterministic: Whether the layers draw nothing. If they draw, too few examples
            would often all be drawn alike.
    """
    least = LEAST_DETERMINISTIC if deterministic else LEAST_RANDOM
    fitting = CHECKED_BYTES // max(1, example_bytes)
    return max(least, min(CHECKED_EXAMPLES, fitting))


def first_batches(dataset: tf.data.Dataset, examples: int = CHECKED_EXAMPLES) -> list:
    """Return the first batches that together hold at least this many examples."""
    batches, count = [], 0
    for batch in dataset:
        batches.append(batch)
        count += nests.count(batch)
        if count >= examples:
            break
    return batches


@contextmanager
def naming_shapes(what: str) -> Iterator[None]:
    """Turn the error of a batch of several shapes into a sentence with a remedy.

    Raises:
        AssertionError: Examples that were to be batched have several shapes.
    """
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        shapes = SEVERAL_SHAPES.search(str(error))
        if not shapes:
            raise
        raise AssertionError(
            f"{what} of two examples have the shapes {shapes[1]} and {shapes[2]}, "
            "which no batch can hold: let the layers give a fixed one, as "
            "TextVectorization does with output_sequence_length, or a ragged one, or "
            "use order=batch_map"
        ) from error


def concatenate(values: Sequence[object], *, several_sizes: bool = False) -> object:
    """Concatenate batches to one nest of arrays.

    Args:
        values: Batches, nests of tensors.
        several_sizes: Whether examples may have several shapes. They then become an
            object array of arrays.

    Raises:
        AssertionError: The shapes of examples differ between batches.
    """
    return mapped(partial(_concatenated, several_sizes), "output", *values)


def _concatenated(several_sizes: bool, path: str, *parts: tf.Tensor) -> np.ndarray:
    if all(isinstance(part, tf.RaggedTensor) for part in parts):
        return to_numpy(tf.concat(parts, axis=0))
    arrays = [to_numpy(part) for part in parts]
    shapes = list(dict.fromkeys(array.shape[1:] for array in arrays))
    if len(shapes) > 1 and several_sizes:
        examples = [example for array in arrays for example in array]
        joined = np.empty(len(examples), object)
        joined[:] = examples
        return joined
    if len(shapes) > 1:
        where = "" if path == "output" else f"in {path.removeprefix('output')} "
        raise AssertionError(
            f"examples have {where}the shape {shapes[0]} in one batch and {shapes[1]} "
            "in another: let the layers give a fixed one, as TextVectorization does "
            "with output_sequence_length"
        )
    return np.concatenate(arrays)


def check(
    entry: Entry,
    module: ModuleType,
    pipeline: Pipeline,
    pairs: list[tuple[object, object]],
    reference: Callable[[object], object],
    reread: Callable[[], list[object]] = list,
) -> str:
    """Refuse wrong outputs of the layers.

    Args:
        entry: The catalog's entry of the workload or layer.
        module: The imported file of that entry; its `check` raises if an output is
            wrong.
        pipeline: The pipeline, for error messages.
        pairs: Raw batches, each with the output of this placement for that batch.
        reference: Function that applies the layers alone; deterministic layers must
            give the same in the placement.
        reread: Function that reads the raw batches once more, where decoding could be
            random.

    Layers may use statistics of the whole batch, as Equalization does. Where the
    dataset maps such layers over single examples, the layers on batches of one are the
    reference.

    Returns:
        The fingerprint of the outputs of deterministic layers; empty for random layers.

    Raises:
        AssertionError: The output is wrong.
        UsageError: The file declares something that is not true.
    """
    batches = [batch for batch, _ in pairs]
    outputs = [output for _, output in pairs]
    demand_rows(batches, outputs)
    raw, output = concatenate(batches, several_sizes=True), concatenate(outputs)
    if entry.deterministic:
        expected = [reference(batch) for batch in batches]
        demand_rows(batches, expected)
        tolerance = float(entry.constants.get("TOLERANCE", 1e-5))
        repeats = partial(_repeats, reference, batches[0], expected[0], tolerance)
        _demand_declared(entry, repeats(calls=1))
        host = "host=grain, " if pipeline.in_grain else ""
        what = f"{host}placement={pipeline.placement}, order={pipeline.order}"
        try:
            demand_equal(concatenate(expected), output, tolerance, what)
        except AssertionError:
            _demand_declared(entry, repeats(calls=CALLS))
            _demand_same_records(entry, batches, reread())
            maps_examples = pipeline.order == "map_batch" and pipeline.place.maps_layers
            if not maps_examples or not is_close(
                one_by_one(reference, batches), output, tolerance
            ):
                raise
    try:
        demand_nothing(module.check(raw, output, **entry.variant))
    except AssertionError as error:
        if plain := plain_data.sentence(raw):
            error.args = (f"{plain}, so the data may be the cause:\n{error}",)
        raise
    return fingerprint(output) if entry.deterministic else ""


def one_by_one(
    reference: Callable[[object], object], batches: Sequence[object]
) -> object:
    """Return the outputs of the layers on batches of one example, concatenated."""
    outputs = [
        reference(nests.rows(batch, [row]))
        for batch in batches
        for row in range(nests.count(batch))
    ]
    return concatenate(outputs)


def demand_rows(batches: list[object], outputs: list[object]) -> None:
    """Refuse layers that change the number of rows.

    Raises:
        UsageError: A component of an output has more or fewer rows than its batch.
    """
    for batch, output in zip(batches, outputs, strict=False):
        examples = nests.count(batch)
        for path, part in named(output, "").items():
            rows = nests.count(part) if part.shape.rank else None
            if rows != examples:
                raise UsageError(
                    f"The layers return {rows} rows{path and f' in {path}'} for "
                    f"{examples} examples, but each example must stay one row. Let "
                    "examples() or read() return one example for each row, and let the "
                    "layers keep the number of rows."
                )


def demand_nothing(returned: object) -> None:
    """Refuse a `check` that returns its result instead of raising an error.

    Raises:
        UsageError: `check` returned something other than None or True.
    """
    if returned is None or (isinstance(returned, (bool, np.bool_)) and returned):
        return
    text = " ".join(repr(returned).split())
    text = text if len(text) <= 60 else f"{text[:60]}..."
    raise UsageError(
        f"check() returned {text}. Where the output is wrong it must raise "
        "AssertionError, as `assert` does, and otherwise return nothing."
    )


def _repeats(
    reference: Callable[[object], object],
    batch: object,
    first: object,
    tolerance: float,
    calls: int,
) -> bool:
    """Whether further calls with a batch give the same output as the first call."""
    output = to_numpy(first)
    return all(
        is_close(output, to_numpy(reference(batch)), tolerance) for _ in range(calls)
    )


def _demand_declared(entry: Entry, repeats: bool) -> None:
    """Refuse random layers in a file that does not declare them.

    Raises:
        UsageError: Two calls of the layers with one batch differ.
    """
    if not repeats:
        raise UsageError(
            "A layer is random: DETERMINISTIC = False is missing in "
            f"{entry.path.name}, as two calls of the layers with one batch differ."
        )


def _demand_same_records(
    entry: Entry, batches: list[object], reread: list[object]
) -> None:
    """Refuse randomness before the layers, since a check cannot reproduce it.

    Raises:
        UsageError: Two passes of reading and decoding give different examples.
    """
    pairs = zip(batches, reread, strict=False)
    if not all(arrays_equal(to_numpy(one), to_numpy(other)) for one, other in pairs):
        raise UsageError(
            "Reading or decoding is random: two passes over the same records differ in "
            f"{entry.path.name}. Move what is random out of read() and decode() into a "
            "layer, with DETERMINISTIC = False."
        )
