"""Images with masks, flipped together at random, as a tutorial on segmentation does."""

from pathlib import Path

import tensorflow as tf

SIZE = 96


def load(path):
    """One photograph as numbers between 0 and 1, and its mask."""
    image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
    image = tf.image.resize(image, (SIZE, SIZE)) / 255.0
    path = tf.strings.regex_replace(path, "photos", "masks")
    path = tf.strings.regex_replace(path, "[.]jpg$", ".png")
    mask = tf.io.decode_png(tf.io.read_file(path), channels=1)
    return image, tf.image.resize(mask, (SIZE, SIZE), method="nearest")


def augment(image, mask):
    """Flip every second pair."""
    if tf.random.uniform(()) > 0.5:
        image = tf.image.flip_left_right(image)
        mask = tf.image.flip_left_right(mask)
    return image, mask


def train_dataset(folder="data", batch_size=16):
    """Batches of images and masks."""
    files = sorted(str(path) for path in Path(folder).glob("photos/*.jpg"))
    return (
        tf.data.Dataset.from_tensor_slices(files)
        .map(load)
        .map(augment)
        .shuffle(100)
        .batch(batch_size)
    )


def best_practice(folder="data", batch_size=16):
    """Keep what does not change, and draw behind it, in parallel."""
    files = sorted(str(path) for path in Path(folder).glob("photos/*.jpg"))
    return (
        tf.data.Dataset.from_tensor_slices(files)
        .map(load, num_parallel_calls=tf.data.AUTOTUNE)
        .cache()
        .shuffle(100)
        .map(augment, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(batch_size)
        .prefetch(tf.data.AUTOTUNE)
    )
