"""Prepares a table of named columns: normalized, in bins, one-hot, and a cross."""

import keras
import numpy as np

KIND = "structured"
TOLERANCE = 1e-4
CITIES = ("Paris", "Rome", "Vienna")
BINS, CROSS = 8, 16


def examples(rng: np.random.Generator, count: int) -> dict[str, np.ndarray]:
    """Columns `[count]`: age and income (float32), rooms (int64), city (text)."""
    return {
        "age": rng.normal(40, 12, count).astype(np.float32),
        "income": rng.lognormal(10, 1, count).astype(np.float32),
        "rooms": rng.integers(1, 6, count),
        "city": rng.choice(CITIES, count),
    }


def build(examples: dict[str, np.ndarray]) -> keras.utils.FeatureSpace:
    """The space, adapted to all examples; float32 out, one row an example."""
    import tensorflow as tf

    space = keras.utils.FeatureSpace(
        features={
            "age": keras.utils.FeatureSpace.float_normalized(),
            "income": keras.utils.FeatureSpace.float_discretized(num_bins=BINS),
            "rooms": keras.utils.FeatureSpace.integer_categorical(num_oov_indices=0),
            "city": keras.utils.FeatureSpace.string_categorical(num_oov_indices=0),
        },
        crosses=[keras.utils.FeatureSpace.cross(("rooms", "city"), crossing_dim=CROSS)],
        output_mode="concat",
    )
    columns = {name: tf.constant(values) for name, values in examples.items()}
    space.adapt(tf.data.Dataset.from_tensor_slices(columns).batch(256))
    return space


def check(batch: dict[str, np.ndarray], output: np.ndarray) -> None:
    """One-hot parts agree with the columns, and the age with its standard score."""
    assert output.dtype == np.float32, f"not float32 but {output.dtype}"
    widths = {"age": 1, "city": 3, "income": BINS, "rooms": 5, "cross": CROSS}
    assert output.shape == (len(batch["age"]), sum(widths.values())), output.shape
    scores = [c for c in output.T if not set(np.unique(c)) <= {0.0, 1.0}]
    assert len(scores) == 1, f"{len(scores)} columns are not one-hot, expected the age"
    slope = np.corrcoef(scores[0], batch["age"])[0, 1]
    assert slope > 0.999, f"the age's score follows the age by {slope:.3f} only"
    assert abs(scores[0].mean()) < 0.5 and 0.7 < scores[0].std() < 1.3, "not normalized"
    flags = np.array([c for c in output.T if set(np.unique(c)) <= {0.0, 1.0}]).T
    ones = flags.sum(axis=1)
    assert (ones == 4).all(), "an example has not one bin, city, number and cross"
    rows = {tuple(row) for row in flags}
    for name in ("rooms", "city"):
        for value in np.unique(batch[name]):
            some = flags[batch[name] == value]
            shared = (some == 1).all(axis=0) & ~(flags == 1).all(axis=0)
            assert shared.any(), f"{name} = {value} has no flag of its own"
    assert len(rows) > 15, "different examples have the same flags"
