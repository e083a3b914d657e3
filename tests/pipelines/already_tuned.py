"""A pipeline in which nothing is left to do: the guide's advice, as it stands."""

from pathlib import Path

import tensorflow as tf

SIZE = 96


def load(path):
    """One image as numbers between 0 and 1."""
    image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
    return tf.image.resize(image, (SIZE, SIZE)) / 255.0


def train_dataset(folder="data", batch_size=32):
    """Batches of images, decoded in the first epoch only."""
    files = sorted(str(path) for path in Path(folder).glob("images/*/*.jpg"))
    ds = tf.data.Dataset.from_tensor_slices(files)
    ds = ds.map(load, num_parallel_calls=tf.data.AUTOTUNE)
    ds = ds.cache()
    ds = ds.shuffle(128)
    ds = ds.batch(batch_size)
    return ds.prefetch(tf.data.AUTOTUNE)


best_practice = train_dataset
