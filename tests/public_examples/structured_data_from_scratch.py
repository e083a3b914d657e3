"""Structured data from scratch: a preprocessing layer a column, in one Keras model."""

import keras
import numpy as np
import tensorflow as tf

KIND = "structured"
TOLERANCE = 1e-4
LOSS = keras.losses.BinaryCrossentropy(from_logits=True)
NUMBERS = ("age", "chol", "oldpeak")
INTEGERS = ("sex", "cp")
THAL = ("fixed", "normal", "reversible")


def examples(rng, count):
    """Return a dict of columns `[count]`, and whether a patient is ill, `[count]`."""
    columns = {
        "age": rng.integers(29, 78, count),
        "chol": rng.normal(246, 52, count).round(),
        "oldpeak": rng.gamma(1.0, 1.1, count).round(1),
        "sex": rng.integers(0, 2, count),
        "cp": rng.integers(0, 5, count),
        "thal": rng.choice(THAL, count),
    }
    return columns, (columns["age"] + rng.normal(0, 9, count) > 55).astype(int)


def build(examples):
    """Return a model that encodes and joins the columns, each layer adapted alone."""
    dataset = tf.data.Dataset.from_tensor_slices(examples).batch(32)
    inputs, encoded = {}, []
    for name in (*NUMBERS, *INTEGERS, "thal"):
        dtype = {"thal": "string"}.get(name, "int64" if name in INTEGERS else "float32")
        inputs[name] = keras.Input(shape=(1,), name=name, dtype=dtype)
        if name in NUMBERS:
            layer = keras.layers.Normalization()
        elif name in INTEGERS:
            layer = keras.layers.IntegerLookup(output_mode="multi_hot")
        else:
            layer = keras.layers.StringLookup(output_mode="multi_hot")
        layer.adapt(dataset.map(lambda row, name=name: tf.expand_dims(row[name], -1)))
        encoded.append(layer(inputs[name]))
    return keras.Model(inputs, keras.layers.concatenate(encoded))


def check(batch, output):
    """Numbers are standard scores in order, and each category has one flag."""
    scores, flags = output[:, : len(NUMBERS)], output[:, len(NUMBERS) :]
    for name, score in zip(NUMBERS, scores.T, strict=True):
        assert np.corrcoef(batch[name], score)[0, 1] > 0.999, name
    assert abs(scores.mean()) < 0.3 and 0.7 < scores.std() < 1.3
    assert (flags.sum(axis=1) == 3).all() and len(np.unique(flags, axis=0)) > 10


def model(features):
    """Return the logit of two small dense layers."""
    x = keras.layers.Dense(32, activation="relu")(features)
    return keras.layers.Dense(1)(keras.layers.Dropout(0.5)(x))
