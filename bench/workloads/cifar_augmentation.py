"""Images of CIFAR's shape: rescale, flip, rotate, zoom, convolve."""

import keras
import numpy as np

from bench.workloads import _augmentation, _embedded

KIND = "image"
EXAMPLES = 2048
DETERMINISTIC = False
ACCEPTS = "image_arrays"
CLASSES = 10
VARIANTS = {"flip_only": {"turned": False}}  # all of it compiles with XLA


def examples(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Tiles of a photograph in place of CIFAR-10: uint8 `[count, 32, 32, 3]`, int64."""
    images, labels = _embedded.tiles(rng, count, CLASSES, (48, 128), edge=32)
    return np.stack([np.asarray(image) for image in images]), labels


def build(examples: np.ndarray, turned: bool = True) -> list[keras.Layer]:
    """Rescaling and flip; rotation and zoom too if `turned`."""
    return _augmentation.layers(turned=turned)


def check(batch: np.ndarray, output: np.ndarray, turned: bool = True) -> None:
    """The invariants of the augmentation."""
    if turned:
        _augmentation.check(batch, output)
    else:
        _augmentation.check_flipped(batch, output)


def model(features: keras.KerasTensor) -> keras.KerasTensor:
    """A small convolutional network."""
    return _augmentation.small_network(features, CLASSES)
