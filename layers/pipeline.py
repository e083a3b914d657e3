"""Crops the centre of images and scales it to 0 to 1: two layers in a Pipeline."""

import keras
import numpy as np

KIND = "image"


def examples(rng: np.random.Generator, count: int, size: int = 64) -> np.ndarray:
    """Images of uint8, `[count, size, size, 3]`."""
    return rng.integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def build(examples: np.ndarray) -> keras.Layer:
    """The Pipeline, which takes single images and batches alike; float32 out."""
    height, width = examples.shape[1:3]
    crop = keras.layers.CenterCrop(height * 3 // 4, width * 3 // 4)
    return keras.layers.Pipeline([crop, keras.layers.Rescaling(1 / 255)])


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """The middle three quarters of each edge, divided by 255."""
    height, width = (edge * 3 // 4 for edge in batch.shape[1:3])
    top, left = (batch.shape[1] - height) // 2, (batch.shape[2] - width) // 2
    expected = batch[:, top : top + height, left : left + width] / np.float32(255)
    assert output.dtype == np.float32, f"not float32 but {output.dtype}"
    assert output.shape == expected.shape, f"{batch.shape} became {output.shape}"
    difference = abs(output - expected).max()
    assert difference < 1e-5, f"a value is off by {difference:g}"
