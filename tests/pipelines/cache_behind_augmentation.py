"""A cache behind random flips, which freezes them: a bug that many reports describe."""

from pathlib import Path

import keras
import tensorflow as tf

SIZE = 96


def load(path):
    """One image as numbers between 0 and 255."""
    image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
    return tf.image.resize(image, (SIZE, SIZE))


def train_dataset(folder="data", batch_size=32):
    """Batches of images, the same flips in every epoch."""
    files = sorted(str(path) for path in Path(folder).glob("images/*/*.jpg"))
    flip = keras.layers.RandomFlip("horizontal", seed=1)
    ds = tf.data.Dataset.from_tensor_slices(files)
    ds = ds.map(load)
    ds = ds.map(lambda image: flip(image, training=True))
    ds = ds.cache()
    ds = ds.map(lambda image: image / 255.0)
    ds = ds.shuffle(128)
    ds = ds.batch(batch_size)
    return ds


def best_practice(folder="data", batch_size=32):
    """Keep what does not change, and draw anew behind it."""
    files = sorted(str(path) for path in Path(folder).glob("images/*/*.jpg"))
    flip = keras.layers.RandomFlip("horizontal", seed=1)
    ds = tf.data.Dataset.from_tensor_slices(files)
    ds = ds.map(load, num_parallel_calls=tf.data.AUTOTUNE)
    ds = ds.cache()
    ds = ds.shuffle(128)
    ds = ds.batch(batch_size)
    ds = ds.map(lambda images: flip(images, training=True) / 255.0)
    return ds.prefetch(tf.data.AUTOTUNE)
