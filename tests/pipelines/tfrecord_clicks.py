"""Click logs in TFRecord files, parsed record by record, as most examples do it."""

from pathlib import Path

import tensorflow as tf

FEATURES = {
    "numbers": tf.io.FixedLenFeature([13], tf.float32),
    "categories": tf.io.FixedLenFeature([8], tf.int64),
    "label": tf.io.FixedLenFeature([], tf.int64),
}


def parse(record):
    """The features and the label of one record."""
    features = tf.io.parse_single_example(record, FEATURES)
    label = features.pop("label")
    return features, label


def transform(features, label):
    """Logarithms of the numbers, and the categories as they are."""
    return {**features, "numbers": tf.math.log1p(features["numbers"])}, label


def train_dataset(folder="data", batch_size=128):
    """Batches of features and labels."""
    files = sorted(str(path) for path in Path(folder).glob("clicks/*.tfrecord"))
    ds = tf.data.TFRecordDataset(files)
    ds = ds.map(parse)
    ds = ds.map(transform)
    ds = ds.shuffle(1000)
    ds = ds.batch(batch_size)
    return ds


def parse_batch(records):
    """The features and the labels of a batch of records."""
    features = tf.io.parse_example(records, FEATURES)
    label = features.pop("label")
    return features, label


def best_practice(folder="data", batch_size=128):
    """Keep the records, and parse whole batches in parallel."""
    files = sorted(str(path) for path in Path(folder).glob("clicks/*.tfrecord"))
    ds = tf.data.TFRecordDataset(files, num_parallel_reads=tf.data.AUTOTUNE)
    ds = ds.cache()
    ds = ds.shuffle(1000)
    ds = ds.batch(batch_size)
    ds = ds.map(parse_batch, num_parallel_calls=tf.data.AUTOTUNE)
    ds = ds.map(transform, num_parallel_calls=tf.data.AUTOTUNE)
    return ds.prefetch(tf.data.AUTOTUNE)
