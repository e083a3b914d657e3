"""Erases a random rectangle of half of the images, filled with noise."""

import keras
import numpy as np

KIND = "image"
DETERMINISTIC = False
SCALE = (0.02, 0.33)


def examples(rng: np.random.Generator, count: int, size: int = 64) -> np.ndarray:
    """Images of values 64 to 191, uint8 `[count, size, size, 3]`."""
    return rng.integers(64, 192, (count, size, size, 3), dtype=np.uint8)


def build(examples: np.ndarray) -> keras.Layer:
    """The layer, with a seed; float32 out."""
    return keras.layers.RandomErasing(1.0, scale=SCALE, seed=7)


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """Each image is itself, or itself but for one rectangle of noise."""
    assert output.dtype == np.float32, f"not float32 but {output.dtype}"
    assert output.shape == batch.shape, f"{batch.shape} became {output.shape}"
    assert output.min() >= 0 and output.max() <= 255, "a value leaves 0 to 255"
    changed = (output != batch).any(axis=-1)
    share = changed.any(axis=(1, 2)).mean()
    assert 0.1 < share < 0.9, f"{share:.0%} of the images have an erased rectangle"
    places = set()
    for image in changed[changed.any(axis=(1, 2))]:
        rows, columns = (
            np.flatnonzero(image.any(axis=1)),
            np.flatnonzero(image.any(axis=0)),
        )
        top, left = rows[0], columns[0]
        height, width = rows[-1] - top + 1, columns[-1] - left + 1
        places.add((top, left, height, width))
        filled = image[top : top + height, left : left + width].mean()
        assert filled > 0.7, f"only {filled:.0%} of a rectangle is erased"
        for edge, length in ((height, image.shape[0]), (width, image.shape[1])):
            most = np.sqrt(SCALE[1]) * length + 1
            assert edge <= most, f"a rectangle of {edge} pixels, allowed are {most:.0f}"
    assert len(places) > 1, "all images are erased at the same place"
