"""Turns the hue of each image at random, by up to a twentieth of the circle."""

import keras
import numpy as np

from layers import _colours

KIND = "image"
DETERMINISTIC = False
FACTOR = 0.1
MOST = FACTOR / 2  # of the circle: Keras halves the factor


def examples(rng: np.random.Generator, count: int, size: int = 64) -> np.ndarray:
    """Discs of values 64 to 191, uint8 `[count, size, size, 3]`."""
    return _colours.images(rng, count, size)


def build(examples: np.ndarray) -> keras.Layer:
    """The layer, with a seed; float32 out."""
    return keras.layers.RandomHue(FACTOR, seed=7)


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """Saturation and value stay; all hues of an image are turned by one angle."""
    assert output.dtype == np.float32, f"not float32 but {output.dtype}"
    assert output.shape == batch.shape, f"{batch.shape} became {output.shape}"
    hue, saturation, value = _colours.hsv(batch)
    new_hue, new_saturation, new_value = _colours.hsv(output)
    difference = abs(value - new_value).max()
    assert difference < 0.1, f"the brightest channel changed by {difference:g}"
    difference = abs(saturation - new_saturation).max()
    assert difference < 1e-3, f"saturation changed by {difference:g}"
    known = saturation > 0.1
    turned = [
        _colours.hue_turns(*image) for image in zip(hue, new_hue, known, strict=True)
    ]
    turns, differences = np.array(turned).T
    assert differences.max() < 1e-3, "the hues of an image are turned by several angles"
    assert abs(turns).max() < MOST + 1e-3, (
        f"hues are turned by up to {abs(turns).max():.3f} of the circle, "
        f"allowed is {MOST}"
    )
    assert turns.min() < -MOST / 5 and turns.max() > MOST / 5, (
        f"hues are turned by {turns.min():.3f} to {turns.max():.3f}: "
        "some must turn each way"
    )
