"""The gate: the work is proved right before any clock starts."""

from collections.abc import Callable
from types import ModuleType

import numpy as np
import tensorflow as tf

from bench.catalog import Entry
from bench.inputs import CHECKED_EXAMPLES
from bench.pipeline import Pipeline
from bench.preprocess import demand_equal, fingerprint, to_numpy


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
) -> str:
    """Refuse outputs that are not what the layers must make of the raw batches.

    Args:
        entry: The workload or layer.
        module: The same, imported; its `check` raises if the output is wrong.
        pipeline: For the words of an error.
        pairs: Raw batches with the outputs that this placement made of them.
        reference: The layers by themselves, for deterministic ones.

    Returns:
        The fingerprint of the outputs of deterministic layers; empty for random ones.

    Raises:
        AssertionError: The output is wrong.
    """
    raw = joined([batch for batch, _ in pairs])
    output = joined([made for _, made in pairs])
    if entry.deterministic:
        made_alone = joined([reference(batch) for batch, _ in pairs])
        tolerance = float(entry.constants.get("TOLERANCE", 1e-5))
        what = f"placement={pipeline.placement}, order={pipeline.order}"
        demand_equal(made_alone, output, tolerance, what)
    module.check(raw, output, **entry.variant)
    return fingerprint(output) if entry.deterministic else ""
