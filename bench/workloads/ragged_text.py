"""Sentences as ragged batches of tokens, without padding: embed, average, one unit."""

import keras
import numpy as np

from bench.workloads import _embedded, _words

KIND = "text"
ACCEPTS = "text"
CLASSES = 2
LOSS = "binary_crossentropy"
TOKENS = 2000

_adapted: dict[str, np.ndarray] = {}  # what `check` compares with


def examples(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return sentences, bytes `[count]`, and the half of the help topics, int64."""
    return _embedded.sentences(rng, count, CLASSES)


def build(examples: np.ndarray) -> keras.Layer:
    """Return TextVectorization, adapted to the examples: ragged int64 tokens."""
    _adapted["examples"] = examples
    layer = keras.layers.TextVectorization(TOKENS, ragged=True)
    layer.adapt(examples)
    return layer


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """Compare each row with the places of its words; only the longest has no zeros."""
    known = _words.vocabulary(_adapted["examples"], TOKENS - 2)
    longest = max(len(_words.tokens(line)) for line in batch)
    assert output.shape == (len(batch), longest), f"the shape is {output.shape}"
    np.testing.assert_array_equal(output, _words.places(batch, known, longest))


def model(features: keras.KerasTensor) -> keras.KerasTensor:
    """Return one sigmoid of the mean of the words' embeddings."""
    x = keras.layers.Embedding(TOKENS, 16)(features)
    x = keras.layers.GlobalAveragePooling1D()(x)
    return keras.layers.Dense(1, activation="sigmoid")(x)
