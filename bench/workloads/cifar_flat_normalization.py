"""Images of CIFAR's shape as 3072 values, normalized, into dense layers."""

import keras
import numpy as np

from bench.workloads import _embedded, _normalization

KIND = "structured"
EXAMPLES = 2048
ACCEPTS = "flat_images"
CLASSES = 10
TOLERANCE = 1e-4

_adapted: dict[str, np.ndarray] = {}  # what `check` compares with


def examples(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Flattened tiles of a photograph, float32 `[count, 3072]` from 0 to 255; int64."""
    images, labels = _embedded.tiles(rng, count, CLASSES, (48, 128), edge=32)
    flat = np.stack([np.asarray(image).ravel() for image in images])
    return flat.astype(np.float32), labels


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
    """One hidden dense layer, softmax over ten classes."""
    x = keras.layers.Dense(64, activation="relu")(features)
    return keras.layers.Dense(CLASSES, activation="softmax")(x)
