"""Bends half of the images at random, as if they were printed on rubber.

Keras draws the strength once a call: batched first, all images of a batch share it. Its
graph has a part for each image of a batch, so that 64 take 11 s to trace.
"""

import keras
import numpy as np

from layers import _coordinates

KIND = "image"
DETERMINISTIC = False


def examples(rng: np.random.Generator, count: int, size: int = 64) -> np.ndarray:
    """Images whose colours tell places, uint8 `[count, size, size, 3]`."""
    return _coordinates.images(rng, count, size)


def build(examples: np.ndarray) -> keras.Layer:
    """The layer, bilinear and mirrored at the borders, with a seed; float32 out."""
    return keras.layers.RandomElasticTransform(1.0, scale=(0.5, 1.0), seed=7)


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """Each image is itself, or its pixels moved a little, each image by its own way."""
    assert output.dtype == np.float32, f"not float32 but {output.dtype}"
    assert output.shape == batch.shape, f"{batch.shape} became {output.shape}"
    blue = abs(output[..., 2] - batch[..., 2]).max()
    assert blue < 0.5, f"a colour that does not depend on the place changed by {blue:g}"
    same = (abs(output - batch) < 0.01).all(axis=(1, 2, 3))
    assert 0.1 < same.mean() < 0.9, f"{same.mean():.0%} of the images are as they were"
    size = batch.shape[1]
    places, moved = (
        _coordinates.sources(batch[~same]),
        _coordinates.sources(output[~same]),
    )
    shifts = np.stack(moved, axis=-1) - np.stack(places, axis=-1)
    most = abs(shifts).max()
    assert most < 0.5 * size, f"a pixel moved by {most:.1f} of {size} pixels"
    typical = abs(shifts).mean(axis=(1, 2, 3))
    assert typical.min() > 1e-3, "an image differs, and none of its pixels moved"
    first = shifts[:1] * np.ones_like(shifts[1:])
    assert (abs(shifts[1:] - first).max(axis=(1, 2, 3)) > 1e-2).all(), (
        "two images are bent in the same way"
    )
