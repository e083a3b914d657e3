"""Stretches or flattens each image's contrast at random, by 0.5 to 1.5."""

import keras
import numpy as np

from layers import _discs

KIND = "image"
DETERMINISTIC = False
FACTOR = 0.5


def examples(rng: np.random.Generator, count: int, size: int = 64) -> np.ndarray:
    """Discs on gradients, uint8 `[count, size, size, 3]`."""
    return _discs.images(rng, count, size)


def build(examples: np.ndarray) -> keras.Layer:
    """The layer, with a seed; float32 out.

    Called eagerly on uint8, outside tf.data and tf.function, Keras 3.15 refuses.
    """
    return keras.layers.RandomContrast(FACTOR, value_range=(0, 255), seed=7)


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """Each image is scaled about its channels' means by one factor, and clipped."""
    assert output.dtype == np.float32, f"not float32 but {output.dtype}"
    assert output.shape == batch.shape, f"{batch.shape} became {output.shape}"
    found = [_scaled(*pair) for pair in zip(batch, output, strict=True)]
    factors, differences = np.array(found).T
    assert differences.max() < 0.05, (
        "an image is not itself with another contrast: the nearest differs by "
        f"{differences.max():.1f} of 255"
    )
    assert (abs(factors - 1) < FACTOR + 0.01).all(), (
        f"contrast was scaled by {factors.min():.2f} to {factors.max():.2f}, "
        f"allowed are {1 - FACTOR} to {1 + FACTOR}"
    )
    assert np.ptp(factors) > 2 * FACTOR / 3, (
        f"contrast was scaled by {factors.min():.2f} to {factors.max():.2f}, little "
        f"of the {1 - FACTOR} to {1 + FACTOR} that are asked for"
    )


def _scaled(image: np.ndarray, output: np.ndarray) -> tuple[float, float]:
    """The contrast factor of one image, and the difference it leaves."""
    mean = image.mean(axis=(0, 1), dtype=np.float64)
    centred = image - mean
    known = (output > 0) & (output < 255)  # clipped values tell no factor
    total = (centred[known] ** 2).sum()
    factor = ((output - mean)[known] * centred[known]).sum() / max(total, 1e-9)
    remade = np.clip(centred * factor + mean, 0, 255)
    return float(factor), float(abs(remade - output).max())
