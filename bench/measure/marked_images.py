"""Whether layers move the content of an image: marked images show it.

Labels with a height and a width, such as masks, stay as they are where only the
features pass through the layers. Marked images have cells of few grey levels. Where the
layers move nothing, a cell's output follows from its level, or from its neighbourhood
as after a blur.
"""

import numpy as np
import tensorflow as tf

from bench.measure.assembly import Assembly
from bench.measure.layers import to_numpy

CALLS = 4  # as a layer may draw once a call
IMAGES = 8  # a call
CELLS = range(16, 7, -1)  # along an edge; the first number that divides both edges
FEWEST_PIXELS = 8
LEVELS = (0.0, 0.3, 0.6, 1.0)
BLURS = (1, 2, 4)  # times that each cell becomes the mean of its neighbourhood
EXPLAINED = 0.4  # of the variance; moved cells leave about 0.05, erasing two thirds


def facts(work: Assembly) -> dict[str, str]:
    """`masks_left`: the shape of labels that should have moved and did not.

    Args:
        work: The trial's workload.
    """
    features, *labels = work.raw_batch()
    if not isinstance(features, tf.Tensor) or features.shape.rank != 4:
        return {}
    shapes = [part.shape for part in tf.nest.flatten(labels, expand_composites=True)]
    spatial = [s for s in shapes if s.rank in (3, 4) and s[1:3] == features.shape[1:3]]
    if not spatial or not moves(work, features):
        return {}
    return {"masks_left": f"labels of {list(spatial[0][1:])}"}


def moves(work: Assembly, features: tf.Tensor) -> bool:
    """Whether this placement's layers move the content of images.

    Args:
        work: The trial's workload.
        features: A raw batch of images, `[batch, height, width, channels]`.
    """
    edges = features.shape[1:3]
    if min(edges) < FEWEST_PIXELS:
        return False
    whole = (cells for cells in CELLS if not any(edge % cells for edge in edges))
    cells = next(whole, min(CELLS[0], *edges))
    rng = np.random.default_rng(0)
    return any(
        _any_moved(rng.integers(0, len(LEVELS), (IMAGES, cells, cells)), work, features)
        for _ in range(CALLS)
    )


def _any_moved(marks: np.ndarray, work: Assembly, features: tf.Tensor) -> bool:
    """Whether the layers move one of the images that these marks make."""
    made = work.applied(_images(marks, features))
    if not isinstance(made, tf.Tensor):
        return False
    made = to_numpy(made)
    if made.ndim != 4 or not np.issubdtype(made.dtype, np.number):
        return False
    grey = np.nan_to_num(made.astype(np.float32)).mean(axis=-1, keepdims=True)
    shrunk = tf.image.resize(grey, marks.shape[1:], method="area").numpy()[..., 0]
    return any(map(_moved, marks, shrunk))


def _images(marks: np.ndarray, features: tf.Tensor) -> tf.Tensor:
    """Marks as images of the features' size, type and range."""
    _, height, width, channels = features.shape
    numbers = tf.cast(features, tf.float32)
    low, high = float(tf.reduce_min(numbers)), float(tf.reduce_max(numbers))
    rows = np.arange(height) * marks.shape[1] // height
    columns = np.arange(width) * marks.shape[2] // width
    levels = low + (high - low) * np.array(LEVELS)
    images = levels[marks][:, rows][:, :, columns, None]
    return tf.cast(np.repeat(images, channels, axis=-1), features.dtype)


def _moved(marks: np.ndarray, made: np.ndarray) -> bool:
    """Whether too little of an output's variance is explained where nothing moved.

    Args:
        marks: The level of each cell.
        made: The mean output of each cell.
    """
    centred = made - made.mean()
    total = (centred**2).sum()
    if total <= 1e-9 * (1 + (made**2).sum()):  # one colour tells of no place
        return False
    known = np.eye(len(LEVELS))[marks.reshape(-1)]  # [cells, levels]
    means = (known.T @ centred.reshape(-1)) ** 2 / np.maximum(known.sum(axis=0), 1)
    explained = [means.sum() / total]
    blurred = np.array(LEVELS)[marks]
    for times in range(1, max(BLURS) + 1):
        blurred = _blurred(blurred)
        if times in BLURS:
            own = blurred - blurred.mean()
            explained.append((own * centred).sum() ** 2 / ((own**2).sum() * total))
    return max(explained) < EXPLAINED


def _blurred(cells: np.ndarray) -> np.ndarray:
    """Each cell as the mean of the nine around it."""
    height, width = cells.shape
    padded = np.pad(cells, 1, mode="edge")
    parts = [padded[y : y + height, x : x + width] for y in range(3) for x in range(3)]
    return np.mean(parts, axis=0)
