"""Resizes images to three quarters of each edge, bilinear."""

import keras
import numpy as np

from layers import _discs

KIND = "image"
TOLERANCE = 1e-4


def examples(rng: np.random.Generator, count: int, size: int = 64) -> np.ndarray:
    """Discs on gradients, uint8 `[count, size, size, 3]`."""
    return _discs.images(rng, count, size)


def build(examples: np.ndarray) -> keras.Layer:
    """The layer; uint8 in, float32 out.

    Called eagerly on uint8, outside tf.data and tf.function, Keras 3.15 answers in
    rounded uint8 instead.
    """
    height, width = examples.shape[1:3]
    return keras.layers.Resizing(height * 3 // 4, width * 3 // 4)


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """Bilinear interpolation between pixel centres, in NumPy, without antialiasing."""
    expected = batch.astype(np.float32)
    for axis in (1, 2):
        expected = _resized(expected, axis, batch.shape[axis] * 3 // 4)
    assert output.dtype == np.float32, f"not float32 but {output.dtype}"
    assert output.shape == expected.shape, f"{batch.shape} became {output.shape}"
    difference = abs(output - expected).max()
    assert difference < 0.01, f"a value is off by {difference:g} from the interpolated"


def _resized(images: np.ndarray, axis: int, target: int) -> np.ndarray:
    length = images.shape[axis]
    source = (np.arange(target) + 0.5) * length / target - 0.5
    low = np.floor(source).astype(int)
    weight = np.expand_dims(source - low, list(range(1, images.ndim - axis)))
    weight = weight.astype(images.dtype)
    below = images.take(np.clip(low, 0, length - 1), axis)
    above = images.take(np.clip(low + 1, 0, length - 1), axis)
    return below * (1 - weight) + above * weight
