"""Splits sentences into words and looks them up in a vocabulary."""

import math
import string
from collections import Counter

import keras
import numpy as np
import tensorflow as tf

KIND = "text"
VARIANTS = {
    "multi_hot": {"mode": "multi_hot"},
    "count": {"mode": "count"},
    "tf_idf": {"mode": "tf_idf"},
    "bigrams": {"mode": "multi_hot", "ngrams": 2},
    "bigrams_tf_idf": {"mode": "tf_idf", "ngrams": 2},
    "limited": {"max_tokens": 100},
    "adapt_dataset": {"state": "adapt_dataset"},
    "given": {"state": "given"},
}
LENGTH = 32
SYLLABLES = ("ba", "cor", "dé", "fen", "gil", "ho", "ist", "ka", "lum", "mer")
WORDS = np.array([a + b + c for a in SYLLABLES for b in SYLLABLES for c in SYLLABLES])


def examples(rng: np.random.Generator, count: int) -> np.ndarray:
    """Sentences of 4 to 40 words by Zipf's law, bytes `[count]`.

    They have capitals and punctuation, and words that are in no vocabulary.
    """
    return _sentences(rng, count, WORDS)


def build(
    examples: np.ndarray,
    state: str = "adapt",
    mode: str = "int",
    ngrams: int | None = None,
    max_tokens: int | None = None,
) -> keras.Layer:
    """The layer, its vocabulary learned or given.

    Strings in; int64 `[..., 32]`, or by `mode` a vector of the vocabulary's size, out.
    """
    layer = keras.layers.TextVectorization(
        max_tokens=max_tokens,
        ngrams=ngrams,
        output_mode=mode,
        output_sequence_length=LENGTH if mode == "int" else None,
        vocabulary=_vocabulary(mode, ngrams, max_tokens) if state == "given" else None,
    )
    if state == "adapt_dataset":
        layer.adapt(tf.data.Dataset.from_tensor_slices(_calibration()).batch(128))
    elif state == "adapt":
        layer.adapt(_calibration())
    return layer


def check(
    batch: np.ndarray,
    output: np.ndarray,
    state: str = "adapt",
    mode: str = "int",
    ngrams: int | None = None,
    max_tokens: int | None = None,
) -> None:
    """The same in plain Python: lower, strip, split, count, look up."""
    vocabulary = _vocabulary(mode, ngrams, max_tokens)
    place = {term: index for index, term in enumerate(vocabulary, start=1)}
    found = [
        [place.get(term.decode(), 0) for term in _terms(text, ngrams)]
        for text in batch.tolist()
    ]
    if mode == "int":
        # 0 is the padding, 1 an unknown word.
        rows = [[index + 1 for index in row[:LENGTH]] for row in found]
        expected = np.array([row + [0] * (LENGTH - len(row)) for row in rows])
        np.testing.assert_array_equal(output, expected)
        return
    counts = [np.bincount(row, minlength=len(vocabulary) + 1) for row in found]
    expected = np.array(counts, dtype=np.float64)
    if mode == "multi_hot":
        expected = np.minimum(expected, 1)
    if mode == "tf_idf":
        expected *= _weights(vocabulary, ngrams)
    np.testing.assert_allclose(output, expected, rtol=1e-5)


def _sentences(rng: np.random.Generator, count: int, words: np.ndarray) -> np.ndarray:
    weights = 1 / np.arange(1, len(words) + 1)
    lengths = rng.integers(4, 41, count)
    drawn = rng.choice(words, lengths.sum(), p=weights / weights.sum())
    ends = rng.choice([".", "!", "?", " ...", "."], count)
    texts = []
    for row, end in zip(np.split(drawn, lengths.cumsum()[:-1]), ends, strict=True):
        first, second, *others = row.tolist()
        text = f"{first.capitalize()} {second}, {' '.join(others)}{end}"
        texts.append(text.encode())
    return np.array(texts, dtype="S")


def _calibration() -> np.ndarray:
    return _sentences(np.random.default_rng(0), 512, WORDS[: len(WORDS) // 2])


def _terms(text: bytes, ngrams: int | None) -> list[bytes]:
    words = text.lower().translate(None, string.punctuation.encode()).split()
    return [
        b" ".join(words[start : start + width])
        for width in range(1, (ngrams or 1) + 1)
        for start in range(len(words) - width + 1)
    ]


def _vocabulary(mode: str, ngrams: int | None, max_tokens: int | None) -> list[str]:
    """What is learned, without the places for padding and unknown words."""
    counts = Counter(
        term for text in _calibration().tolist() for term in _terms(text, ngrams)
    )
    # Keras orders by count and breaks ties by the word, both from high to low.
    ordered = sorted(counts, key=lambda term: (counts[term], term), reverse=True)
    if max_tokens is not None:
        ordered = ordered[: max_tokens - (2 if mode == "int" else 1)]
    return [term.decode() for term in ordered]


def _weights(vocabulary: list[str], ngrams: int | None) -> np.ndarray:
    """Keras's inverse document frequencies; an unknown word has their mean."""
    texts = _calibration().tolist()
    holding = Counter(term for text in texts for term in set(_terms(text, ngrams)))
    known = [
        math.log(1 + len(texts) / (1 + holding[term.encode()])) for term in vocabulary
    ]
    return np.array([np.mean(known), *known])
