"""Shifts and scales each feature to mean 0 and variance 1."""

import keras
import numpy as np
import tensorflow as tf

KIND = "structured"
TOLERANCE = 1e-4
VARIANTS = {
    "adapt_dataset": {"state": "adapt_dataset"},
    "given": {"state": "given"},
}
FEATURES = 30


def examples(rng: np.random.Generator, count: int) -> np.ndarray:
    """Features of unlike centres and scales, float32 `[count, 30]`."""
    column = np.arange(FEATURES)
    return rng.normal(column, 1 + column, (count, FEATURES)).astype(np.float32)


def build(examples: np.ndarray, state: str = "adapt") -> keras.Layer:
    """The layer, adapted to a fixed calibration set, or given its statistics."""
    known = _calibration()
    if state == "given":
        layer = keras.layers.Normalization(
            mean=known.mean(axis=0), variance=known.var(axis=0)
        )
        layer.build(known.shape)  # first met in map, it would leak a symbolic tensor
        return layer
    layer = keras.layers.Normalization()
    if state == "adapt_dataset":
        layer.adapt(tf.data.Dataset.from_tensor_slices(known).batch(256))
    else:
        layer.adapt(known)
    return layer


def check(batch: np.ndarray, output: np.ndarray, state: str = "adapt") -> None:
    """The formula, in NumPy."""
    known = _calibration().astype(np.float64)
    expected = (batch - known.mean(axis=0)) / known.std(axis=0)
    np.testing.assert_allclose(output, expected, rtol=1e-3, atol=1e-3)


def _calibration() -> np.ndarray:
    return examples(np.random.default_rng(0), 4096)
