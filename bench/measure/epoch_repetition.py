"""This module runs three epochs and tests whether augmentation repeats its draws.

Seeded operations of `tf.random` restart with each iterator, and every epoch has its own
iterator (tensorflow #35682). Keras's seed generators continue.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import tensorflow as tf

from bench.measure.assembly import Assembly

EPOCHS = 3
RECORDS = 8
SEED = 1
REPRODUCIBLE = "yes, and every epoch repeats"


def facts(assembly: Assembly, *, begins_again: bool = False) -> dict[str, str]:
    """Return the fact `epochs_repeat`: `yes`, `no`, or `once seeded`.

    `once seeded` means that epochs repeat as soon as a global seed is set. There is no
    fact where the layers draw outside the dataset or where the draws are stored.

    Args:
        assembly: The trial's assembly.
        begins_again: Whether the layers have operations that may restart. Without such
            operations, and without `decode`, the function runs no epoch.
    """
    p, entry = assembly.pipeline, assembly.entry
    mapped = p.place.maps_layers and not entry.deterministic
    if p.place.stores_outputs or p.cache == "mapped":
        return {}
    if not mapped and not entry.decodes:
        return {}
    answer = _answer(assembly) if begins_again or entry.decodes else "no"
    return {"epochs_repeat": answer} if mapped or answer != "no" else {}


def _answer(assembly: Assembly) -> str:
    if _epochs_repeat(assembly):
        return "yes"
    if tf.compat.v1.random.get_seed(None)[0] is None:
        with _global_seed(SEED):
            if _epochs_repeat(assembly):
                return "once seeded"
    return "no"


def _epochs_repeat(assembly: Assembly) -> bool:
    """Whether all epochs are equal although the draws change within an epoch.

    An epoch has the first records twice, so its halves show whether anything is drawn.
    """
    dataset = assembly.repeated_dataset(RECORDS)
    first, *others = ([*_values(dataset)] for _ in range(EPOCHS))
    half = len(first) // 2
    return not _equal(first[:half], first[half:]) and all(
        _equal(first, other) for other in others
    )


def _values(dataset: tf.data.Dataset) -> Iterator[np.ndarray]:
    """Yield every tensor of the features, batch by batch."""
    for features, *_ in dataset:
        for part in tf.nest.flatten(features, expand_composites=True):
            yield part.numpy()


def _equal(values: list[np.ndarray], others: list[np.ndarray]) -> bool:
    return len(values) == len(others) and all(map(np.array_equal, values, others))


@contextmanager
def _global_seed(seed: int) -> Iterator[None]:
    """Set TensorFlow's global seed, which was unset, and unset it afterwards."""
    tf.random.set_seed(seed)
    try:
        yield
    finally:
        tf.random.set_seed(None)
