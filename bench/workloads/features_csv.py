"""Lines of a CSV file: parse, normalize, into dense layers."""

import keras
import numpy as np
import tensorflow as tf

from bench.workloads import _normalization

KIND = "structured"
EXAMPLES = 4096
ACCEPTS = "csv"
CLASSES = 10
TOLERANCE = 1e-4
COLUMNS = 16

_adapted: dict[str, np.ndarray] = {}  # what `check` compares with


def examples(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Lines of 16 numbers as bytes `[count]`; the label, int64, is 1 by their sum."""
    column = np.arange(COLUMNS)
    values = rng.normal(column, 1 + column, (count, COLUMNS))
    lines = [",".join(f"{value:.6g}" for value in row).encode() for row in values]
    labels = values.sum(axis=1) > column.sum()
    return np.array(lines), labels.astype(np.int64)


def build(examples: np.ndarray) -> keras.Layer:
    """Normalization adapted to the parsed examples."""
    known = np.array([line.split(b",") for line in examples]).astype(np.float32)
    _adapted["examples"] = known
    layer = keras.layers.Normalization()
    layer.adapt(known)
    return layer


def decode(record: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The numbers of one line, float32 `[columns]`, as many as `build` was given."""
    columns = _adapted["examples"].shape[1] if _adapted else COLUMNS
    return tf.stack(tf.io.decode_csv(record, [0.0] * columns)), label


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """The formula, in NumPy."""
    _normalization.check(_adapted["examples"], batch, output)


def model(features: keras.KerasTensor) -> keras.KerasTensor:
    """One hidden dense layer, softmax over the classes."""
    x = keras.layers.Dense(64, activation="relu")(features)
    return keras.layers.Dense(CLASSES, activation="softmax")(x)
