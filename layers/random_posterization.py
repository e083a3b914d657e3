"""Keeps a random number of the leading bits of each image's values, two to six."""

import keras
import numpy as np

KIND = "image"
DETERMINISTIC = False
BITS = (2, 7)  # from, up to and without


def examples(rng: np.random.Generator, count: int, size: int = 64) -> np.ndarray:
    """Images of uint8, `[count, size, size, 3]`."""
    return rng.integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def build(examples: np.ndarray) -> keras.Layer:
    """The layer, with a seed; float32 out."""
    return keras.layers.RandomPosterization(BITS, seed=7)


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """Each image is itself with its last bits cleared, of several numbers of bits."""
    assert output.dtype == np.float32, f"not float32 but {output.dtype}"
    assert output.shape == batch.shape, f"{batch.shape} became {output.shape}"
    matches = np.array(
        [
            (output == (batch >> (8 - bits) << (8 - bits))).all(axis=(1, 2, 3))
            for bits in range(*BITS)
        ]
    )
    assert matches.any(axis=0).all(), (
        f"an image is not itself with {BITS[0]} to {BITS[1] - 1} leading bits"
    )
    numbers = matches.any(axis=1).sum()
    assert numbers > 2, f"only {numbers} numbers of bits are used"
