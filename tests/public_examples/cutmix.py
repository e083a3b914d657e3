"""CutMix on batches: patches of other images, and labels in the same proportion."""

import keras
import numpy as np
import tensorflow as tf

KIND = "image"
DETERMINISTIC = False
ON = "example"
DECODE = "batch"
LOSS = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
CLASSES = 10


def examples(rng, count):
    """Return one-coloured noisy images `[count, 32, 32, 3]` and classes `[count]`."""
    labels = rng.integers(0, CLASSES, count)
    noise = rng.integers(0, 10, (count, 32, 32, 3))
    return (labels[:, None, None, None] * 20 + noise).astype("uint8"), labels


def decode(images, labels):
    """Return images from 0 to 1 and one-hot labels, both as a batch."""
    return tf.cast(images, tf.float32) / 255, tf.one_hot(labels, CLASSES)


def build(examples):
    """Return the flip, and CutMix, which needs a batch to take patches from."""
    return [keras.layers.RandomFlip("horizontal"), keras.layers.CutMix()]


def check(batch, output):
    """Labels are shares, and the mean colour of a mixed image follows them."""
    (images, labels), (mixed, shares) = batch, output
    assert images.shape == mixed.shape and labels.shape == shares.shape
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-4)
    assert (shares.max(axis=1) < 1).any(), "no label is mixed"
    colour = (shares @ np.arange(CLASSES) * 20 + 4.5) / 255
    np.testing.assert_allclose(mixed.mean(axis=(1, 2, 3)), colour, atol=0.05)


def model(features):
    """Return class probabilities of a small convolutional network."""
    x = keras.layers.Conv2D(16, 3, strides=2, activation="relu")(features)
    x = keras.layers.Conv2D(32, 3, strides=2, activation="relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.layers.Dense(CLASSES, activation="softmax")(x)
