"""A slow map with wide results; the first epoch fills the cache with them."""

import numpy as np

from bench.selftest.workloads import _stalls

EXAMPLES = 4_000


def examples(rng, count):
    return np.tile(_stalls.stragglers(count, 1000), 1024)


def build(examples):
    return _stalls.Stall()


def check(batch, output):
    _stalls.same(batch, output)
