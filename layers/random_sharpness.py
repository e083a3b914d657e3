"""Blurs or sharpens each image at random."""

import keras
import numpy as np

from layers import _colours

KIND = "image"
DETERMINISTIC = False


def examples(rng: np.random.Generator, count: int, size: int = 64) -> np.ndarray:
    """Discs of values 64 to 191, uint8 `[count, size, size, 3]`."""
    return _colours.images(rng, count, size)


def build(examples: np.ndarray) -> keras.Layer:
    """The layer, with a seed; float32 out."""
    return keras.layers.RandomSharpness(1.0, seed=7)


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """Each image moves towards its smoothed version or away from it, by one share.

    Smoothing weighs a pixel by 5 / 13 and its eight neighbours by 1 / 13. The border,
    where neighbours are missing, is left out.
    """
    assert output.dtype == np.float32, f"not float32 but {output.dtype}"
    assert output.shape == batch.shape, f"{batch.shape} became {output.shape}"
    images = batch.astype(np.float64)
    rows, columns = images.shape[1] - 2, images.shape[2] - 2
    smooth = 4 / 13 * images[:, 1:-1, 1:-1]
    for down in range(3):
        for across in range(3):
            window = images[:, down : down + rows, across : across + columns]
            smooth = smooth + window / 13
    inner = images[:, 1:-1, 1:-1]
    towards, moved = smooth - inner, output[:, 1:-1, 1:-1] - inner
    axes = (1, 2, 3)
    shares = (moved * towards).sum(axis=axes) / (towards**2).sum(axis=axes)
    expected = np.clip(inner + shares[:, None, None, None] * towards, 0, 255)
    difference = abs(expected - output[:, 1:-1, 1:-1]).max()
    assert difference < 0.5, f"a value is off by {difference:g} from the sharpened"
    assert abs(shares).max() < 1.05, f"a share of {abs(shares).max():.2f}, not below 1"
    assert shares.min() < -0.1 and shares.max() > 0.1, (
        f"shares are {shares.min():.2f} to {shares.max():.2f}: "
        "some images must be blurred and some sharpened"
    )
