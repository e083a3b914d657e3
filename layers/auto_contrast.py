"""Stretches each channel of an image to the whole range of values."""

import keras
import numpy as np

from layers import _colours

KIND = "image"
TOLERANCE = 1e-3


def examples(rng: np.random.Generator, count: int, size: int = 64) -> np.ndarray:
    """Discs of values 64 to 191, uint8 `[count, size, size, 3]`."""
    return _colours.images(rng, count, size)


def build(examples: np.ndarray) -> list[keras.Layer]:
    """A cast to float32, for AutoContrast answers bytes with bytes, and the layer."""
    return [keras.layers.Rescaling(1.0), keras.layers.AutoContrast()]


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """The lowest value of each image and channel becomes 0, the highest 255."""
    assert output.dtype == np.float32, f"not float32 but {output.dtype}"
    assert output.shape == batch.shape, f"{batch.shape} became {output.shape}"
    low = batch.min(axis=(1, 2), keepdims=True).astype(np.float64)
    high = batch.max(axis=(1, 2), keepdims=True)
    flat = high == low
    stretched = (batch - low) * 255 / np.where(flat, 1, high - low)
    expected = np.where(flat, batch, stretched)
    difference = abs(output - expected).max()
    assert difference < 0.05, f"a value is off by {difference:g} from the stretched"
