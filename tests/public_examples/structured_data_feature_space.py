"""Structured data with FeatureSpace: normalized, binned, hashed and crossed columns."""

import keras
import numpy as np
import tensorflow as tf
from keras.utils import FeatureSpace

KIND = "structured"
LOSS = "binary_crossentropy"
THAL = ("fixed", "normal", "reversible")
BINS, SEX_AGE, THAL_CA = 30, 64, 16


def examples(rng, count):
    """Return a dict of columns `[count]`, and whether a patient is ill, `[count]`."""
    columns = {
        "sex": rng.integers(0, 2, count),
        "ca": rng.integers(0, 4, count),
        "thal": rng.choice(THAL, count),
        "age": rng.integers(29, 78, count).astype("float32"),
        "chol": rng.normal(246, 52, count).round(),
    }
    return columns, (columns["age"] + rng.normal(0, 9, count) > 55).astype(int)


def build(examples):
    """Return the space, adapted to the columns without their labels."""
    space = FeatureSpace(
        features={
            "sex": FeatureSpace.integer_categorical(num_oov_indices=0),
            "ca": FeatureSpace.integer_categorical(num_oov_indices=0),
            "thal": FeatureSpace.string_categorical(num_oov_indices=0),
            "age": FeatureSpace.float_discretized(num_bins=BINS),
            "chol": FeatureSpace.float_normalized(),
        },
        crosses=[
            FeatureSpace.cross(("sex", "age"), crossing_dim=SEX_AGE),
            FeatureSpace.cross(("thal", "ca"), crossing_dim=THAL_CA),
        ],
        output_mode="concat",
    )
    space.adapt(tf.data.Dataset.from_tensor_slices(examples).batch(32))
    return space


def check(batch, output):
    """All columns are flags, six of them set, but for the standard score of `chol`."""
    width = 2 + 4 + len(THAL) + BINS + 1 + SEX_AGE + THAL_CA
    assert output.shape == (len(batch["age"]), width), output.shape
    is_flag = np.isin(output, (0, 1)).all(axis=0)
    (score,) = output.T[~is_flag]
    assert np.corrcoef(batch["chol"], score)[0, 1] > 0.999 and abs(score.mean()) < 0.5
    assert (output[:, is_flag].sum(axis=1) == 6).all()


def model(features):
    """Return the probability that two dense layers make of the encoded columns."""
    x = keras.layers.Dense(32, activation="relu")(features)
    return keras.layers.Dense(1, activation="sigmoid")(keras.layers.Dropout(0.5)(x))
