"""Two hundred shards of 100 records; each takes 3 ms to open."""

import keras
import numpy as np

from bench.selftest.workloads import _stalls

EXAMPLES = 20_000


def examples(rng, count, folder):
    _stalls.write_shards(folder, 200, count // 200)


def read(path, label):
    return _stalls.opened(path, label, 3_000.0)


def build(examples):
    return keras.layers.Rescaling(1.0)


def check(batch, output):
    np.testing.assert_allclose(output, batch)


def model(features):
    return _stalls.head(features)
