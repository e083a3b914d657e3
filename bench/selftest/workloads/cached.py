"""A slow map whose wide results a cache holds: the first epoch fills it."""

import numpy as np

from results.method.lump_cases import _stalls

EXAMPLES = 4_000


def examples(rng, count):
    return np.tile(_stalls.stragglers(count, 1000), 1024)


def build(examples):
    return _stalls.Stall()


def check(batch, output):
    _stalls.same(batch, output)
