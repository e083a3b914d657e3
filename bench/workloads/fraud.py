"""Made card payments, 492 frauds among 284,807: normalize, one dense unit."""

import keras
import numpy as np

from bench.workloads import _normalization, _payments

KIND = "structured"
EXAMPLES = 284_807
BINARY_LABELS = True
ACCEPTS = "rows"
CLASSES = 2
LOSS = "binary_crossentropy"
TOLERANCE = 1e-4

_adapted: dict[str, np.ndarray] = {}  # what `check` compares with


def examples(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Made payments, float32 `[count, 30]`, and 1 for fraud, int64."""
    return _payments.payments(rng, count)


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
