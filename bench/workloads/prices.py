"""A year of share prices: normalize, add bins, and tell whether the index will rise."""

import keras
import numpy as np

from bench.workloads import _embedded, _normalization

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
    normalization = keras.layers.Normalization()
    normalization.adapt(examples)
    return NormalizedAndBinned(normalization, _boundaries().tolist())


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """The formula, and the bins of what it gave, in NumPy."""
    width = batch.shape[1]
    scaled = output[:, :width]
    _normalization.check(_adapted["examples"], batch, scaled)
    found = output[:, width:].reshape(*scaled.shape, BINS)
    assert ((found == 0) | (found == 1)).all(), "a bin is neither 0 nor 1"
    assert (found.sum(axis=-1) == 1).all(), "a value is not in one bin"
    bins, boundaries = found.argmax(axis=-1), _boundaries()
    # At a boundary the last digit of the layer's float32 decides, and it may be either.
    slack = 1e-6 * (1 + abs(scaled))
    least, most = (np.digitize(scaled + s, boundaries) for s in (-slack, slack))
    assert ((least <= bins) & (bins <= most)).all(), "a value is in a wrong bin"


def model(features: keras.KerasTensor) -> keras.KerasTensor:
    """Two dense layers."""
    x = keras.layers.Dense(32, activation="relu")(features)
    return keras.layers.Dense(CLASSES, activation="softmax")(x)


def _boundaries() -> np.ndarray:
    """Quartiles of all features together, normalized, float32 `[BINS - 1]`."""
    known = _adapted["examples"]
    mean, divisor = _normalization.statistics(known)
    shares = np.arange(1, BINS) / BINS
    return np.quantile((known - mean) / divisor, shares).astype(np.float32)
