"""Takes a random part of the colour out of each image, up to all of it."""

import keras
import numpy as np

KIND = "image"
DETERMINISTIC = False
WEIGHTS = (0.2989, 0.587, 0.114)


def examples(rng: np.random.Generator, count: int, size: int = 64) -> np.ndarray:
    """Images of uint8, `[count, size, size, 3]`."""
    return rng.integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def build(examples: np.ndarray) -> keras.Layer:
    """The layer, with a seed; float32 out."""
    return keras.layers.RandomColorDegeneration((0.0, 1.0), seed=7)


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """Each image lies between itself and its grey version, at one share."""
    assert output.dtype == np.float32, f"not float32 but {output.dtype}"
    assert output.shape == batch.shape, f"{batch.shape} became {output.shape}"
    towards = (batch @ np.array(WEIGHTS))[..., None] - batch
    moved = output - batch.astype(np.float64)
    axes = (1, 2, 3)
    shares = (moved * towards).sum(axis=axes) / (towards**2).sum(axis=axes)
    difference = abs(moved - shares[:, None, None, None] * towards).max()
    assert difference < 0.1, f"a value is off by {difference:g} from a mix with grey"
    assert shares.min() > -0.01 and shares.max() < 1.01, (
        f"shares of grey are {shares.min():.2f} to {shares.max():.2f}, not 0 to 1"
    )
    assert np.ptp(shares) > 1 / 3, (
        f"shares of grey are {shares.min():.2f} to {shares.max():.2f}, too little of 1"
    )
