"""Sixteen TFRecord shards: interleave, parse, normalize, one dense unit."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from bench.workloads import _normalization

KIND = "structured"
EXAMPLES = 4096
CLASSES = 2
LOSS = "binary_crossentropy"
TOLERANCE = 1e-4
SHARDS = 16
COLUMNS = 30

_adapted: dict[str, np.ndarray] = {}  # what `check` compares with


def examples(rng: np.random.Generator, count: int, folder: str) -> None:
    """`count` records over 16 shards: 30 floats and a label each."""
    labels = rng.integers(0, CLASSES, count)
    column = np.arange(COLUMNS)
    features = rng.normal(column, 1 + column, (count, COLUMNS)) + labels[:, None]
    for shard, rows in enumerate(np.array_split(np.arange(count), SHARDS)):
        home = Path(folder) / "shards"
        home.mkdir(parents=True, exist_ok=True)
        path = home / f"{shard:02d}-of-{SHARDS}.tfrecord"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for row in rows:
                writer.write(_record(features[row], int(labels[row])))


def build(examples: list[str]) -> keras.Layer:
    """Normalization adapted to the records of all shards."""
    records = tf.data.TFRecordDataset(examples).batch(1024)
    parsed = [tf.io.parse_example(batch, _fields())["features"] for batch in records]
    known = np.concatenate(parsed)
    _adapted["examples"] = known
    layer = keras.layers.Normalization()
    layer.adapt(known)
    return layer


def read(path: tf.Tensor, label: tf.Tensor) -> tf.data.Dataset:
    """The serialized records of one shard; their own labels are inside."""
    return tf.data.TFRecordDataset(path).map(lambda record: (record, label))


def decode(record: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Features, float32 `[30]`, and the record's label in place of its folder's."""
    parsed = tf.io.parse_single_example(record, _fields())
    return parsed["features"], parsed["label"]


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """The formula, in NumPy."""
    _normalization.check(_adapted["examples"], batch, output)


def model(features: keras.KerasTensor) -> keras.KerasTensor:
    """One sigmoid."""
    return keras.layers.Dense(1, activation="sigmoid")(features)


def _fields() -> dict[str, tf.io.FixedLenFeature]:
    return {
        "features": tf.io.FixedLenFeature([COLUMNS], tf.float32),
        "label": tf.io.FixedLenFeature([], tf.int64),
    }


def _record(features: np.ndarray, label: int) -> bytes:
    floats = tf.train.Feature(float_list=tf.train.FloatList(value=features))
    number = tf.train.Feature(int64_list=tf.train.Int64List(value=[label]))
    fields = {"features": floats, "label": number}
    example = tf.train.Example(features=tf.train.Features(feature=fields))
    return example.SerializeToString(deterministic=True)
