"""Records of 30 numbers and a label, as `tf.train.Example` in TFRecord shards."""

from pathlib import Path

import numpy as np
import tensorflow as tf

CLASSES = 2
SHARDS = 16
COLUMNS = 30
FIELDS = {
    "features": tf.io.FixedLenFeature([COLUMNS], tf.float32),
    "label": tf.io.FixedLenFeature([], tf.int64),
}


def write(rng: np.random.Generator, count: int, folder: str) -> None:
    """Write `count` records over 16 shards: 30 floats and a label each."""
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


def features(paths: list[str]) -> np.ndarray:
    """Return the features of all records of these shards, float32 `[records, 30]`."""
    batches = tf.data.TFRecordDataset(paths).batch(1024)
    parsed = [tf.io.parse_example(batch, FIELDS)["features"] for batch in batches]
    return np.concatenate(parsed)


def read(path: tf.Tensor, label: tf.Tensor) -> tf.data.Dataset:
    """Return the serialized records of one shard; their own labels are inside."""
    return tf.data.TFRecordDataset(path).map(lambda record: (record, label))


def _record(features: np.ndarray, label: int) -> bytes:
    floats = tf.train.Feature(float_list=tf.train.FloatList(value=features))
    number = tf.train.Feature(int64_list=tf.train.Int64List(value=[label]))
    fields = {"features": floats, "label": number}
    example = tf.train.Example(features=tf.train.Features(feature=fields))
    return example.SerializeToString(deterministic=True)
