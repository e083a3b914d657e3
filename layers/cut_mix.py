"""Puts a rectangle of another image into each image, and mixes labels by area (CutMix).

A single image has no other one: mapped one by one, nothing is mixed.
"""

import keras
import numpy as np

KIND = "image"
DETERMINISTIC = False
ON = "example"
CLASSES = 10


def examples(
    rng: np.random.Generator, count: int, size: int = 64
) -> tuple[np.ndarray, np.ndarray]:
    """Noise, uint8 `[count, size, size, 3]`; labels, one-hot float32."""
    images = rng.integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    numbers = rng.integers(0, CLASSES, count)
    return images, np.eye(CLASSES, dtype=np.float32)[numbers]


def build(examples: np.ndarray) -> keras.Layer:
    """The layer, with a seed; images and labels float32 out."""
    return keras.layers.CutMix(factor=1.0, seed=7)


def check(batch: tuple, output: tuple) -> None:
    """Changed pixels are a rectangle of one other image, and labels mix by its area."""
    (images, labels), (mixed, mixed_labels) = batch, output
    assert mixed.dtype == np.float32, f"not float32 but {mixed.dtype}"
    assert mixed.shape == images.shape, f"{images.shape} became {mixed.shape}"
    changed = (mixed != images).any(axis=-1)
    rounding = 0.02 + 2 / images.shape[1]  # two edges end within a pixel
    share = changed.any(axis=(1, 2)).mean()
    assert share > 0.3, f"only {share:.0%} of the images hold a part of another one"
    for number in np.flatnonzero(changed.any(axis=(1, 2))):
        rows = np.flatnonzero(changed[number].any(axis=1))
        columns = np.flatnonzero(changed[number].any(axis=0))
        inside = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        part = mixed[number][inside]
        partners = [
            other
            for other in range(len(images))
            if np.array_equal(images[other][inside], part)
        ]
        assert partners, "a rectangle is of no other image"
        area = len(rows) * len(columns) / changed[number].size
        expected = labels[number] + area * (labels[partners[0]] - labels[number])
        apart = abs(expected - mixed_labels[number]).max()
        assert apart < rounding, (
            f"a label is {apart:.2f} away from the share of the area"
        )
