"""The gate: the work is proved right before any clock starts."""

from collections.abc import Callable
from functools import partial
from types import ModuleType

import numpy as np
import tensorflow as tf

from bench.catalog import Entry
from bench.data.inputs import CHECKED_EXAMPLES
from bench.errors import UsageError
from bench.measure.equality import close, demand_equal
from bench.measure.layers import CALLS, fingerprint, same, to_numpy
from bench.pipeline import Pipeline


def first_batches(dataset: tf.data.Dataset, examples: int = CHECKED_EXAMPLES) -> list:
    """The first batches, so many that they hold this number of examples."""
    batches, seen = [], 0
    for batch in dataset:
        batches.append(batch)
        seen += int(tf.nest.flatten(batch)[0].shape[0])
        if seen >= examples:
            break
    return batches


def joined(values: list[tf.Tensor]) -> np.ndarray:
    """Batches as one array.

    Raises:
        AssertionError: Examples of one batch have another shape than those of another.
    """
    arrays = [to_numpy(value) for value in values]
    shapes = list(dict.fromkeys(array.shape[1:] for array in arrays))
    if len(shapes) > 1:
        raise AssertionError(
            f"examples have the shape {shapes[0]} in one batch and {shapes[1]} in "
            "another: let the layers give a fixed one, as TextVectorization does with "
            "output_sequence_length"
        )
    return np.concatenate(arrays)


def check(
    entry: Entry,
    module: ModuleType,
    pipeline: Pipeline,
    pairs: list[tuple[tf.Tensor, tf.Tensor]],
    reference: Callable[[tf.Tensor], tf.Tensor],
    again: Callable[[], list[tf.Tensor]] = list,
) -> str:
    """Refuse outputs that are not what the layers must make of the raw batches.

    Args:
        entry: The workload or layer.
        module: The same, imported; its `check` raises if the output is wrong.
        pipeline: For the words of an error.
        pairs: Raw batches with the outputs that this placement made of them.
        reference: The layers by themselves, for deterministic ones.
        again: Makes the raw batches once more, where decoding could be random.

    Returns:
        The fingerprint of the outputs of deterministic layers; empty for random ones.

    Raises:
        AssertionError: The output is wrong.
        UsageError: The file says something of itself that is not so.
    """
    batches = [batch for batch, _ in pairs]
    demand_rows(batches, [made for _, made in pairs])
    raw, output = joined(batches), joined([made for _, made in pairs])
    if entry.deterministic:
        made_alone = [reference(batch) for batch in batches]
        demand_rows(batches, made_alone)
        tolerance = float(entry.constants.get("TOLERANCE", 1e-5))
        once_more = partial(_repeats, reference, batches[0], made_alone[0], tolerance)
        _demand_declared(entry, once_more(calls=1))
        what = f"placement={pipeline.placement}, order={pipeline.order}"
        try:
            demand_equal(joined(made_alone), output, tolerance, what)
        except AssertionError:
            _demand_declared(entry, once_more(calls=CALLS))
            _demand_same_records(entry, batches, again())
            raise
    demand_nothing(module.check(raw, output, **entry.variant))
    return fingerprint(output) if entry.deterministic else ""


def demand_rows(batches: list[tf.Tensor], made: list[tf.Tensor]) -> None:
    """Refuse layers that make another number of rows than they get.

    Raises:
        UsageError: An output has more or fewer rows than its batch.
    """
    for batch, output in zip(batches, made, strict=False):
        rows, examples = (_rows(value) for value in (output, batch))
        if rows != examples:
            raise UsageError(
                f"The layers make {rows} rows of {examples} examples, and each example "
                "must stay one row. Let examples() or read() give as many examples as "
                "there shall be rows, and the layers keep their number."
            )


def demand_nothing(returned: object) -> None:
    """Refuse a `check` that returns its verdict, which nobody reads.

    Raises:
        UsageError: It returned something other than None and True.
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
    reference: Callable[[tf.Tensor], tf.Tensor],
    batch: tf.Tensor,
    first: tf.Tensor,
    tolerance: float,
    calls: int,
) -> bool:
    """Whether further calls with a batch give what the first one gave."""
    made = to_numpy(first)
    return all(close(made, to_numpy(reference(batch)), tolerance) for _ in range(calls))


def _demand_declared(entry: Entry, repeats: bool) -> None:
    """Refuse random layers in a file that does not declare them.

    Raises:
        UsageError: The layers do not repeat themselves.
    """
    if not repeats:
        raise UsageError(
            "A layer is random: DETERMINISTIC = False is missing in "
            f"{entry.path.name}, as two calls of the layers with one batch differ."
        )


def _demand_same_records(
    entry: Entry, batches: list[tf.Tensor], anew: list[tf.Tensor]
) -> None:
    """Refuse randomness before the layers, where a check cannot follow it.

    Raises:
        UsageError: Reading or decoding gives other examples in another pass.
    """
    pairs = zip(batches, anew, strict=False)
    if not all(same(to_numpy(one), to_numpy(other)) for one, other in pairs):
        raise UsageError(
            "Reading or decoding is random: two passes over the same records differ in "
            f"{entry.path.name}. Move what is random out of read() and decode() into a "
            "layer, with DETERMINISTIC = False."
        )


def _rows(value: tf.Tensor) -> int | None:
    shape = tf.nest.flatten(value)[0].shape
    return shape[0] if shape.rank else None
