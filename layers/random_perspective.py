"""Changes the perspective of half of the images at random.

Keras draws one perspective an image, and for each whether it is used.
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
    """The layer, bilinear and black outside, with a seed; float32 out."""
    return keras.layers.RandomPerspective(1.0, scale=0.4, seed=7)


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """Each image is itself, or all of its pixels came along one homography."""
    assert output.dtype == np.float32, f"not float32 but {output.dtype}"
    assert output.shape == batch.shape, f"{batch.shape} became {output.shape}"
    same = (abs(output - batch) < 0.01).all(axis=(1, 2, 3))
    assert 0.1 < same.mean() < 0.9, f"{same.mean():.0%} of the images are as they were"
    misses, matrices = [], []
    for image, moved in zip(batch[~same], output[~same], strict=True):
        matrix, miss = _homography(image, moved)
        matrices.append(matrix)
        misses.append(miss)
    limit = 1 + 0.02 * batch.shape[1]  # of pixels: colours are rounded to bytes
    assert max(misses) < limit, (
        f"pixels of an image are {max(misses):.1f} away from one homography"
    )
    assert np.ptp(np.array(matrices), axis=0).max() > 0.02, (
        "all images have the same perspective"
    )


def _homography(image: np.ndarray, output: np.ndarray) -> tuple[np.ndarray, float]:
    """The homography of an image by least squares, and the largest miss in pixels."""
    size = image.shape[0]
    blue = image[0, 0, 2].astype(np.float32)
    inside = abs(output[..., 2] - blue) < 0.5  # outside it fades to black
    y, x = np.nonzero(inside)
    assert len(x) > size, "an image is nearly all black"
    source_x, source_y = (values[y, x] for values in _coordinates.sources(output))
    u, v = 2 * x / size - 1, 2 * y / size - 1
    p, q = 2 * source_x / size - 1, 2 * source_y / size - 1
    zero, one = np.zeros_like(u), np.ones_like(u)
    rows = np.concatenate(
        [
            np.stack([u, v, one, zero, zero, zero, -p * u, -p * v], axis=1),
            np.stack([zero, zero, zero, u, v, one, -q * u, -q * v], axis=1),
        ]
    )
    matrix = np.linalg.lstsq(rows, np.concatenate([p, q]), rcond=None)[0]
    depth = matrix[6] * u + matrix[7] * v + 1
    remade_p = (matrix[0] * u + matrix[1] * v + matrix[2]) / depth
    remade_q = (matrix[3] * u + matrix[4] * v + matrix[5]) / depth
    miss = np.hypot(remade_p - p, remade_q - q).max() * size / 2
    return matrix, float(miss)
