"""Strings of 35 categories: look up, one-hot, into one dense unit."""

import keyword
from collections import Counter

import keras
import numpy as np

KIND = "structured"
EXAMPLES = 4096
CLASSES = 2
LOSS = "binary_crossentropy"

_adapted: dict[str, np.ndarray] = {}  # what `check` compares with


def examples(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Python's keywords, bytes `[count]`, the first ones often and the last rarely.

    The label, int64, is 1 for keywords in the second half of the alphabet.
    """
    words = np.array(sorted(keyword.kwlist), dtype="S")
    shares = 1 / np.arange(1, len(words) + 1)
    chosen = rng.choice(len(words), count, p=shares / shares.sum())
    return words[chosen], (words[chosen] >= b"in").astype(np.int64)


def build(examples: np.ndarray) -> list[keras.Layer]:
    """StringLookup adapted to the examples, then one-hot."""
    _adapted["examples"] = examples
    lookup = keras.layers.StringLookup()
    lookup.adapt(examples)
    size = lookup.vocabulary_size()
    return [lookup, keras.layers.CategoryEncoding(size, output_mode="one_hot")]


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """1 at each word's rank, the most frequent first, after one place for unknown."""
    counts = Counter(_adapted["examples"].tolist())
    known = sorted(counts, key=lambda word: (counts[word], word), reverse=True)
    places = [known.index(word) + 1 if word in known else 0 for word in batch]
    np.testing.assert_array_equal(output, np.eye(len(known) + 1)[places])


def model(features: keras.KerasTensor) -> keras.KerasTensor:
    """A hidden layer and one sigmoid."""
    x = keras.layers.Dense(16, activation="relu")(features)
    return keras.layers.Dense(1, activation="sigmoid")(x)
