"""Mirrors images left to right at random, each on its own."""

import keras
import numpy as np

KIND = "image"
DETERMINISTIC = False


def examples(rng: np.random.Generator, count: int, size: int = 64) -> np.ndarray:
    """Images of uint8, `[count, size, size, 3]`."""
    return rng.integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def build(examples: np.ndarray) -> keras.Layer:
    """The layer, with a seed; uint8 in, float32 out."""
    return keras.layers.RandomFlip("horizontal", seed=7)


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """Each image is itself or its mirror, about half of them each."""
    assert output.dtype == np.float32, f"not float32 but {output.dtype}"
    assert output.shape == batch.shape, f"{batch.shape} became {output.shape}"
    itself = (output == batch).all(axis=(1, 2, 3))
    mirror = (output == batch[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (itself | mirror).all(), "an image is neither itself nor its mirror"
    assert not itself.all(), "no image was mirrored: the layer does nothing"
    assert not mirror.all(), "every image was mirrored: nothing is random"
    share = mirror.mean()
    assert 0.2 < share < 0.8, f"{share:.0%} of the images were mirrored, not half"
