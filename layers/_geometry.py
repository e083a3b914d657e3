"""Finding the rotation or zoom that made one image of another, and remaking it."""

from collections.abc import Callable

import numpy as np


def found(
    images: np.ndarray,
    output: np.ndarray,
    limits: tuple[float, float],
    source: Callable,
) -> tuple[np.ndarray, np.ndarray]:
    """The parameter that remakes each output, and the largest difference left.

    Tried on a coarse grid, then on fine ones around its three best points, because near
    misses have lesser minima, then in ever smaller steps.

    Args:
        images: Before, float32 `[n, height, width, channels]`.
        output: After, bilinear and mirrored at the borders.
        limits: Between which parameters were drawn.
        source: (parameters, x, y, height, width) to where those pixels come from.
    """
    count, height, width, _ = images.shape
    y, x = np.meshgrid(
        np.linspace(0, height - 1, 16).astype(int),
        np.linspace(0, width - 1, 16).astype(int),
        indexing="ij",
    )
    y, x = y.ravel(), x.ravel()
    target = output[:, y, x]

    def difference(values: np.ndarray) -> np.ndarray:
        origin = source(values[:, None], x, y, height, width)
        return abs(_sampled(images, *origin) - target)

    def best(candidates: np.ndarray, keep: int = 1) -> np.ndarray:
        errors = [(difference(values) ** 2).mean(axis=(1, 2)) for values in candidates]
        order = np.argsort(errors, axis=0)[:keep]
        return np.take_along_axis(candidates, order, axis=0)

    grid = np.linspace(*limits, 61)
    step = grid[1] - grid[0]
    nearest = best(np.tile(grid[:, None], count), keep=3)
    around = np.linspace(-step, step, 21)[:, None, None]
    nearest = best((nearest + around).reshape(-1, count))
    for _ in range(20):
        step *= 0.6
        nearest = best(
            np.concatenate([nearest, nearest - step / 10, nearest + step / 10])
        )
    return nearest[0], difference(nearest[0])


def _sampled(images: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Bilinear, mirrored at the borders: `[n, height, width, c]` at `[n, points]`."""
    limits = images.shape[2], images.shape[1]
    x, y = (
        size - 0.5 - abs(size - 0.5 - (abs(at + 0.5) - 0.5))
        for at, size in zip((x, y), limits, strict=True)
    )
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    across, down = (x - left)[..., None], (y - top)[..., None]
    row = np.arange(len(images))[:, None]

    def pixel(y: np.ndarray, x: np.ndarray) -> np.ndarray:
        return images[row, y.clip(0, limits[1] - 1), x.clip(0, limits[0] - 1)]

    above = pixel(top, left) * (1 - across) + pixel(top, left + 1) * across
    below = pixel(top + 1, left) * (1 - across) + pixel(top + 1, left + 1) * across
    return above * (1 - down) + below * down
