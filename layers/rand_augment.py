"""Applies two of eleven random operations to the images of a batch (RandAugment).

Keras draws the two operations once a call and computes all eleven each time.
"""

import keras
import numpy as np

from layers import _discs, _resemblance

KIND = "image"
DETERMINISTIC = False


def examples(rng: np.random.Generator, count: int, size: int = 64) -> np.ndarray:
    """Discs on gradients, uint8 `[count, size, size, 3]`."""
    return _discs.images(rng, count, size)


def build(examples: np.ndarray) -> keras.Layer:
    """The layer, at a strength of 0.3, with a seed; float32 out."""
    return keras.layers.RandAugment(factor=0.3, seed=7)


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """Images stay in range, change, and resemble themselves more than others."""
    _resemblance.check(batch, output)
