"""A check for layers that apply one of many operations, which no formula remakes."""

import numpy as np


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """Images keep shape and range, change, and resemble themselves more than others.

    Resemblance is the size of the correlation of pixels: an inverted image resembles
    itself, an exchanged, shuffled or constant one does not.
    """
    assert output.dtype == np.float32, f"not float32 but {output.dtype}"
    assert output.shape == batch.shape, f"{batch.shape} became {output.shape}"
    assert np.isfinite(output).all(), "a value is not finite"
    assert output.min() > -0.5 and output.max() < 255.5, (
        f"values are {output.min():g} to {output.max():g}, not 0 to 255"
    )
    flat = output.std(axis=(0, 1, 2))
    assert flat.min() > 1, f"channel {flat.argmin()} is the same in all images"
    changed = (abs(output - batch) > 0.01).any(axis=(1, 2, 3)).mean()
    assert changed > 0.4, f"only {changed:.0%} of the images are changed"
    before, after = (_standardized(images) for images in (batch, output))
    alike = abs(after @ before.T)
    own = (alike.argmax(axis=1) == np.arange(len(batch))).mean()
    assert own > 0.6, f"only {own:.0%} of the images resemble themselves most"


def _standardized(images: np.ndarray) -> np.ndarray:
    """Pixels with mean 0 and length 1, `[count, values]`."""
    flat = images.astype(np.float64).reshape(len(images), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9)
