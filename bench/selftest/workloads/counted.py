"""Batches of 32 that take 1 ms each, but for one longer batch in every epoch.

The file `NAME.stall` beside this file holds the number of batches of an epoch and the
length of the stall in microseconds.
"""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from bench.selftest.workloads import _stalls

BATCH = 32
USUAL = 1000.0  # microseconds a batch
EXAMPLES = 64_000


def settings():
    """Return the number of batches between stalls and the microseconds of a stall."""
    every, stall = Path(__file__).with_suffix(".stall").read_text().split()
    return int(every), float(stall)


class Stalls(keras.layers.Layer):
    """This layer waits the usual time, and longer where the input is marked."""

    def __init__(self, stall, **options):
        """Set the microseconds of a stall."""
        super().__init__(**options)
        self.stall = stall

    def call(self, inputs):
        """Return the input after the wait."""
        marked = tf.reduce_max(inputs)
        return inputs + _stalls.after(inputs, USUAL + self.stall * marked)


def examples(rng, count):
    every, _ = settings()
    values = np.zeros((count, _stalls.WIDTH), np.float32)
    values[BATCH * (every // 2) :: BATCH * every] = 1.0
    return values


def build(examples):
    return Stalls(settings()[1])


def check(batch, output):
    _stalls.same(batch, output)
