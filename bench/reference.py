"""The pinned reference workload: how fast this machine is today. Never change it.

A history follows a trial's time over this one's, measured beside it: that ratio shows a
step in a few runs, where raw times follow the machine. Any change here moves every
history at once; a better reference needs another file and another history.
"""

import keras
import numpy as np
import tensorflow as tf

KIND = "structured"
EXAMPLES = 4096
COLUMNS = 32


def examples(rng: np.random.Generator, count: int) -> np.ndarray:
    """Standard normal numbers, float32 `[count, 32]`."""
    return rng.standard_normal((count, COLUMNS)).astype(np.float32)


class Reference(keras.layers.Layer):
    """Each row sorted, its differences, and their squares' sum: `[n, 32]` to `[n]`."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Compute on one thread, in cache, with no memory to speak of."""
        ordered = tf.sort(inputs, axis=-1)
        return tf.reduce_sum(tf.square(ordered[..., 1:] - ordered[..., :-1]), axis=-1)


def build(examples: np.ndarray) -> keras.Layer:
    """The layer above."""
    return Reference()


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """The same by NumPy."""
    expected = np.square(np.diff(np.sort(batch, axis=-1), axis=-1)).sum(axis=-1)
    np.testing.assert_allclose(output, expected, rtol=1e-4)
