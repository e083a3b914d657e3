"""JPEG tiles of a real photograph: read, decode, rescale, augment, convolve."""

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from bench.workloads import _augmentation, _embedded

KIND = "image"
EXAMPLES = 512
DETERMINISTIC = False
ACCEPTS = "images_of_one_size"
CLASSES = 10

_shape = {"image": (96, 96, 3)}


def examples(rng: np.random.Generator, count: int, folder: str) -> None:
    """JPEG files of 96 by 96 pixels, in a folder for each of 10 bands."""
    images, labels = _embedded.tiles(rng, count, CLASSES, (96, 96))
    _embedded.write_tiles(images, labels, folder)


def build(examples: list[str]) -> list[keras.Layer]:
    """Rescaling, flip, rotation and zoom; the images are as large as the first file."""
    with Image.open(examples[0]) as first:
        _shape["image"] = (first.height, first.width, 3)
    return _augmentation.layers()


def read(path: tf.Tensor, label: tf.Tensor) -> tf.data.Dataset:
    """The bytes of one file."""
    return tf.data.Dataset.from_tensors((tf.io.read_file(path), label))


def decode(record: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """An image of uint8, `[height, width, 3]`; as floats four times the bytes."""
    image = tf.io.decode_jpeg(record, channels=3)
    image.set_shape(_shape["image"])
    return image, label


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """The invariants of the augmentation."""
    _augmentation.check(batch, output)


def model(features: keras.KerasTensor) -> keras.KerasTensor:
    """A small convolutional network."""
    return _augmentation.small_network(features, CLASSES)
