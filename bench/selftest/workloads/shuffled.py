"""Records that are parsed as they are read, then shuffled; the layer is cheap."""

import keras
import numpy as np
import tensorflow as tf

from bench.selftest.workloads import _stalls

EXAMPLES = 20_480
SHARDS = 4
FIELDS = [f"f{number}" for number in range(20)]


def examples(rng, count, folder):
    for shard in range(SHARDS):
        with tf.io.TFRecordWriter(str(folder / f"{shard}.tfrecord")) as writer:
            for row in rng.normal(size=(count // SHARDS, len(FIELDS))):
                writer.write(record(row))


def record(row):
    values = {
        name: tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
        for name, value in zip(FIELDS, row, strict=True)
    }
    example = tf.train.Example(features=tf.train.Features(feature=values))
    return example.SerializeToString()


def read(path, label):
    return tf.data.TFRecordDataset(path).map(lambda text: (parsed(text), label))


def parsed(text):
    spec = {name: tf.io.FixedLenFeature([], tf.float32) for name in FIELDS}
    fields = tf.io.parse_single_example(text, spec)
    return tf.stack([fields[name] for name in FIELDS])


def build(examples):
    return keras.layers.Rescaling(2.0)


def check(batch, output):
    np.testing.assert_allclose(output, batch * 2)


def model(features):
    return _stalls.head(features)
