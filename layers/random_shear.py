"""Shears images sideways at random, by up to a fifth."""

import keras
import numpy as np

from layers import _discs, _geometry

KIND = "image"
DETERMINISTIC = False
FACTOR = 0.2
LIMITS = (-FACTOR, FACTOR)


def examples(rng: np.random.Generator, count: int, size: int = 64) -> np.ndarray:
    """Discs on gradients, uint8 `[count, size, size, 3]`."""
    return _discs.images(rng, count, size)


def build(examples: np.ndarray) -> keras.Layer:
    """The layer, bilinear and mirrored at the borders, seeded; float32 out."""
    return keras.layers.RandomShear(x_factor=FACTOR, fill_mode="reflect", seed=7)


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """Each of 16 images is its own shear: the factor is searched and the image remade.

    The rest must keep to the images' range of values.
    """
    assert output.dtype == np.float32, f"not float32 but {output.dtype}"
    assert output.shape == batch.shape, f"{batch.shape} became {output.shape}"
    within = output.min() > batch.min() - 0.5 and output.max() < batch.max() + 0.5
    assert within, "a value leaves the images' range"
    some = np.linspace(0, len(batch) - 1, 16).astype(int)
    images = batch[some].astype(np.float32)
    factors, difference = _geometry.found(images, output[some], LIMITS, _source)
    assert difference.max() < 0.5, (
        f"an image is not its own shear: the nearest one differs by "
        f"{difference.max():.1f} of 255"
    )
    assert np.ptp(factors) > np.ptp(LIMITS) / 3, (
        f"images are sheared by {factors.min():.2f} to {factors.max():.2f}, too little "
        f"of the {LIMITS[0]} to {LIMITS[1]} that are allowed"
    )


def _source(
    factor: np.ndarray, x: np.ndarray, y: np.ndarray, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Where in the image each pixel of the sheared one comes from."""
    return x + factor * y, y + 0 * factor
