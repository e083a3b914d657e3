"""Crosses two integer features and hashes the pair into 64 bins."""

import keras
import numpy as np

KIND = "structured"
BINS = 64


class Columns(keras.Layer):
    """Takes two columns apart, `[..., 2]` to two of `[...]`: a cross wants a pair."""

    def call(self, inputs: object) -> tuple:
        """The columns."""
        return inputs[..., 0], inputs[..., 1]


def examples(rng: np.random.Generator, count: int) -> np.ndarray:
    """Pairs such as the hour and the shop, int64 `[count, 2]`."""
    return rng.integers(0, [24, 5000], (count, 2), dtype=np.int64)


def build(examples: np.ndarray) -> list[keras.Layer]:
    """The columns taken apart, then the layer; int64 out."""
    return [
        Columns(dtype="int64"),  # the default, float32, would cast the keys
        keras.layers.HashedCrossing(num_bins=BINS),
    ]


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """TensorFlow's chain of fingerprints over the pair, in NumPy, modulo 64."""
    start = np.full(len(batch), 0xDECAFCAFFE, dtype=np.uint64)  # TensorFlow's own key
    crossed = _join(_join(start, batch[:, 0]), batch[:, 1])
    np.testing.assert_array_equal(output, crossed % np.uint64(BINS))


def _join(fingerprint: np.ndarray, values: np.ndarray) -> np.ndarray:
    """`FingerprintCat64` of tensorflow/core/platform/fingerprint.h."""
    multiplier = np.uint64(0xC6A4A7935BD1E995)

    def mix(value: np.ndarray) -> np.ndarray:
        return value ^ (value >> np.uint64(47))

    joined = fingerprint ^ multiplier
    joined ^= mix(values.astype(np.uint64) * multiplier) * multiplier
    joined *= multiplier
    return mix(mix(joined) * multiplier)
