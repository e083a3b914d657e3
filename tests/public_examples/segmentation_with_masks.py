"""Segmentation: an image and its mask pass through one random layer together."""

import keras
import numpy as np
import tensorflow as tf

KIND = "image"
DETERMINISTIC = False
ON = "example"
SIZE = 64, 64
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


class Augment(keras.layers.Layer):
    """Flips and turns an image and its mask alike."""

    def __init__(self):
        super().__init__()
        self.flip = keras.layers.RandomFlip("horizontal")
        self.turn = keras.layers.RandomRotation(0.1, fill_mode="nearest")

    def call(self, example, training=True):
        pair = {"images": example["images"], "segmentation_masks": example["labels"]}
        pair = self.turn(self.flip(pair, training=training), training=training)
        return {"images": pair["images"], "labels": pair["segmentation_masks"]}


def examples(rng, count):
    """Return images with a square `[count, 96, 96, 3]`, and their masks of 1 to 3."""
    masks = np.ones((count, 96, 96, 1), "uint8")
    for mask, (top, left) in zip(masks, rng.integers(4, 40, (count, 2)), strict=True):
        mask[top : top + 48, left : left + 48] = rng.integers(2, 4)
    images = np.repeat(masks * 80, 3, axis=-1) + rng.integers(0, 9, (96, 96, 3))
    return images.astype("uint8"), masks


def decode(image, mask):
    """Return both in the network's size, the image from 0 to 1, the mask from 0."""
    mask = tf.image.resize(mask, SIZE, "nearest")
    return tf.image.resize(image, SIZE) / 255, mask - 1


def build(examples):
    """Return the augmentation of both."""
    return Augment()


def check(batch, output):
    """The mask still fits its image, whose brightness it has from 80 a class on."""
    (before, _), (images, masks) = batch, output
    assert images.shape == before.shape and (abs(images - before) > 0.1).any()
    fits = abs(images.mean(axis=-1, keepdims=True) * 255 - 80 * (masks + 1) - 4) < 20
    assert fits.mean() > 0.9, f"{fits.mean():.0%} of the pixels fit their mask"


def model(features):
    """Return a logit of each class for each pixel, by a small encoder and decoder."""
    x = keras.layers.Conv2D(16, 3, 2, padding="same", activation="relu")(features)
    return keras.layers.Conv2DTranspose(3, 3, 2, padding="same")(x)
