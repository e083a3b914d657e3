"""Vectors in files, with a map and a model whose cost can be chosen."""

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

_model = {"dense": 0}  # layers; `build` is called before `model`


class Cosines(keras.layers.Layer):
    """This layer applies the cosine to the features a number of times."""

    def __init__(self, cosines: int) -> None:
        """Set how many times the cosine is applied."""
        super().__init__()
        self.cosines = cosines

    def call(self, features: object) -> object:
        """Apply the cosines one after another, so that each waits for the last."""
        for _ in range(self.cosines):
            features = keras.ops.cos(features)
        return features


def examples(rng: np.random.Generator, count: int, folder: str) -> None:
    """Write files of float32 vectors, `[WIDTH]` each, into folders of two classes."""
    for number in range(FILES):
        home = Path(folder) / str(number % 2)
        home.mkdir(exist_ok=True)
        vectors = rng.normal(size=(count // FILES, WIDTH)).astype(np.float32)
        (home / f"{number:04d}.bin").write_bytes(vectors.tobytes())


def build(examples: list[str], cosines: int = 1, dense: int = 0) -> keras.Layer:
    """Return the layer; `dense` is the number of hidden layers of the model."""
    _model["dense"] = dense
    return Cosines(cosines)


def read(path: tf.Tensor, label: tf.Tensor) -> tf.data.Dataset:
    """Return the vectors of one file, as bytes."""
    vectors = tf.data.FixedLengthRecordDataset(path, 4 * WIDTH)
    return vectors.map(lambda record: (record, label))


def decode(record: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return a float32 vector, `[WIDTH]`, and the label."""
    return tf.ensure_shape(tf.io.decode_raw(record, tf.float32), [WIDTH]), label


def check(
    batch: np.ndarray, output: np.ndarray, cosines: int = 1, dense: int = 0
) -> None:
    """Compare with NumPy's cosine; applied many times, all values approach 0.739."""
    expected = batch
    for _ in range(cosines):
        expected = np.cos(expected)
    np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-4)


def model(features: keras.KerasTensor) -> keras.KerasTensor:
    """Return `dense` layers of 1024 units between two small layers."""
    x = keras.layers.Dense(32, activation="relu")(features)
    for _ in range(_model["dense"]):
        x = keras.layers.Dense(1024, activation="relu")(x)
    return keras.layers.Dense(2, activation="softmax")(x)
