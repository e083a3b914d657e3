"""Every epoch begins with a file that takes 0.4 s to open."""

import keras
import numpy as np
import tensorflow as tf

from bench.selftest.workloads import _stalls

EXAMPLES = 16_000


def examples(rng, count, folder):
    _stalls.write_shards(folder, 16, count // 16)


def read(path, label):
    first = _stalls.number_of(path) < 1
    return _stalls.opened(path, label, tf.where(first, 400_000.0, 0.0))


def build(examples):
    return keras.layers.Rescaling(1.0)


def check(batch, output):
    np.testing.assert_allclose(output, batch)


def model(features):
    return _stalls.head(features)
