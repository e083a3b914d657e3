"""Made card payments with a weight each, frauds as heavy as the rest: normalize."""

import keras
import numpy as np

from bench.workloads import _normalization, _payments

KIND = "structured"
EXAMPLES = 284_807
BINARY_LABELS = True
CLASSES = 2
LOSS = "binary_crossentropy"
TOLERANCE = 1e-4

_adapted: dict[str, np.ndarray] = {}  # what `check` compares with


def examples(
    rng: np.random.Generator, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the payments of the workload `fraud`, their labels and their weights.

    Features are float32 `[count, 30]`, labels int64 `[count]` with 1 for fraud, and
    weights float32 `[count]`. Both classes weigh `count / 2` in all, so that training
    needs no resampling.
    """
    features, labels = _payments.payments(rng, count)
    sizes = np.bincount(labels, minlength=CLASSES)
    weights = count / (CLASSES * sizes)
    return features, labels, weights[labels].astype(np.float32)


def build(examples: np.ndarray) -> keras.Layer:
    """Return Normalization, adapted to the examples without their weights."""
    _adapted["examples"] = examples
    layer = keras.layers.Normalization()
    layer.adapt(examples)
    return layer


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """Compare the output with the formula, in NumPy."""
    _normalization.check(_adapted["examples"], batch, output)


def model(features: keras.KerasTensor) -> keras.KerasTensor:
    """Return the output of one sigmoid."""
    return keras.layers.Dense(1, activation="sigmoid")(features)
