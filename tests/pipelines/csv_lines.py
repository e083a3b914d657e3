"""Tabular data, parsed line by line."""

from pathlib import Path

import tensorflow as tf

COLUMNS = 8


def parse(line):
    """Eight numbers and a label from one line of CSV."""
    fields = tf.io.decode_csv(line, [[0.0]] * COLUMNS + [[0]])
    return tf.stack(fields[:COLUMNS], axis=-1), fields[COLUMNS]


def scale(features, label):
    """Prices around 100 as numbers around 0."""
    return (features - 100.0) / 20.0, label


def train_dataset(folder="data", batch_size=128):
    """Batches of features and labels, file after file."""
    files = sorted(str(path) for path in Path(folder).glob("csv/*.csv"))
    return (
        tf.data.Dataset.from_tensor_slices(files)
        .flat_map(lambda name: tf.data.TextLineDataset(name).skip(1))  # the header
        .map(parse)
        .map(scale)
        .shuffle(1000)
        .batch(batch_size)
        .prefetch(1)
    )


def best_practice(folder="data", batch_size=128):
    """Read files in parallel, batch before the maps, cache, shuffle and prefetch."""
    files = sorted(str(path) for path in Path(folder).glob("csv/*.csv"))
    return (
        tf.data.Dataset.from_tensor_slices(files)
        .interleave(
            lambda name: tf.data.TextLineDataset(name).skip(1),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        .cache()
        .shuffle(1000)
        .batch(batch_size)
        .map(parse, num_parallel_calls=tf.data.AUTOTUNE)
        .map(scale, num_parallel_calls=tf.data.AUTOTUNE)
        .prefetch(tf.data.AUTOTUNE)
    )
