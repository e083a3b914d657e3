"""JPEG files of about 224 pixels: read, decode, resize, rescale, augment, convolve."""

import keras
import numpy as np
import tensorflow as tf

from bench.workloads import _augmentation, _embedded

KIND = "image"
EXAMPLES = 512
DETERMINISTIC = False
ACCEPTS = "images"
CLASSES = 100
BANDS = 10
EDGE = 160


def examples(rng: np.random.Generator, count: int, folder: str) -> None:
    """JPEG files of 192 to 256 pixels square, in a folder for each of 10 bands."""
    images, labels = _embedded.tiles(rng, count, BANDS, (192, 256))
    _embedded.write_tiles(images, labels, folder)


def build(examples: list[str]) -> list[keras.Layer]:
    """Rescaling, flip, rotation and zoom."""
    return _augmentation.layers()


def read(path: tf.Tensor, label: tf.Tensor) -> tf.data.Dataset:
    """The bytes of one file."""
    return tf.data.Dataset.from_tensors((tf.io.read_file(path), label))


def decode(record: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """An image resized to uint8 `[160, 160, 3]`, since a batch needs one size."""
    image = tf.io.decode_jpeg(record, channels=3)
    image = tf.round(tf.image.resize(image, (EDGE, EDGE)))
    return tf.cast(image, tf.uint8), label


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """The invariants of the augmentation."""
    _augmentation.check(batch, output)


def model(features: keras.KerasTensor) -> keras.KerasTensor:
    """A small convolutional network with room for 100 folders."""
    return _augmentation.small_network(features, CLASSES)
