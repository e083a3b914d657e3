"""Integers of 60 categories: look up, one-hot, into one dense unit."""

from collections import Counter

import keras
import numpy as np

KIND = "structured"
EXAMPLES = 4096
CLASSES = 2
LOSS = "binary_crossentropy"
CATEGORIES = 60

_adapted: dict[str, np.ndarray] = {}  # what `check` compares with


def examples(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Product codes far apart, int64 `[count]`; the label, int64, is their parity."""
    codes = 1000 + 37 * np.arange(CATEGORIES, dtype=np.int64)
    shares = 1 / np.arange(1, CATEGORIES + 1)
    chosen = rng.choice(codes, count, p=shares / shares.sum())
    return chosen, chosen % 2


def build(examples: np.ndarray) -> list[keras.Layer]:
    """IntegerLookup adapted to the examples, then one-hot."""
    _adapted["examples"] = examples
    lookup = keras.layers.IntegerLookup()
    lookup.adapt(examples)
    size = lookup.vocabulary_size()
    return [lookup, keras.layers.CategoryEncoding(size, output_mode="one_hot")]


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """1 at each code's rank, the most frequent first, after one place for unknown."""
    counts = Counter(_adapted["examples"].tolist())
    known = sorted(counts, key=lambda code: (counts[code], code), reverse=True)
    places = [known.index(code) + 1 if code in known else 0 for code in batch]
    np.testing.assert_array_equal(output, np.eye(len(known) + 1)[places])


def model(features: keras.KerasTensor) -> keras.KerasTensor:
    """A hidden layer and one sigmoid."""
    x = keras.layers.Dense(16, activation="relu")(features)
    return keras.layers.Dense(1, activation="sigmoid")(x)
