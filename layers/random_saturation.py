"""Makes the colours of each image weaker or stronger at random.

The factor of Keras is 0 for grey, 0.5 for no change; saturation is multiplied by
factor / (1 - factor).
"""

import keras
import numpy as np

from layers import _colours

KIND = "image"
DETERMINISTIC = False
FACTOR = (0.2, 0.6)


def examples(rng: np.random.Generator, count: int, size: int = 64) -> np.ndarray:
    """Discs of values 64 to 191, uint8 `[count, size, size, 3]`."""
    return _colours.images(rng, count, size)


def build(examples: np.ndarray) -> list[keras.Layer]:
    """A scaling to 0 to 1, beyond which Keras does not limit saturation, the layer."""
    layer = keras.layers.RandomSaturation(FACTOR, value_range=(0, 1), seed=7)
    return [keras.layers.Rescaling(1 / 255), layer]


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """Hue and value stay; saturation is multiplied by one number an image."""
    assert output.dtype == np.float32, f"not float32 but {output.dtype}"
    assert output.shape == batch.shape, f"{batch.shape} became {output.shape}"
    _, before, value = _colours.hsv(batch / 255)
    _, after, new_value = _colours.hsv(output)
    difference = abs(value - new_value).max()
    assert difference < 1e-4, f"the brightest channel changed by {difference:g}"
    known = (before > 0.05) & (after < 0.999)
    ratios = [
        np.median((a / b)[k])
        for a, b, k in zip(after, np.maximum(before, 1e-9), known, strict=True)
    ]
    factors = np.array(ratios)
    remade = np.minimum(before * factors[:, None, None], 1)
    difference = abs(remade - after).max()
    assert difference < 1e-3, f"saturation is off by {difference:g} from one factor"
    low, high = (f / (1 - f) for f in FACTOR)
    assert factors.min() > low - 0.01 and factors.max() < high + 0.01, (
        f"factors are {factors.min():.2f} to {factors.max():.2f}, not within "
        f"{low:.2f} to {high:.2f}"
    )
    assert np.ptp(factors) > (high - low) / 3, "factors hardly differ between images"
