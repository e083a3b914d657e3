"""Class 1 is 2 % of the examples; rejection makes it half, so batches wait for it."""

import keras
import numpy as np

EXAMPLES = 10_000
BINARY_LABELS = True


def examples(rng, count):
    labels = (np.arange(count) % 50 == 49).astype(np.int64)
    return rng.normal(size=(count, 4)).astype(np.float32), labels


def build(examples):
    return keras.layers.Rescaling(2.0)


def check(batch, output):
    np.testing.assert_allclose(output, batch * 2, rtol=1e-6)
