"""Turns images about their middle at random, by up to a tenth of a full turn."""

import keras
import numpy as np

KIND = "image"
DETERMINISTIC = False
FACTOR = 0.1
LIMITS = (-FACTOR * 2 * np.pi, FACTOR * 2 * np.pi)  # radians


def examples(rng: np.random.Generator, count: int, size: int = 64) -> np.ndarray:
    """Discs on gradients, uint8 `[count, size, size, 3]`."""
    y, x = np.mgrid[0.5:size, 0.5:size].astype(np.float32) / size
    slope = rng.uniform(-100, 100, (2, count, 1, 1, 3)).astype(np.float32)
    images = 128 + slope[0] * (x[..., None] - 0.5) + slope[1] * (y[..., None] - 0.5)
    for _ in range(3):
        across, down = rng.uniform(0.2, 0.8, (2, count, 1, 1)).astype(np.float32)
        radius = rng.uniform(0.1, 0.25, (count, 1, 1)).astype(np.float32)
        inside = (x - across) ** 2 + (y - down) ** 2 < radius**2
        colour = rng.uniform(0, 255, (count, 1, 1, 3)).astype(np.float32)
        images = np.where(inside[..., None], colour, images)
    return images.astype(np.uint8)


def build(examples: np.ndarray) -> keras.Layer:
    """The layer, bilinear and mirrored at the borders, seeded; float32 out."""
    return keras.layers.RandomRotation(FACTOR, fill_mode="reflect", seed=7)


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """Each image is its own rotation: that of the first 16 is found, and remade.

    The rest must keep to the images' range of values, which mirroring at the borders
    cannot leave.
    """
    assert output.shape == batch.shape, f"{batch.shape} became {output.shape}"
    within = output.min() > batch.min() - 0.5 and output.max() < batch.max() + 0.5
    assert within, "a value leaves the images' range"
    found, difference = _found(batch[:16].astype(np.float32), output[:16])
    assert difference.max() < 1, (
        f"an image is not its own rotation: the nearest one differs by "
        f"{difference.max():.1f} of 255"
    )
    assert np.ptp(found) > 0.01, (
        "every image is turned by the same angle: nothing is random"
    )


def _found(images: np.ndarray, output: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The angle that remakes each output, and the largest difference left.

    Tried on a coarse grid, then on fine ones around its three best points, because near
    misses have lesser minima, then in ever smaller steps.
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
        source = _source(values[:, None], x, y, height, width)
        return abs(_sampled(images, *source) - target)

    def best(candidates: np.ndarray, keep: int = 1) -> np.ndarray:
        errors = [(difference(values) ** 2).mean(axis=(1, 2)) for values in candidates]
        order = np.argsort(errors, axis=0)[:keep]
        return np.take_along_axis(candidates, order, axis=0)

    grid = np.linspace(*LIMITS, 61)
    step = grid[1] - grid[0]
    found = best(np.tile(grid[:, None], count), keep=3)
    around = np.linspace(-step, step, 21)[:, None, None]
    found = best((found + around).reshape(-1, count))
    for _ in range(20):
        step *= 0.6
        found = best(np.concatenate([found, found - step / 10, found + step / 10]))
    return found[0], difference(found[0])


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


def _source(
    angle: np.ndarray, x: np.ndarray, y: np.ndarray, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Where in the image each pixel of the rotated one comes from."""
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    cosine, sine = np.cos(angle), np.sin(angle)
    x, y = x - middle_x, y - middle_y
    return cosine * x - sine * y + middle_x, sine * x + cosine * y + middle_y
