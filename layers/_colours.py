"""Colours for checks: images without extreme values, and hue, saturation, value."""

import numpy as np

from layers import _discs


def images(rng: np.random.Generator, count: int, size: int) -> np.ndarray:
    """Discs with values of 64 to 191, uint8 `[count, size, size, 3]`."""
    return 64 + _discs.images(rng, count, size) // 2


def hsv(images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hue (0 to 1), saturation (0 to 1) and value of images, each without channels.

    Args:
        images: RGB, `[..., 3]`.
    """
    images = images.astype(np.float64)
    value, least = images.max(axis=-1), images.min(axis=-1)
    spread = value - least
    safe = np.where(spread > 0, spread, 1)
    red, green, blue = np.moveaxis(images, -1, 0)
    sector = np.select(
        [value == red, value == green],
        [(green - blue) / safe, 2 + (blue - red) / safe],
        4 + (red - green) / safe,
    )
    saturation = np.where(value > 0, spread / np.where(value > 0, value, 1), 0)
    return (sector / 6) % 1, saturation, value


def hue_turns(before: np.ndarray, after: np.ndarray, known: np.ndarray) -> np.ndarray:
    """By how much hues were turned, from -0.5 to 0.5, and how far pixels disagree.

    Args:
        before: Hues of one image, 0 to 1.
        after: Hues of its output.
        known: Where the hue of a pixel means something.

    Returns:
        The median turn and the largest distance of a pixel from it.
    """
    turns = (after - before)[known]
    first = turns[0] if turns.size else 0.0
    apart = (turns - first + 0.5) % 1 - 0.5
    middle = np.median(apart) if turns.size else 0.0
    most = abs(apart - middle).max() if turns.size else 0.0
    return np.array([(first + middle + 0.5) % 1 - 0.5, most])
