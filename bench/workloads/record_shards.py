"""Sixteen TFRecord shards: interleave, parse, normalize, one dense unit."""

import keras
import numpy as np
import tensorflow as tf

from bench.workloads import _normalization, _records

KIND = "structured"
EXAMPLES = 4096
CLASSES = 2
LOSS = "binary_crossentropy"
TOLERANCE = 1e-4

_adapted: dict[str, np.ndarray] = {}  # what `check` compares with


def examples(rng: np.random.Generator, count: int, folder: str) -> None:
    """Write `count` records over 16 shards: 30 floats and a label each."""
    _records.write(rng, count, folder)


def build(examples: list[str]) -> keras.Layer:
    """Return Normalization, adapted to the records of all shards."""
    _adapted["examples"] = _records.features(examples)
    layer = keras.layers.Normalization()
    layer.adapt(_adapted["examples"])
    return layer


def read(path: tf.Tensor, label: tf.Tensor) -> tf.data.Dataset:
    """Return the serialized records of one shard; their own labels are inside."""
    return _records.read(path, label)


def decode(record: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return float32 `[30]`, and the record's label in place of its folder's."""
    parsed = tf.io.parse_single_example(record, _records.FIELDS)
    return parsed["features"], parsed["label"]


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """Compare the output with the formula, in NumPy."""
    _normalization.check(_adapted["examples"], batch, output)


def model(features: keras.KerasTensor) -> keras.KerasTensor:
    """Return the output of one sigmoid."""
    return keras.layers.Dense(1, activation="sigmoid")(features)
