"""Made images with structure, so that a check can tell what a layer did to them."""

import numpy as np


def images(rng: np.random.Generator, count: int, size: int) -> np.ndarray:
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
