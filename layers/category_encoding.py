"""Turns category numbers into indicator vectors of 32 places."""

import keras
import numpy as np

KIND = "structured"
VARIANTS = {
    "multi_hot": {"mode": "multi_hot"},
    "count": {"mode": "count"},
}
FEATURES = 8
CATEGORIES = 32


def examples(rng: np.random.Generator, count: int) -> np.ndarray:
    """Category numbers below 32, int64 `[count, 8]`, some more than once in a row."""
    return rng.integers(0, CATEGORIES, (count, FEATURES), dtype=np.int64)


def build(examples: np.ndarray, mode: str = "one_hot") -> keras.Layer:
    """The layer; float32 `[..., 8, 32]` for one_hot, else `[..., 32]`."""
    return keras.layers.CategoryEncoding(num_tokens=CATEGORIES, output_mode=mode)


def check(batch: np.ndarray, output: np.ndarray, mode: str = "one_hot") -> None:
    """Rows of the identity matrix, as they are, joined, or summed."""
    rows = np.eye(CATEGORIES, dtype=np.float32)[batch]
    expected = {
        "one_hot": rows,
        "multi_hot": rows.max(axis=1),
        "count": rows.sum(axis=1),
    }[mode]
    np.testing.assert_array_equal(output, expected)
