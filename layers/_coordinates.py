"""Images whose colours show where a pixel was, so that a check can follow it."""

import numpy as np


def images(rng: np.random.Generator, count: int, size: int) -> np.ndarray:
    """Red grows to the right, green downwards, blue is one number an image.

    Returns:
        uint8 `[count, size, size, 3]`, values of 32 to 224.
    """
    ramp = np.linspace(32, 224, size)
    images = np.empty((count, size, size, 3))
    images[..., 0], images[..., 1] = ramp[None, None, :], ramp[None, :, None]
    images[..., 2] = rng.integers(32, 224, (count, 1, 1))
    return images.round().astype(np.uint8)


def sources(output: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Column and row from which each pixel came, in pixels.

    Args:
        output: What a layer made of such images, `[..., size, size, 3]`.
    """
    scale = (output.shape[-2] - 1) / 192
    return (output[..., 0] - 32) * scale, (output[..., 1] - 32) * scale
