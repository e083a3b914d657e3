"""Python code in `decode` that collects garbage once in 500 records."""

import gc
import itertools

import keras
import numpy as np
import tensorflow as tf

EXAMPLES = 4_000
EVERY = 500
HELD = [[number] for number in range(400_000)]  # objects that a collection visits
CALLS = itertools.count(1)


def examples(rng, count):
    return rng.normal(size=(count, 4)).astype(np.float32)


def decode(values):
    def slow(array):
        if next(CALLS) % EVERY == 0:
            gc.collect()
        return array

    same = tf.numpy_function(slow, [values], tf.float32)
    same.set_shape(values.shape)
    return same


def build(examples):
    return keras.layers.Rescaling(2.0)


def check(batch, output):
    np.testing.assert_allclose(output, batch * 2, rtol=1e-6)
