"""Batches of four small examples: the number of calls counts, not their work."""

import numpy as np
import tensorflow as tf

COUNT = 8000


def examples():
    """Numbers and labels that fit into memory."""
    rng = np.random.default_rng(0)
    features = rng.normal(100, 20, (COUNT, 16)).astype("float32")
    return features, rng.integers(0, 10, COUNT)


def standardize(features, label):
    """Numbers around 0."""
    return (features - 100.0) / 20.0, label


def one_hot(features, label):
    """The label as ten numbers."""
    return features, tf.one_hot(label, 10)


def train_dataset(batch_size=4):
    """Batches of features and labels."""
    ds = tf.data.Dataset.from_tensor_slices(examples())
    ds = ds.shuffle(1000)
    ds = ds.map(standardize)
    ds = ds.map(one_hot)
    ds = ds.prefetch(16)
    ds = ds.batch(batch_size)
    return ds


def best_practice(batch_size=4):
    """Whole batches in parallel, prepared ahead."""
    ds = tf.data.Dataset.from_tensor_slices(examples())
    ds = ds.shuffle(1000)
    ds = ds.batch(batch_size)
    ds = ds.map(standardize, num_parallel_calls=tf.data.AUTOTUNE)
    ds = ds.map(one_hot, num_parallel_calls=tf.data.AUTOTUNE)
    return ds.prefetch(tf.data.AUTOTUNE)
