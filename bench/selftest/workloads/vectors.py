"""Vectors in files, for constructed bottlenecks: a map and a model of chosen weight."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

KIND = "structured"
EXAMPLES = 1024
FILES = 64
WIDTH = 1024
TOLERANCE = 1e-4
VARIANTS = {"heavy_map": {"cosines": 200}, "heavy_model": {"dense": 12}}

_chosen = {"dense": 0}  # `build` is called before `model`


class Cosines(keras.layers.Layer):
    """The cosine of the features, of that again, and so on."""

    def __init__(self, cosines: int) -> None:
        """Take how often."""
        super().__init__()
        self.cosines = cosines

    def call(self, features: object) -> object:
        """One after the other: each waits for the one before."""
        for _ in range(self.cosines):
            features = keras.ops.cos(features)
        return features


def examples(rng: np.random.Generator, count: int, folder: str) -> None:
    """Files of float32 vectors, `[WIDTH]` each, in folders for two classes."""
    for number in range(FILES):
        home = Path(folder) / str(number % 2)
        home.mkdir(exist_ok=True)
        vectors = rng.normal(size=(count // FILES, WIDTH)).astype(np.float32)
        (home / f"{number:04d}.bin").write_bytes(vectors.tobytes())


def build(examples: list[str], cosines: int = 1, dense: int = 0) -> keras.Layer:
    """The layer; how many dense layers the model has in its middle is kept."""
    _chosen["dense"] = dense
    return Cosines(cosines)


def read(path: tf.Tensor, label: tf.Tensor) -> tf.data.Dataset:
    """The vectors of one file, as bytes."""
    vectors = tf.data.FixedLengthRecordDataset(path, 4 * WIDTH)
    return vectors.map(lambda record: (record, label))


def decode(record: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """float32 `[WIDTH]`."""
    return tf.ensure_shape(tf.io.decode_raw(record, tf.float32), [WIDTH]), label


def check(
    batch: np.ndarray, output: np.ndarray, cosines: int = 1, dense: int = 0
) -> None:
    """NumPy's cosine, as often; many times over, all come near to 0.739."""
    expected = batch
    for _ in range(cosines):
        expected = np.cos(expected)
    np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-4)


def model(features: keras.KerasTensor) -> keras.KerasTensor:
    """Dense layers of 1024, as many as were chosen, between two small ones."""
    x = keras.layers.Dense(32, activation="relu")(features)
    for _ in range(_chosen["dense"]):
        x = keras.layers.Dense(1024, activation="relu")(x)
    return keras.layers.Dense(2, activation="softmax")(x)
