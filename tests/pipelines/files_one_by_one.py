"""Images in many TFRecord files, each read and decoded to its end before the next."""

from pathlib import Path

import tensorflow as tf

FEATURES = {
    "image": tf.io.FixedLenFeature([], tf.string),
    "label": tf.io.FixedLenFeature([], tf.int64),
}


def decode(record):
    """The image and the label of one record."""
    features = tf.io.parse_single_example(record, FEATURES)
    image = tf.io.decode_jpeg(features["image"], channels=3)
    image = tf.image.resize(image, (96, 96))
    return image / 255.0, features["label"]


def read(path):
    """The examples of one file."""
    return tf.data.TFRecordDataset(path).map(decode)


def train_dataset(folder="data", batch_size=32):
    """Batches of images and labels."""
    files = sorted(str(path) for path in Path(folder).glob("shards/*.tfrecord"))
    ds = tf.data.Dataset.from_tensor_slices(files)
    ds = ds.flat_map(read)
    ds = ds.batch(batch_size)
    ds = ds.prefetch(1)
    return ds


def best_practice(folder="data", batch_size=32):
    """Read several files at a time, decode in parallel, and keep the images."""
    files = sorted(str(path) for path in Path(folder).glob("shards/*.tfrecord"))
    ds = tf.data.Dataset.from_tensor_slices(files)
    ds = ds.interleave(tf.data.TFRecordDataset, num_parallel_calls=tf.data.AUTOTUNE)
    ds = ds.map(decode, num_parallel_calls=tf.data.AUTOTUNE)
    ds = ds.batch(batch_size)
    return ds.cache().prefetch(tf.data.AUTOTUNE)
