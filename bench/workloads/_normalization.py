"""What an adapted Normalization must do, in NumPy."""

import numpy as np


def check(known: np.ndarray, batch: np.ndarray, output: np.ndarray) -> None:
    """Compare with the formula.

    Args:
        known: What the layer was adapted to, `[n, features]`.
        batch: Its input, `[n, features]`.
        output: Its output.
    """
    mean = known.mean(axis=0, dtype=np.float64)
    deviation = known.std(axis=0, dtype=np.float64)
    expected = (batch - mean) / np.maximum(deviation, 1e-7)
    np.testing.assert_allclose(output, expected, rtol=1e-3, atol=1e-3)
