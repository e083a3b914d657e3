"""Makes each image brighter or darker at random, by up to a fifth of the range."""

import keras
import numpy as np

KIND = "image"
DETERMINISTIC = False
FACTOR = 0.2


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

    Called eagerly on uint8, outside tf.data and tf.function, Keras 3.15 casts the
    shift to uint8 as well, so that no image gets darker.
    """
    return keras.layers.RandomBrightness(FACTOR, value_range=(0, 255), seed=7)


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """Each image is itself plus one number, clipped."""
    assert output.shape == batch.shape, f"{batch.shape} became {output.shape}"
    shift = output - batch.astype(np.float64)
    known = (output > 0) & (output < 255)  # clipped values tell no shift
    total = np.where(known, shift, 0).sum(axis=(1, 2, 3))
    delta = total / np.maximum(known.sum(axis=(1, 2, 3)), 1)
    expected = np.clip(batch + delta[:, None, None, None], 0, 255)
    np.testing.assert_allclose(output, expected, rtol=0, atol=0.05)
    assert (abs(delta) < FACTOR * 255 + 0.1).all(), (
        f"images were shifted by {delta.min():.1f} to {delta.max():.1f}, "
        f"allowed is {FACTOR * 255:.0f} either way"
    )
    assert delta.min() < -1 and delta.max() > 1, (
        f"images were shifted by {delta.min():.1f} to {delta.max():.1f}: "
        "some must get darker and some brighter"
    )
