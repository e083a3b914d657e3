"""An image classifier's input, as beginners write it: a file after another."""

from pathlib import Path

import tensorflow as tf

CLASSES = ["bright", "dark"]
SIZE = 96


def load(path):
    """Read, decode and resize one image; the label is its folder's name."""
    image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
    image = tf.image.resize(image, (SIZE, SIZE)) / 255.0
    label = tf.argmax(tf.strings.split(path, "/")[-2] == tf.constant(CLASSES))
    return image, label


def train_dataset(folder="data", batch_size=32):
    """Batches of images and labels, in a new order every epoch."""
    files = sorted(str(path) for path in Path(folder).glob("images/*/*.jpg"))
    ds = tf.data.Dataset.from_tensor_slices(files)
    ds = ds.map(load)  # decoding is the costly part
    ds = ds.shuffle(200, seed=1)
    ds = ds.batch(batch_size)
    return ds


def best_practice(folder="data", batch_size=32):
    """Decode in parallel, keep the decoded images, and shuffle these."""
    files = sorted(str(path) for path in Path(folder).glob("images/*/*.jpg"))
    ds = tf.data.Dataset.from_tensor_slices(files)
    ds = ds.map(load, num_parallel_calls=tf.data.AUTOTUNE)
    ds = ds.cache()
    ds = ds.shuffle(200, seed=1)
    ds = ds.batch(batch_size)
    return ds.prefetch(tf.data.AUTOTUNE)
