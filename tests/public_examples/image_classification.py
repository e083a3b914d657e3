"""Image classification from scratch: JPEG files in class folders, augmented images."""

import keras
import numpy as np
import tensorflow as tf

KIND = "image"
EXAMPLES = 128
DETERMINISTIC = False
SIZE = (96, 96)


def examples(rng, count, folder):
    """Write stripes of several sizes as JPEG files into the folders `cat` and `dog`."""
    for number in range(count):
        height, width = rng.integers(90, 180, 2)
        wave = np.sin(np.arange(width) / rng.uniform(4, 12)) * 60 + 128
        image = wave[None, :, None] + rng.normal(0, 9, (height, width, 3))
        image = image if number % 2 else image.swapaxes(0, 1)
        home = folder / ("dog" if number % 2 else "cat")
        home.mkdir(exist_ok=True)
        encoded = tf.io.encode_jpeg(image.clip(0, 255).astype("uint8"))
        tf.io.write_file(str(home / f"{number}.jpg"), encoded)


def read(path, label):
    """Return the bytes of one file."""
    return tf.data.Dataset.from_tensors((tf.io.read_file(path), label))


def decode(record, label):
    """Return the image in the one size of the network, float32 from 0 to 255."""
    image = tf.io.decode_jpeg(record, channels=3)
    return tf.image.resize(image, SIZE), label


def build(examples):
    """Return the augmentation."""
    return keras.Sequential(
        [keras.layers.RandomFlip("horizontal"), keras.layers.RandomRotation(0.1)]
    )


def check(batch, output):
    """Nearly all images have changed, and keep their brightness."""
    assert output.shape == batch.shape == (len(batch), *SIZE, 3), output.shape
    changed = abs(output - batch).mean(axis=(1, 2, 3)) > 1
    assert changed.mean() > 0.9, f"only {changed.mean():.0%} of the images changed"
    brightness = batch.mean(axis=(1, 2, 3)), output.mean(axis=(1, 2, 3))
    np.testing.assert_allclose(*brightness, rtol=0.1)


def model(features):
    """Return the logits of a small separable convolutional network."""
    x = keras.layers.Rescaling(1 / 255)(features)
    for filters in (8, 16, 32):
        x = keras.layers.SeparableConv2D(filters, 3, strides=2, activation="relu")(x)
    x = keras.layers.Dropout(0.25)(keras.layers.GlobalAveragePooling2D()(x))
    return keras.layers.Dense(2, activation="softmax")(x)
