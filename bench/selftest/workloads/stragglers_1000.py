"""One example in 1000 takes as long as all other examples together."""

import numpy as np

from bench.selftest.workloads import _stalls

EXAMPLES = 8_000


def examples(rng, count):
    values = _stalls.stragglers(count, 1000)
    return values, rng.integers(0, 2, count).astype(np.int64)


def build(examples):
    return _stalls.Stall()


def check(batch, output):
    _stalls.same(batch, output)


def model(features):
    return _stalls.head(features)
