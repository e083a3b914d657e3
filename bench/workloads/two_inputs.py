"""Numbers and a text for each example: normalize, look words up; two model inputs."""

import keras
import numpy as np

from bench.workloads import _embedded, _normalization, _words

KIND = "structured"
CLASSES = 2
LOSS = "binary_crossentropy"
TOLERANCE = 1e-4
COLUMNS = 8
TOKENS = 2000
LENGTH = 40

_adapted: dict[str, np.ndarray] = {}  # what `check` compares with


class NumbersAndText(keras.Layer):
    """A layer applies Normalization to the numbers and TextVectorization to the text.

    It takes a dict of `numbers`, float32 `[..., 8]`, and `text`, bytes `[...]`. It
    returns float32 `[..., 8]` and int64 `[..., 40]` under the same names.
    """

    def __init__(self, numbers: keras.Layer, text: keras.Layer) -> None:
        """Take both layers, adapted."""
        super().__init__()
        self.numbers = numbers
        self.text = text

    def call(self, features: dict) -> dict:
        """Apply each layer to its own input."""
        return {
            "numbers": self.numbers(features["numbers"]),
            "text": self.text(features["text"]),
        }


def examples(
    rng: np.random.Generator, count: int
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return numbers, float32 `[count, 8]`, and sentences, bytes `[count]`.

    The label, int64, is the half of the help topics that the sentence comes from. The
    numbers depend on it too.
    """
    text, labels = _embedded.sentences(rng, count, CLASSES)
    scale = 1 + np.arange(COLUMNS)
    numbers = rng.normal(labels[:, None] + scale, scale, (count, COLUMNS))
    return {"numbers": numbers.astype(np.float32), "text": text}, labels


def build(examples: dict[str, np.ndarray]) -> keras.Layer:
    """Return both layers in one, adapted to all examples."""
    _adapted.update(examples)
    numbers = keras.layers.Normalization()
    numbers.adapt(examples["numbers"])
    text = keras.layers.TextVectorization(TOKENS, output_sequence_length=LENGTH)
    text.adapt(examples["text"])
    return NumbersAndText(numbers, text)


def check(batch: dict[str, np.ndarray], output: dict[str, np.ndarray]) -> None:
    """Compare the numbers with the formula, and the text with places in a list."""
    _normalization.check(_adapted["numbers"], batch["numbers"], output["numbers"])
    known = _words.vocabulary(_adapted["text"], TOKENS - 2)
    places = _words.places(batch["text"], known, LENGTH)
    np.testing.assert_array_equal(output["text"], places)


def model(features: dict[str, keras.KerasTensor]) -> keras.KerasTensor:
    """Return one sigmoid of the numbers beside the mean of the words' embeddings."""
    words = keras.layers.Embedding(TOKENS, 16)(features["text"])
    words = keras.layers.GlobalAveragePooling1D()(words)
    both = keras.layers.Concatenate()([features["numbers"], words])
    return keras.layers.Dense(1, activation="sigmoid")(both)
