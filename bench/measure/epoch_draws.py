"""Whether the augmentation draws the same in every epoch of a dataset.

Operations of `tf.random` that have a seed begin again with each iterator, and an epoch
has an iterator of its own (tensorflow #35682). Keras's seed generators go on.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import tensorflow as tf

from bench.measure.assembly import Assembly

EPOCHS = 3
RECORDS = 8
SEED = 1
EVERY = "yes, and every epoch repeats"


def facts(work: Assembly, *, begins_again: bool = False) -> dict[str, str]:
    """`epochs_repeat`: `yes`, `no`, or `once seeded`: with a global seed they do.

    Args:
        work: The trial's workload. A workload that draws outside the dataset, or that
            stores what it drew, has no such fact.
        begins_again: Whether the layers have operations that may begin again. Without
            them, and without `decode`, the function tries no epoch.
    """
    p, entry = work.pipeline, work.entry
    mapped = p.place.maps_layers and not entry.deterministic
    if p.place.stores_outputs or p.cache == "mapped":
        return {}
    if not mapped and not entry.decodes:
        return {}
    verdict = _verdict(work) if begins_again or entry.decodes else "no"
    return {"epochs_repeat": verdict} if mapped or verdict != "no" else {}


def _verdict(work: Assembly) -> str:
    if _repeat(work):
        return "yes"
    if tf.compat.v1.random.get_seed(None)[0] is None:
        with _global_seed(SEED):
            if _repeat(work):
                return "once seeded"
    return "no"


def _repeat(work: Assembly) -> bool:
    """Whether all epochs are the same, though within an epoch the draws change.

    An epoch has the first records twice, so its halves show whether anything is drawn.
    """
    dataset = work.twice(RECORDS)
    first, *others = ([*_values(dataset)] for _ in range(EPOCHS))
    half = len(first) // 2
    return not _same(first[:half], first[half:]) and all(
        _same(first, other) for other in others
    )


def _values(dataset: tf.data.Dataset) -> Iterator[np.ndarray]:
    """Every tensor of the features, batch by batch."""
    for features, *_ in dataset:
        for part in tf.nest.flatten(features, expand_composites=True):
            yield part.numpy()


def _same(values: list[np.ndarray], others: list[np.ndarray]) -> bool:
    return len(values) == len(others) and all(map(np.array_equal, values, others))


@contextmanager
def _global_seed(seed: int) -> Iterator[None]:
    """TensorFlow's global seed, which was unset before and is so again afterwards."""
    tf.random.set_seed(seed)
    try:
        yield
    finally:
        tf.random.set_seed(None)
