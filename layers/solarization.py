"""Inverts the values of each image above a random threshold of up to half the range.

Keras draws one threshold an image.
"""

import keras
import numpy as np

KIND = "image"
DETERMINISTIC = False
FACTOR = 0.5


def examples(rng: np.random.Generator, count: int, size: int = 64) -> np.ndarray:
    """Images of uint8, `[count, size, size, 3]`."""
    return rng.integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def build(examples: np.ndarray) -> keras.Layer:
    """The layer, with a seed; float32 out."""
    return keras.layers.Solarization(threshold_factor=FACTOR, seed=7)


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """Each image keeps its values below one threshold and has 255 - x above it."""
    assert output.dtype == np.float32, f"not float32 but {output.dtype}"
    assert output.shape == batch.shape, f"{batch.shape} became {output.shape}"
    same, inverted = output == batch, output == 255 - batch.astype(np.float32)
    assert (same | inverted).all(), "a value is neither itself nor its inverse"
    rows = (len(batch), -1)
    highest = np.where(same, batch, 0).reshape(rows).max(axis=1).astype(int)
    lowest = np.where(inverted, batch, 255).reshape(rows).min(axis=1).astype(int)
    assert (highest < lowest).all(), "an image has no threshold between its values"
    limit = FACTOR * 255
    assert lowest.max() <= limit + 2, f"a threshold above {limit:g}: {lowest.max()}"
    assert np.ptp(lowest) > limit / 3, (
        f"thresholds are {lowest.min()} to {lowest.max()}, too little of 0 to {limit:g}"
    )
