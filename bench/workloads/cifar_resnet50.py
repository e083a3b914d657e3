"""Images of CIFAR's shape into a ResNet50: the second article's first example."""

import keras
import numpy as np

from bench.workloads import _augmentation, _embedded

KIND = "image"
EXAMPLES = 2048
DETERMINISTIC = False
ACCEPTS = "image_arrays"
CLASSES = 10
OPTIMIZER = "rmsprop"


def examples(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Tiles of a photograph in place of CIFAR-10: uint8 `[count, 32, 32, 3]`, int64."""
    images, labels = _embedded.tiles(rng, count, CLASSES, (48, 128), edge=32)
    return np.stack([np.asarray(image) for image in images]), labels


def build(examples: np.ndarray) -> list[keras.Layer]:
    """Rescaling, flip, rotation and zoom."""
    return _augmentation.layers()


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """The invariants of the augmentation."""
    _augmentation.check(batch, output)


def model(features: keras.KerasTensor) -> keras.KerasTensor:
    """ResNet50, not trained, for the images' own shape: 32 by 32 at the least."""
    network = keras.applications.ResNet50(
        weights=None, input_shape=tuple(features.shape[1:]), classes=CLASSES
    )
    return network(features)
