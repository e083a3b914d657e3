"""What an adapted Normalization must do, in NumPy."""

import numpy as np


def statistics(known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and divisor of each feature, float32, as Keras' `adapt` finds them.

    It sums in the data's own float32 and in the order in which they lie in memory, so
    that of many values far from 0 the mean is off by much: that is the work to be done,
    and is not to be blamed on the layer. Source: keras 3.15, normalization.py.

    Args:
        known: What the layer was adapted to, `[n, features]`.
    """
    mean = np.mean(known, axis=0).astype(np.float32)
    deviation = np.sqrt(np.var(known, axis=0).astype(np.float32))
    return mean, np.maximum(deviation, np.float32(1e-7))


def check(known: np.ndarray, batch: np.ndarray, output: np.ndarray) -> None:
    """Compare with the formula.

    Args:
        known: What the layer was adapted to, `[n, features]`.
        batch: Its input, `[n, features]`.
        output: Its output.
    """
    mean, divisor = statistics(known)
    # Two operations of float32, each of them right to its last digit.
    np.testing.assert_allclose(output, (batch - mean) / divisor, rtol=1e-5, atol=1e-5)
