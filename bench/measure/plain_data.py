"""This module recognizes plain examples, on which right layers may fail a check.

An image of one colour looks the same after a flip or a rotation. Such an image cannot
show what the layers do, so the data and not the layers are the cause.
"""

import numpy as np
import tensorflow as tf


def sentence(examples: object) -> str:
    """Return how many examples are plain in a component; empty if none is.

    Args:
        examples: Checked examples, a nest of arrays: images `[n, height, width,
            channels]`, which are plain if each channel has one value, or other numbers
            `[n, ...]`, which are plain if all values of the example are equal.
    """
    return next(filter(None, map(_sentence, tf.nest.flatten(examples))), "")


def _sentence(examples: object) -> str:
    if not isinstance(examples, np.ndarray):
        return ""
    numbers = examples.dtype.kind in "biuf" and examples.ndim > 1
    if not numbers or not examples.size:
        return ""
    images = examples.ndim == 4
    channels = examples.shape[-1] if images else 1
    values = examples.reshape(len(examples), -1, channels)
    count = int((values == values[:, :1]).all(axis=(1, 2)).sum())
    if not count:
        return ""
    verb = "is" if count == 1 else "are"
    what, property = ("images", "colour") if images else ("examples", "value")
    return f"{count} of {len(examples)} checked {what} {verb} of one {property}"
