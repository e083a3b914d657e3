"""Words and pairs of words as a multi-hot vector, into one dense unit."""

import keras
import numpy as np

from bench.workloads import _embedded, _words

KIND = "text"
ACCEPTS = "text"
CLASSES = 2
LOSS = "binary_crossentropy"
TOKENS = 5000
NGRAMS = 2

_adapted: dict[str, np.ndarray] = {}  # what `check` compares with


def examples(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Sentences as bytes `[count]` and the half of the help topics, int64."""
    return _embedded.sentences(rng, count, CLASSES)


def build(examples: np.ndarray) -> keras.Layer:
    """TextVectorization adapted to the examples: int64 of 0 and 1."""
    _adapted["examples"] = examples
    layer = keras.layers.TextVectorization(
        max_tokens=TOKENS, ngrams=NGRAMS, output_mode="multi_hot"
    )
    layer.adapt(examples)
    return layer


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """1 for each word or pair that a line has; the first column is for unknown ones."""
    known = _words.vocabulary(_adapted["examples"], TOKENS - 1, NGRAMS)
    counts = _words.counts(batch, known, NGRAMS)
    np.testing.assert_array_equal(output, counts > 0)


def model(features: keras.KerasTensor) -> keras.KerasTensor:
    """One sigmoid; a dense layer needs floats."""
    x = keras.ops.cast(features, "float32")
    return keras.layers.Dense(1, activation="sigmoid")(x)
