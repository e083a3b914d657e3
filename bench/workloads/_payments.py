"""Made card payments, of which few are frauds."""

import numpy as np

EXAMPLES = 284_807
FRAUDS = 492
COLUMNS = 30


def payments(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return made payments, float32 `[count, 30]`, and 1 for fraud, int64 `[count]`.

    The share of frauds is that of the public credit card data set, 492 in 284,807; of
    few examples, four at the least are frauds. Frauds are shifted in every column.
    """
    frauds = min(count // 2, max(4, round(count * FRAUDS / EXAMPLES)))
    labels = np.zeros(count, dtype=np.int64)
    labels[rng.choice(count, frauds, replace=False)] = 1
    features = rng.standard_normal((count, COLUMNS), dtype=np.float32)
    features[labels == 1] += 1
    scale = 1 + np.arange(COLUMNS, dtype=np.float32)
    return features * scale + scale, labels
