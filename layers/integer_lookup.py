"""Turns integer identifiers into their places in a learned vocabulary."""

from collections import Counter

import keras
import numpy as np
import tensorflow as tf

KIND = "structured"
VARIANTS = {
    "one_hot": {"one_hot": True},
    "adapt_dataset": {"state": "adapt_dataset"},
    "given": {"state": "given"},
}
# Sparse, and beyond 32 bits, as identifiers are: none is its own place.
IDENTIFIERS = 5_000_000_000 + 7919 * np.random.default_rng(1).permutation(1000)


def examples(rng: np.random.Generator, count: int) -> np.ndarray:
    """Identifiers by Zipf's law, int64 `[count]`, some of them in no vocabulary."""
    return _draw(rng, count, IDENTIFIERS)


def build(
    examples: np.ndarray, state: str = "adapt", one_hot: bool = False
) -> keras.Layer | list[keras.Layer]:
    """The layer, its vocabulary learned or given; int64 in and out.

    With `one_hot` a second layer makes float32 vectors of the vocabulary's size.
    """
    if state == "given":
        layer = keras.layers.IntegerLookup(vocabulary=_vocabulary())
    else:
        layer = keras.layers.IntegerLookup()
        known = _calibration()
        if state == "adapt_dataset":
            known = tf.data.Dataset.from_tensor_slices(known).batch(256)
        layer.adapt(known)
    if not one_hot:
        return layer
    size = layer.vocabulary_size()
    return [layer, keras.layers.CategoryEncoding(size, output_mode="one_hot")]


def check(
    batch: np.ndarray, output: np.ndarray, state: str = "adapt", one_hot: bool = False
) -> None:
    """A dictionary's answers; place 0 is for every identifier that is not in it."""
    vocabulary = _vocabulary()
    place = {number: index for index, number in enumerate(vocabulary, start=1)}
    expected = np.array([place.get(number, 0) for number in batch.tolist()])
    if one_hot:
        expected = np.eye(len(vocabulary) + 1, dtype=np.float32)[expected]
    np.testing.assert_array_equal(output, expected)


def _draw(rng: np.random.Generator, count: int, numbers: np.ndarray) -> np.ndarray:
    weights = 1 / np.arange(1, len(numbers) + 1)
    return rng.choice(numbers, count, p=weights / weights.sum()).astype(np.int64)


def _calibration() -> np.ndarray:
    return _draw(np.random.default_rng(0), 4096, IDENTIFIERS[: len(IDENTIFIERS) // 2])


def _vocabulary() -> list[int]:
    # Keras orders by count and breaks ties by the number, both from high to low.
    counts = Counter(_calibration().tolist())
    return sorted(counts, key=lambda number: (counts[number], number), reverse=True)
