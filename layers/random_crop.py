"""Cuts a window out of images at random, seven eighths of each edge.

Keras draws one place a call: batched first, all images of a batch share their window.
"""

import keras
import numpy as np

KIND = "image"
DETERMINISTIC = False


def examples(rng: np.random.Generator, count: int, size: int = 64) -> np.ndarray:
    """Images of uint8, `[count, size, size, 3]`."""
    return rng.integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def build(examples: np.ndarray) -> keras.Layer:
    """The layer, with a seed; uint8 in, float32 out."""
    height, width = examples.shape[1:3]
    return keras.layers.RandomCrop(height * 7 // 8, width * 7 // 8, seed=7)


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """Each image is a window of its own, pixel for pixel."""
    count, full_height, full_width, channels = batch.shape
    height, width = full_height * 7 // 8, full_width * 7 // 8
    expected = (count, height, width, channels)
    assert output.dtype == np.float32, f"not float32 but {output.dtype}"
    assert output.shape == expected, f"{batch.shape} became {output.shape}"
    found = np.zeros(count, bool)
    step = max(1, height // 8)  # a few pixels tell which window to compare in full
    few = output[:, ::step, ::step]
    for top in range(full_height - height + 1):
        for left in range(full_width - width + 1):
            window = batch[:, top : top + height, left : left + width]
            alike = (window[:, ::step, ::step] == few).all(axis=(1, 2, 3))
            for image in np.flatnonzero(alike & ~found):
                found[image] = np.array_equal(window[image], output[image])
    missing = count - found.sum()
    assert missing == 0, f"{missing} of {count} images are no window of their own"
