"""Batches of 32 that take 1 ms each, and once in an epoch, longer by what a file says.

The file `NAME.stall` beside this one holds the batches of an epoch and microseconds.
"""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from results.method.lump_cases import _stalls

BATCH = 32
USUAL = 1000.0  # microseconds a batch
EXAMPLES = 64_000


def settings():
    """Batches between stalls, and microseconds of each stall."""
    every, stall = Path(__file__).with_suffix(".stall").read_text().split()
    return int(every), float(stall)


class Stalls(keras.layers.Layer):
    """Returns its input after the usual time, or that of a stall where it is marked."""

    def __init__(self, stall, **options):
        """Take the microseconds of a stall."""
        super().__init__(**options)
        self.stall = stall

    def call(self, inputs):
        """Wait and pass the input on."""
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
