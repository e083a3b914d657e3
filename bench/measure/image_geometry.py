"""This module finds layers that move the content of images, by marked images.

Masks and other labels with a height and a width must move with their image, but only
the features pass through the layers. The module therefore gives the layers marked
images, with cells of a few grey levels. If the layers move nothing, the output of a
cell follows from its level, or after a blur from the levels of its neighbours.
"""

import numpy as np
import tensorflow as tf

from bench.measure.assembly import Assembly
from bench.measure.layers import to_numpy

CALLS = 4  # since a layer may draw once a call
IMAGES = 8  # in a call
CELLS = range(16, 7, -1)  # along an edge; the first number that divides both is used
FEWEST_PIXELS = 8
LEVELS = (0.0, 0.3, 0.6, 1.0)
BLURS = (1, 2, 4)  # how often each cell becomes the mean of its neighbourhood
EXPLAINED = 0.4  # of the variance; after moving about 0.05, after erasing about 0.67


def facts(assembly: Assembly) -> dict[str, str]:
    """Return the fact `masks_left`: the shape of labels that should have moved.

    Args:
        assembly: The trial's assembly.
    """
    features, *labels = assembly.raw_batch()
    apart = isinstance(features, tf.Tensor) and not assembly.entry.takes_labels
    if not apart or features.shape.rank != 4:
        return {}
    shapes = [part.shape for part in tf.nest.flatten(labels, expand_composites=True)]
    spatial = [s for s in shapes if s.rank in (3, 4) and s[1:3] == features.shape[1:3]]
    if not spatial or not moves(assembly, features):
        return {}
    return {"masks_left": f"labels of {list(spatial[0][1:])}"}


def moves(assembly: Assembly, features: tf.Tensor) -> bool:
    """Whether this placement's layers move the content of images.

    Args:
        assembly: The trial's assembly.
        features: A raw batch of images, `[batch, height, width, channels]`.
    """
    edges = features.shape[1:3]
    if min(edges) < FEWEST_PIXELS:
        return False
    whole = (cells for cells in CELLS if not any(edge % cells for edge in edges))
    cells = next(whole, min(CELLS[0], *edges))
    rng = np.random.default_rng(0)
    return any(
        _any_moved(
            rng.integers(0, len(LEVELS), (IMAGES, cells, cells)), assembly, features
        )
        for _ in range(CALLS)
    )


def _any_moved(marks: np.ndarray, assembly: Assembly, features: tf.Tensor) -> bool:
    """Whether the layers move at least one of the images with these marks."""
    output = assembly.placement_output(_images(marks, features))
    if not isinstance(output, tf.Tensor):
        return False
    output = to_numpy(output)
    if output.ndim != 4 or not np.issubdtype(output.dtype, np.number):
        return False
    grey = np.nan_to_num(output.astype(np.float32)).mean(axis=-1, keepdims=True)
    shrunk = tf.image.resize(grey, marks.shape[1:], method="area").numpy()[..., 0]
    return any(map(_moved, marks, shrunk))


def _images(marks: np.ndarray, features: tf.Tensor) -> tf.Tensor:
    """Return the marks as images of the features' size, type and range."""
    _, height, width, channels = features.shape
    numbers = tf.cast(features, tf.float32)
    low, high = float(tf.reduce_min(numbers)), float(tf.reduce_max(numbers))
    rows = np.arange(height) * marks.shape[1] // height
    columns = np.arange(width) * marks.shape[2] // width
    levels = low + (high - low) * np.array(LEVELS)
    images = levels[marks][:, rows][:, :, columns, None]
    return tf.cast(np.repeat(images, channels, axis=-1), features.dtype)


def _moved(marks: np.ndarray, output: np.ndarray) -> bool:
    """Whether the marks explain so little of the output that the content has moved.

    Args:
        marks: The level of each cell.
        output: The mean output of each cell.
    """
    centred = output - output.mean()
    total = (centred**2).sum()
    if total <= 1e-9 * (1 + (output**2).sum()):  # one colour shows no motion
        return False
    indicators = np.eye(len(LEVELS))[marks.reshape(-1)]  # [cells, levels]
    sizes = np.maximum(indicators.sum(axis=0), 1)
    means = (indicators.T @ centred.reshape(-1)) ** 2 / sizes
    explained = [means.sum() / total]
    blurred = np.array(LEVELS)[marks]
    for repetition in range(1, max(BLURS) + 1):
        blurred = _blurred(blurred)
        if repetition in BLURS:
            model = blurred - blurred.mean()
            explained.append((model * centred).sum() ** 2 / ((model**2).sum() * total))
    return max(explained) < EXPLAINED


def _blurred(cells: np.ndarray) -> np.ndarray:
    """Return each cell as the mean of itself and its eight neighbours."""
    height, width = cells.shape
    padded = np.pad(cells, 1, mode="edge")
    parts = [padded[y : y + height, x : x + width] for y in range(3) for x in range(3)]
    return np.mean(parts, axis=0)
