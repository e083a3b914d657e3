"""Puts numbers into 16 bins of equal share."""

import keras
import numpy as np
import tensorflow as tf

KIND = "structured"
VARIANTS = {
    "adapt_dataset": {"state": "adapt_dataset"},
    "given": {"state": "given"},
}
FEATURES = 8
BINS = 16


def examples(rng: np.random.Generator, count: int) -> np.ndarray:
    """Skewed positive features such as incomes, float32 `[count, 8]`."""
    return rng.lognormal(3.0, 1.0, (count, FEATURES)).astype(np.float32)


def build(examples: np.ndarray, state: str = "adapt") -> keras.Layer:
    """The layer, its boundaries learned or given; float32 in, int32 out.

    Keras learns one set of boundaries over all features together.
    """
    if state == "given":
        return keras.layers.Discretization(bin_boundaries=_quantiles().tolist())
    layer = keras.layers.Discretization(num_bins=BINS, epsilon=0.01)
    if state == "adapt_dataset":
        layer.adapt(tf.data.Dataset.from_tensor_slices(_calibration()).batch(256))
    else:
        layer.adapt(_calibration())
    return layer


def check(batch: np.ndarray, output: np.ndarray, state: str = "adapt") -> None:
    """Bins by quantile: exact where given, within the sketch's error where learned."""
    assert output.shape == batch.shape, f"shape {output.shape} for {batch.shape}"
    if state == "given":
        np.testing.assert_array_equal(output, np.digitize(batch, _quantiles()))
        return
    known = np.sort(_calibration(), axis=None)
    share = np.searchsorted(known, batch, side="right") / known.size
    # adapt() keeps a summary of about 1 / epsilon values, merged batch by batch, so a
    # boundary may be off by a few times epsilon = 0.01 of the values; a bin is 0.0625.
    least = np.clip(np.floor((share - 0.02) * BINS), 0, BINS - 1)
    most = np.clip(np.floor((share + 0.02) * BINS), 0, BINS - 1)
    wrong = (output < least) | (output > most)
    assert not wrong.any(), (
        f"{wrong.sum()} of {wrong.size} values are in a wrong bin, the first: "
        f"{batch[wrong][0]} in bin {output[wrong][0]}, not in "
        f"{least[wrong][0]:.0f} to {most[wrong][0]:.0f}"
    )


def _calibration() -> np.ndarray:
    return examples(np.random.default_rng(0), 4096)


def _quantiles() -> np.ndarray:
    return np.quantile(_calibration(), np.arange(1, BINS) / BINS).astype(np.float32)
