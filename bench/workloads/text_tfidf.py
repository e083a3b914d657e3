"""Words and pairs of words with TF-IDF weights, into one dense unit."""

import keras
import numpy as np

from bench.workloads import _embedded, _words

KIND = "text"
ACCEPTS = "text"
CLASSES = 2
LOSS = "binary_crossentropy"
TOLERANCE = 1e-4
TOKENS = 5000
NGRAMS = 2

_adapted: dict[str, np.ndarray] = {}  # what `check` compares with


def examples(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Sentences as bytes `[count]` and the half of the help topics, int64."""
    return _embedded.sentences(rng, count, CLASSES)


def build(examples: np.ndarray) -> keras.Layer:
    """TextVectorization adapted to the examples: float32 weights."""
    _adapted["examples"] = examples
    layer = keras.layers.TextVectorization(
        max_tokens=TOKENS, ngrams=NGRAMS, output_mode="tf_idf"
    )
    layer.adapt(examples)
    return layer


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """Counts times log(1 + lines / (1 + lines that have the token))."""
    lines = _adapted["examples"]
    known = _words.vocabulary(lines, TOKENS - 1, NGRAMS)
    holders = np.zeros(len(known))
    for line in lines:
        for token in set(_words.tokens(line, NGRAMS)) & known.keys():
            holders[known[token]] += 1
    weights = np.log(1 + len(lines) / (1 + holders))
    # Unknown tokens weigh as much as the known ones on average.
    weights = np.r_[weights.mean(), weights]
    expected = _words.counts(batch, known, NGRAMS) * weights
    np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-4)


def model(features: keras.KerasTensor) -> keras.KerasTensor:
    """One sigmoid."""
    return keras.layers.Dense(1, activation="sigmoid")(features)
