"""Rows of a CSV file out of a Python generator, as who has Python code already does."""

import csv
from pathlib import Path

import tensorflow as tf

SIGNATURE = (
    tf.TensorSpec([8], tf.float32),
    tf.TensorSpec([], tf.int64),
)


def rows(folder):
    """Yield eight numbers and a label for each line of a file."""
    with (Path(folder) / "csv" / "part-0.csv").open() as file:
        lines = csv.reader(file)
        next(lines)  # the header
        for *numbers, label in lines:
            yield [float(number) for number in numbers], int(label)


def scale(features, label):
    """Prices around 100 as numbers around 0."""
    return (features - 100.0) / 20.0, label


def train_dataset(folder="data", batch_size=64):
    """Batches of features and labels."""
    ds = tf.data.Dataset.from_generator(
        lambda: rows(folder), output_signature=SIGNATURE
    )
    ds = ds.map(scale)
    ds = ds.batch(batch_size)
    return ds


def best_practice(folder="data", batch_size=64):
    """Call the generator in the first epoch only."""
    ds = tf.data.Dataset.from_generator(
        lambda: rows(folder), output_signature=SIGNATURE
    )
    ds = ds.batch(batch_size)
    ds = ds.map(scale, num_parallel_calls=tf.data.AUTOTUNE)
    return ds.cache().prefetch(tf.data.AUTOTUNE)
