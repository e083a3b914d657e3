"""Cuts the middle out of images, seven eighths of each edge."""

import keras
import numpy as np

KIND = "image"


def examples(rng: np.random.Generator, count: int, size: int = 64) -> np.ndarray:
    """Images of uint8, `[count, size, size, 3]`."""
    return rng.integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def build(examples: np.ndarray) -> keras.Layer:
    """The layer; uint8 in, float32 out."""
    height, width = examples.shape[1:3]
    return keras.layers.CenterCrop(height * 7 // 8, width * 7 // 8)


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """The slice, in NumPy, pixel for pixel."""
    height, width = batch.shape[1] * 7 // 8, batch.shape[2] * 7 // 8
    top, left = (batch.shape[1] - height) // 2, (batch.shape[2] - width) // 2
    expected = batch[:, top : top + height, left : left + width]
    assert output.dtype == np.float32, f"not float32 but {output.dtype}"
    np.testing.assert_array_equal(output, expected, strict=False)
