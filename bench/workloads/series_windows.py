"""A made time series in overlapping windows, cut by tf.data: normalize, convolve."""

import keras
import numpy as np
import tensorflow as tf

from bench.workloads import _normalization

KIND = "structured"
EXAMPLES = 2048
CLASSES = 2
LOSS = "binary_crossentropy"
TOLERANCE = 1e-4
WINDOW = 48
CHANNELS = 4
PERIODS = (24, 36, 60, 168)  # hours

_adapted: dict[str, np.ndarray] = {}  # what `check` compares with


def source(rng: np.random.Generator, count: int) -> tf.data.Dataset:
    """Return `count` windows of 48 hours and whether the first channel rises next.

    A window is float32 `[48, 4]` and begins an hour after the one before it. The label
    is int64 `[]`.
    """
    hours = np.arange(count + WINDOW)[:, None]
    waves = 10 * np.sin(2 * np.pi * hours / np.array(PERIODS))
    level = 5 * np.arange(CHANNELS)
    series = waves + level + rng.normal(0, 1, (len(hours), CHANNELS))
    windows = tf.data.Dataset.from_tensor_slices(series.astype(np.float32)).window(
        WINDOW + 1, shift=1, drop_remainder=True
    )
    return windows.flat_map(lambda hours: hours.batch(WINDOW + 1)).map(_with_label)


def build(examples: np.ndarray) -> keras.Layer:
    """Return Normalization, adapted to the hours of all windows."""
    _adapted["hours"] = examples.reshape(-1, CHANNELS)
    layer = keras.layers.Normalization()
    layer.adapt(_adapted["hours"])
    return layer


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """Compare the output with the formula, hour by hour, in NumPy."""
    assert output.shape == batch.shape, f"the shape is {output.shape}"
    hours, scaled = batch.reshape(-1, CHANNELS), output.reshape(-1, CHANNELS)
    _normalization.check(_adapted["hours"], hours, scaled)


def model(features: keras.KerasTensor) -> keras.KerasTensor:
    """Return one sigmoid over a small convolution in time."""
    x = keras.layers.Conv1D(16, 5, strides=2, activation="relu")(features)
    x = keras.layers.Flatten()(x)
    return keras.layers.Dense(1, activation="sigmoid")(x)


def _with_label(hours: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    hours = tf.ensure_shape(hours, [WINDOW + 1, CHANNELS])
    rises = hours[-1, 0] > hours[-2, 0]
    return hours[:-1], tf.cast(rises, tf.int64)
