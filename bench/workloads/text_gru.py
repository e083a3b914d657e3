"""Words to integers, Embedding of 16, GRU of 8: the second article's second example."""

import keras
import numpy as np

from bench.workloads import _embedded, _words

KIND = "text"
ACCEPTS = "text"
CLASSES = 2
LOSS = "binary_crossentropy"
TOKENS = 5000
LENGTH = 32

_adapted: dict[str, np.ndarray] = {}  # what `check` compares with


def examples(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Sentences as bytes `[count]` and the half of the help topics, int64."""
    return _embedded.sentences(rng, count, CLASSES)


def build(examples: np.ndarray) -> keras.Layer:
    """TextVectorization adapted to the examples: 32 places of int64."""
    _adapted["examples"] = examples
    layer = keras.layers.TextVectorization(
        max_tokens=TOKENS, output_sequence_length=LENGTH
    )
    layer.adapt(examples)
    return layer


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """Places in the vocabulary from 2 on, 1 for unknown words, 0 for padding."""
    known = _words.vocabulary(_adapted["examples"], TOKENS - 2)
    expected = _words.places(batch, known, LENGTH)
    np.testing.assert_array_equal(output, expected)


def model(features: keras.KerasTensor) -> keras.KerasTensor:
    """Embedding of 16, GRU of 8, one sigmoid."""
    x = keras.layers.Embedding(TOKENS, 16)(features)
    x = keras.layers.GRU(8)(x)
    return keras.layers.Dense(1, activation="sigmoid")(x)
