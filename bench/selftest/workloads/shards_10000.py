"""Four shards of 10,000 records; each takes 0.2 s to open."""

import keras
import numpy as np

from bench.selftest.workloads import _stalls

EXAMPLES = 40_000


def examples(rng, count, folder):
    _stalls.write_shards(folder, 4, count // 4)


def read(path, label):
    return _stalls.opened(path, label, 200_000.0)


def build(examples):
    return keras.layers.Rescaling(1.0)


def check(batch, output):
    np.testing.assert_allclose(output, batch)


def model(features):
    return _stalls.head(features)
