"""Mixes each image of a batch with another one, and their labels alike (MixUp).

A single image has no other one: mapped one by one, nothing is mixed.
"""

import keras
import numpy as np

from layers import _discs

KIND = "image"
DETERMINISTIC = False
ON = "example"
CLASSES = 10


def examples(
    rng: np.random.Generator, count: int, size: int = 64
) -> tuple[np.ndarray, np.ndarray]:
    """Discs on gradients, uint8 `[count, size, size, 3]`; labels, one-hot float32."""
    numbers = rng.integers(0, CLASSES, count)
    return _discs.images(rng, count, size), np.eye(CLASSES, dtype=np.float32)[numbers]


def build(examples: np.ndarray) -> keras.Layer:
    """The layer, with a seed; images and labels float32 out."""
    return keras.layers.MixUp(alpha=0.4, seed=7)


def check(batch: tuple, output: tuple) -> None:
    """Each image is a mix of itself and one other image, and its label the same mix."""
    (images, labels), (mixed, mixed_labels) = batch, output
    assert mixed.dtype == np.float32, f"not float32 but {mixed.dtype}"
    assert mixed.shape == images.shape, f"{images.shape} became {mixed.shape}"
    sums = mixed_labels.sum(axis=-1)
    assert abs(sums - 1).max() < 1e-4, "a mixed label does not sum to 1"
    pixels = images.reshape(len(images), -1).astype(np.float64)
    made = mixed.reshape(len(images), -1).astype(np.float64)
    partners, shares = [], []
    for number, row in enumerate(made):
        others = pixels - pixels[number]
        lengths = (others**2).sum(axis=1)
        lengths[number] = np.inf
        share = others @ (row - pixels[number]) / lengths
        miss = abs(pixels[number] + share[:, None] * others - row).max(axis=1)
        partner = miss.argmin()
        assert miss[partner] < 0.1, "an image is no mix of itself and another one"
        expected = labels[number] + share[partner] * (labels[partner] - labels[number])
        apart = abs(expected - mixed_labels[number]).max()
        assert apart < 1e-3, "a label is mixed otherwise than its image"
        partners.append(partner)
        shares.append(share[partner])
    assert min(shares) > -0.01 and max(shares) < 1.01, "a share is not from 0 to 1"
    assert np.ptp(shares) > 0.2, "all images are mixed by the same share"
    assert max(shares) > 0.05, "nothing is mixed"
