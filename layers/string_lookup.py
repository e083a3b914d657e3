"""Turns words into their places in a learned vocabulary."""

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
SYLLABLES = ("ba", "cor", "de", "fen", "gil", "ho", "ist", "ka", "lum", "mer")
WORDS = np.array([a + b + c for a in SYLLABLES for b in SYLLABLES for c in SYLLABLES])


def examples(rng: np.random.Generator, count: int) -> np.ndarray:
    """Words by Zipf's law, bytes `[count]`, some of them in no vocabulary."""
    return _draw(rng, count, WORDS)


def build(
    examples: np.ndarray, state: str = "adapt", one_hot: bool = False
) -> keras.Layer | list[keras.Layer]:
    """The layer, its vocabulary learned or given; strings in, int64 out.

    With `one_hot` a second layer makes float32 vectors of the vocabulary's size.
    """
    if state == "given":
        layer = keras.layers.StringLookup(vocabulary=_vocabulary())
    else:
        layer = keras.layers.StringLookup()
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
    """A dictionary's answers; place 0 is for every word that is not in it."""
    vocabulary = _vocabulary()
    place = {word: index for index, word in enumerate(vocabulary, start=1)}
    expected = np.array([place.get(word.decode(), 0) for word in batch.tolist()])
    if one_hot:
        expected = np.eye(len(vocabulary) + 1, dtype=np.float32)[expected]
    np.testing.assert_array_equal(output, expected)


def _draw(rng: np.random.Generator, count: int, words: np.ndarray) -> np.ndarray:
    weights = 1 / np.arange(1, len(words) + 1)
    return rng.choice(words, count, p=weights / weights.sum()).astype("S")


def _calibration() -> np.ndarray:
    return _draw(np.random.default_rng(0), 4096, WORDS[: len(WORDS) // 2])


def _vocabulary() -> list[str]:
    # Keras orders by count and breaks ties by the word, both from high to low.
    counts = Counter(_calibration().tolist())
    ordered = sorted(counts, key=lambda word: (counts[word], word), reverse=True)
    return [word.decode() for word in ordered]
