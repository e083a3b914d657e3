"""Equalizes the histogram of 64 tiles of each image, with limited contrast (CLAHE)."""

import keras
import numpy as np

from layers import _discs

KIND = "image"
TOLERANCE = 1e-2
GRID, LIMIT = 8, 4.0


def examples(rng: np.random.Generator, count: int, size: int = 64) -> np.ndarray:
    """Discs on gradients, uint8 `[count, size, size, 3]`."""
    return _discs.images(rng, count, size)


def build(examples: np.ndarray) -> list[keras.Layer]:
    """A cast to float32, for CLAHE answers bytes with bytes, and the layer."""
    layer = keras.layers.ContrastLimitedAdaptiveHistogramEqualization(
        clip_limit=LIMIT, tile_grid_size=(GRID, GRID)
    )
    return [keras.layers.Rescaling(1.0), layer]


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """The algorithm in NumPy: clipped histograms of tiles, interpolated."""
    assert output.dtype == np.float32, f"not float32 but {output.dtype}"
    assert output.shape == batch.shape, f"{batch.shape} became {output.shape}"
    for image, made in zip(batch[::8], output[::8], strict=True):
        for channel in range(image.shape[-1]):
            expected = _equalized(image[..., channel].astype(int))
            difference = abs(expected - made[..., channel]).max()
            assert difference < 0.5, f"a value is off by {difference:g} of 255"


def _equalized(image: np.ndarray) -> np.ndarray:
    """One channel `[height, width]`, equalized."""
    height, width = image.shape
    tile_h, tile_w = -(-height // GRID), -(-width // GRID)
    padding = ((0, tile_h * GRID - height), (0, tile_w * GRID - width))
    padded = np.pad(image, padding, mode="symmetric")
    tables = np.array(
        [
            [
                _table(padded[y * tile_h :, x * tile_w :][:tile_h, :tile_w])
                for x in range(GRID)
            ]
            for y in range(GRID)
        ]
    )
    # Pixel i lies between the tiles whose centres are at (n + 0.5) * length.
    y, x = (
        np.arange(n) / length - 0.5
        for n, length in zip(image.shape, (tile_h, tile_w), strict=True)
    )
    top, left = np.floor(y).astype(int), np.floor(x).astype(int)
    down, across = (y - top)[:, None], (x - left)[None, :]

    def looked_up(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        rows, columns = rows.clip(0, GRID - 1), columns.clip(0, GRID - 1)
        return tables[rows[:, None], columns[None, :], image]

    above = looked_up(top, left) * (1 - across) + looked_up(top, left + 1) * across
    below = looked_up(top + 1, left) * (1 - across)
    below = below + looked_up(top + 1, left + 1) * across
    return above * (1 - down) + below * down


def _table(tile: np.ndarray) -> np.ndarray:
    """The new value for each of 256 values, by the clipped histogram of a tile."""
    counts = np.bincount(tile.ravel(), minlength=256).astype(float)
    clipped = counts.clip(0, LIMIT * tile.size / 256)
    total = np.cumsum(clipped + (counts - clipped).sum() / 256)
    least = total.min()
    return ((total - least) * 255 / max(tile.size - least, 1e-9)).clip(0, 255)
