"""A year of share prices: normalize, add bins, and tell whether the index will rise."""

import keras
import numpy as np

from bench.workloads import _embedded

KIND = "structured"
ACCEPTS = "rows"
CLASSES = 2
TOLERANCE = 1e-4
MONTHS = 12
INDEX = _embedded.SHARES.index("^GSPC")
BINS = 4

_adapted: dict[str, np.ndarray] = {}  # what `check` compares with


class NormalizedAndBinned(keras.Layer):
    """Normalized features beside their bins as one-hot vectors.

    Floats `[..., features]` become float32 `[..., features * (1 + BINS)]`.
    """

    def __init__(self, normalization: keras.Layer, boundaries: list[float]) -> None:
        """Take an adapted Normalization, and the inner boundaries of the bins."""
        super().__init__()
        self.normalization = normalization
        self.discretization = keras.layers.Discretization(
            bin_boundaries=boundaries, output_mode="int"
        )

    def call(self, features: object) -> object:
        """Normalize, put into bins, and set both beside each other."""
        scaled = self.normalization(features)
        bins = keras.ops.one_hot(self.discretization(scaled), BINS)
        # Of its output, since Normalization makes a bare example a batch of one.
        shape = (*keras.ops.shape(scaled)[:-1], features.shape[-1] * BINS)
        flat = keras.ops.reshape(bins, shape)
        return keras.ops.concatenate([scaled, flat], axis=-1)

    def compute_output_shape(self, shape: tuple) -> tuple:
        """The last axis grows by one column a bin for each feature."""
        return (*shape[:-1], shape[-1] * (1 + BINS))


def examples(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Twelve months' log returns of seven shares, float32 `[count, 84]`.

    The label, int64, is 1 where the S&P 500 rose in the month that followed.
    """
    returns = _embedded.monthly_returns()
    starts = rng.integers(0, len(returns) - MONTHS, count)
    features = np.stack([returns[start : start + MONTHS].ravel() for start in starts])
    labels = returns[starts + MONTHS, INDEX] > 0
    return features, labels.astype(np.int64)


def build(examples: np.ndarray) -> keras.Layer:
    """The composed layer: Normalization is adapted, the boundaries are quartiles."""
    _adapted["examples"] = examples
    _, _, boundaries = _statistics()
    normalization = keras.layers.Normalization()
    normalization.adapt(examples)
    return NormalizedAndBinned(normalization, boundaries.tolist())


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """The formula and the bins, in NumPy."""
    mean, deviation, boundaries = _statistics()
    scaled = (batch - mean) / deviation
    width = scaled.shape[1]
    np.testing.assert_allclose(output[:, :width], scaled, rtol=1e-3, atol=1e-3)
    bins = np.eye(BINS)[np.digitize(scaled, boundaries)]
    # At a boundary the last digit of the layer's float32 decides, and it may be either.
    sure = np.abs(scaled[..., None] - boundaries).min(axis=-1) > 1e-4
    found = output[:, width:].reshape(bins.shape)
    assert ((found == 0) | (found == 1)).all(), "a bin is neither 0 nor 1"
    np.testing.assert_array_equal(found[sure], bins[sure])
    assert sure.mean() > 0.9, "most features lie on a boundary: nothing was checked"


def model(features: keras.KerasTensor) -> keras.KerasTensor:
    """Two dense layers."""
    x = keras.layers.Dense(32, activation="relu")(features)
    return keras.layers.Dense(CLASSES, activation="softmax")(x)


def _statistics() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and standard deviation of each feature; quartiles of all, normalized."""
    known = _adapted["examples"].astype(np.float64)
    mean, deviation = known.mean(axis=0), np.maximum(known.std(axis=0), 1e-7)
    shares = np.arange(1, BINS) / BINS
    return mean, deviation, np.quantile((known - mean) / deviation, shares)
