"""Turns images about their middle at random, by up to a tenth of a full turn."""

import keras
import numpy as np

from layers import _discs, _geometry

KIND = "image"
DETERMINISTIC = False
FACTOR = 0.1
LIMITS = (-FACTOR * 2 * np.pi, FACTOR * 2 * np.pi)  # radians


def examples(rng: np.random.Generator, count: int, size: int = 64) -> np.ndarray:
    """Discs on gradients, uint8 `[count, size, size, 3]`."""
    return _discs.images(rng, count, size)


def build(examples: np.ndarray) -> keras.Layer:
    """The layer, bilinear and mirrored at the borders, seeded; float32 out."""
    return keras.layers.RandomRotation(FACTOR, fill_mode="reflect", seed=7)


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """Each image is its own rotation: that of 16 all over is found, and remade.

    The rest must keep to the images' range of values, which mirroring at the borders
    cannot leave.
    """
    assert output.dtype == np.float32, f"not float32 but {output.dtype}"
    assert output.shape == batch.shape, f"{batch.shape} became {output.shape}"
    within = output.min() > batch.min() - 0.5 and output.max() < batch.max() + 0.5
    assert within, "a value leaves the images' range"
    unchanged = (output == batch).all(axis=(1, 2, 3)).sum()
    assert unchanged == 0, f"{unchanged} of {len(batch)} images are as they were"
    some = np.linspace(0, len(batch) - 1, 16).astype(int)
    images = batch[some].astype(np.float32)
    found, difference = _geometry.found(images, output[some], LIMITS, _source)
    assert difference.max() < 0.5, (
        f"an image is not its own rotation: the nearest one differs by "
        f"{difference.max():.1f} of 255"
    )
    assert np.ptp(found) > np.ptp(LIMITS) / 3, (
        f"images are turned by {found.min():.2f} to {found.max():.2f}, too little of "
        f"the {LIMITS[0]:.2f} to {LIMITS[1]:.2f} that are asked for"
    )


def _source(
    angle: np.ndarray, x: np.ndarray, y: np.ndarray, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Where in the image each pixel of the rotated one comes from."""
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    cosine, sine = np.cos(angle), np.sin(angle)
    x, y = x - middle_x, y - middle_y
    return cosine * x - sine * y + middle_x, sine * x + cosine * y + middle_y
