"""Words to integers, Embedding of 64, LSTM of 5: the first article's text."""

import keras
import numpy as np

from bench.workloads import _embedded, _words

KIND = "text"
ACCEPTS = "text"
CLASSES = 20
TOKENS = 5000
LENGTH = 32

_adapted: dict[str, np.ndarray] = {}  # what `check` compares with


def examples(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Sentences as bytes `[count]` and the group of their help topic, int64."""
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
    """Embedding of 64, LSTM of 5 as in the article, and a softmax to have a loss."""
    x = keras.layers.Embedding(TOKENS, 64)(features)
    x = keras.layers.LSTM(5)(x)
    return keras.layers.Dense(CLASSES, activation="softmax")(x)
