"""Scales bytes from 0..255 to -1..1."""

import keras
import numpy as np

KIND = "image"


def examples(rng: np.random.Generator, count: int, size: int = 64) -> np.ndarray:
    """Images of uint8, `[count, size, size, 3]`."""
    return rng.integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def build(examples: np.ndarray) -> keras.Layer:
    """The layer; uint8 in, float32 out."""
    return keras.layers.Rescaling(1 / 127.5, offset=-1.0)


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """The formula, in NumPy."""
    assert output.dtype == np.float32, f"not float32 but {output.dtype}"
    assert output.shape == batch.shape, f"{batch.shape} became {output.shape}"
    difference = abs(output - (batch / np.float32(127.5) - 1)).max()
    assert difference < 1e-5, f"a value is off by {difference:g} from x / 127.5 - 1"
