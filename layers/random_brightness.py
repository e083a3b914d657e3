"""Makes each image brighter or darker at random, by up to a fifth of the range."""

import keras
import numpy as np

from layers import _discs

KIND = "image"
DETERMINISTIC = False
FACTOR = 0.2


def examples(rng: np.random.Generator, count: int, size: int = 64) -> np.ndarray:
    """Discs on gradients, uint8 `[count, size, size, 3]`."""
    return _discs.images(rng, count, size)


def build(examples: np.ndarray) -> keras.Layer:
    """The layer, with a seed; float32 out.

    Called eagerly on uint8, outside tf.data and tf.function, Keras 3.15 casts the
    shift to uint8 as well, so that no image gets darker.
    """
    return keras.layers.RandomBrightness(FACTOR, value_range=(0, 255), seed=7)


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """Each image is itself plus one number, clipped."""
    assert output.dtype == np.float32, f"not float32 but {output.dtype}"
    assert output.shape == batch.shape, f"{batch.shape} became {output.shape}"
    found = [_shifted(*pair) for pair in zip(batch, output, strict=True)]
    shifts, differences = np.array(found).T
    assert differences.max() < 0.05, (
        "an image is not itself plus one number: the nearest differs by "
        f"{differences.max():.1f} of 255"
    )
    assert (abs(shifts) < FACTOR * 255 + 0.1).all(), (
        f"images were shifted by {shifts.min():.1f} to {shifts.max():.1f}, "
        f"allowed is {FACTOR * 255:.0f} either way"
    )
    assert shifts.min() < -1 and shifts.max() > 1, (
        f"images were shifted by {shifts.min():.1f} to {shifts.max():.1f}: "
        "some must get darker and some brighter"
    )
    assert np.ptp(shifts) > 2 * FACTOR * 255 / 3, (
        f"images were shifted by {shifts.min():.1f} to {shifts.max():.1f}, too little "
        f"of the {FACTOR * 255:.0f} either way that are asked for"
    )


def _shifted(image: np.ndarray, output: np.ndarray) -> tuple[float, float]:
    """The number added to one image, and the difference it leaves."""
    known = (output > 0) & (output < 255)  # clipped values tell no shift
    shift = float(np.median((output - image)[known])) if known.any() else 0.0
    return shift, float(abs(np.clip(image + shift, 0, 255) - output).max())
