"""Stretches or flattens each image's contrast at random, by 0.5 to 1.5."""

import keras
import numpy as np

KIND = "image"
DETERMINISTIC = False
FACTOR = 0.5


def examples(rng: np.random.Generator, count: int, size: int = 64) -> np.ndarray:
    """Discs on gradients, uint8 `[count, size, size, 3]`."""
    y, x = np.mgrid[0.5:size, 0.5:size].astype(np.float32) / size
    slope = rng.uniform(-100, 100, (2, count, 1, 1, 3)).astype(np.float32)
    images = 128 + slope[0] * (x[..., None] - 0.5) + slope[1] * (y[..., None] - 0.5)
    for _ in range(3):
        across, down = rng.uniform(0.2, 0.8, (2, count, 1, 1)).astype(np.float32)
        radius = rng.uniform(0.1, 0.25, (count, 1, 1)).astype(np.float32)
        inside = (x - across) ** 2 + (y - down) ** 2 < radius**2
        colour = rng.uniform(0, 255, (count, 1, 1, 3)).astype(np.float32)
        images = np.where(inside[..., None], colour, images)
    return images.astype(np.uint8)


def build(examples: np.ndarray) -> keras.Layer:
    """The layer, with a seed; float32 out.

    Called eagerly on uint8, outside tf.data and tf.function, Keras 3.15 refuses.
    """
    return keras.layers.RandomContrast(FACTOR, value_range=(0, 255), seed=7)


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """Each image is scaled about its channels' means by one factor, and clipped."""
    assert output.shape == batch.shape, f"{batch.shape} became {output.shape}"
    mean = batch.mean(axis=(1, 2), keepdims=True, dtype=np.float64)
    centred = batch - mean
    scaled = np.where((output > 0) & (output < 255), output - mean, 0)
    known = np.where(scaled != 0, centred, 0)  # clipped values tell no factor
    factor = (scaled * known).sum(axis=(1, 2, 3)) / np.maximum(
        (known**2).sum(axis=(1, 2, 3)), 1e-9
    )
    expected = np.clip(centred * factor[:, None, None, None] + mean, 0, 255)
    np.testing.assert_allclose(output, expected, rtol=0, atol=0.05)
    assert (abs(factor - 1) < FACTOR + 0.01).all(), (
        f"contrast was scaled by {factor.min():.2f} to {factor.max():.2f}, "
        f"allowed are {1 - FACTOR} to {1 + FACTOR}"
    )
    assert np.ptp(factor) > 0.01, (
        f"every image has the contrast factor {factor[0]:.3f}: nothing is random"
    )
