"""Makes images grey at random, each on its own, with probability one half."""

import keras
import numpy as np

KIND = "image"
DETERMINISTIC = False
WEIGHTS = (0.2989, 0.587, 0.114)


def examples(rng: np.random.Generator, count: int, size: int = 64) -> np.ndarray:
    """Images of uint8, `[count, size, size, 3]`."""
    return rng.integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def build(examples: np.ndarray) -> list[keras.Layer]:
    """A cast to float32, for RandomGrayscale leaves bytes bytes, and the layer."""
    return [keras.layers.Rescaling(1.0), keras.layers.RandomGrayscale(0.5, seed=7)]


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """Each image is itself or its grey version, about half of them each."""
    assert output.dtype == np.float32, f"not float32 but {output.dtype}"
    assert output.shape == batch.shape, f"{batch.shape} became {output.shape}"
    grey = (batch @ np.array(WEIGHTS))[..., None]
    itself = (output == batch).all(axis=(1, 2, 3))
    is_grey = (abs(output - grey) < 0.1).all(axis=(1, 2, 3))
    assert (itself | is_grey).all(), "an image is neither itself nor grey"
    share = is_grey.mean()
    assert 0.2 < share < 0.8, f"{share:.0%} of the images are grey, not half"
