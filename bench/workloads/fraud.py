"""Made card payments, 492 frauds among 284,807: normalize, one dense unit."""

import keras
import numpy as np

from bench.workloads import _normalization

KIND = "structured"
EXAMPLES = 284_807
BINARY_LABELS = True
ACCEPTS = "rows"
CLASSES = 2
LOSS = "binary_crossentropy"
TOLERANCE = 1e-4
FRAUDS = 492
COLUMNS = 30

_adapted: dict[str, np.ndarray] = {}  # what `check` compares with


def examples(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Made payments, float32 `[count, 30]`, and 1 for fraud, int64.

    The share of frauds is that of the public credit card data set, 492 in 284,807; of
    few examples, four at the least are frauds. Frauds are shifted in every column.
    """
    frauds = min(count // 2, max(4, round(count * FRAUDS / EXAMPLES)))
    labels = np.zeros(count, dtype=np.int64)
    labels[rng.choice(count, frauds, replace=False)] = 1
    features = rng.standard_normal((count, COLUMNS), dtype=np.float32)
    features[labels == 1] += 1
    scale = 1 + np.arange(COLUMNS, dtype=np.float32)
    return features * scale + scale, labels


def build(examples: np.ndarray) -> keras.Layer:
    """Normalization adapted to the examples."""
    _adapted["examples"] = examples
    layer = keras.layers.Normalization()
    layer.adapt(examples)
    return layer


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """The formula, in NumPy."""
    _normalization.check(_adapted["examples"], batch, output)


def model(features: keras.KerasTensor) -> keras.KerasTensor:
    """One sigmoid."""
    return keras.layers.Dense(1, activation="sigmoid")(features)
