"""Blurs half of the images by a Gaussian of random width.

Keras draws the width once a call: batched first, all images of a batch share it.
"""

import keras
import numpy as np

from layers import _colours

KIND = "image"
DETERMINISTIC = False
KERNEL = 5
SIGMA = (0.5, 2.0)


def examples(rng: np.random.Generator, count: int, size: int = 64) -> np.ndarray:
    """Discs of values 64 to 191, uint8 `[count, size, size, 3]`."""
    return _colours.images(rng, count, size)


def build(examples: np.ndarray) -> keras.Layer:
    """The layer, with a seed; float32 out."""
    return keras.layers.RandomGaussianBlur(1.0, KERNEL, SIGMA, seed=7)


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """Each image is itself, or blurred by a Gaussian kernel of allowed widths.

    The kernel is fitted to the inside of eight images by least squares; it must be
    positive, sum to 1, and have the fourfold symmetry of a Gaussian along the axes.
    """
    assert output.dtype == np.float32, f"not float32 but {output.dtype}"
    assert output.shape == batch.shape, f"{batch.shape} became {output.shape}"
    same = (abs(output - batch) < 0.01).all(axis=(1, 2, 3))
    assert 0.1 < same.mean() < 0.9, f"{same.mean():.0%} of the images are as they were"
    images, blurred = batch[~same][:8].astype(np.float64), output[~same][:8]
    margin = KERNEL // 2
    inner = blurred[:, margin:-margin, margin:-margin]
    shifted = [
        images[:, down : down + inner.shape[1], across : across + inner.shape[2]]
        for down in range(KERNEL)
        for across in range(KERNEL)
    ]
    windows = np.stack(shifted, axis=-1)
    for some, target in zip(windows, inner, strict=True):
        flat = some.reshape(-1, KERNEL**2)
        kernel, *_ = np.linalg.lstsq(flat, target.ravel(), rcond=None)
        miss = abs(flat @ kernel - target.ravel()).max()
        assert miss < 0.1, f"an image is not a blurred one: off by {miss:g} of 255"
        kernel = kernel.reshape(KERNEL, KERNEL)
        assert abs(kernel.sum() - 1) < 0.01, f"the kernel sums to {kernel.sum():.3f}"
        assert kernel[margin, margin] > kernel[0, 0] - 1e-3, "the kernel does not blur"
        turned = abs(kernel - kernel[::-1, ::-1]).max()
        assert turned < 0.02, f"the kernel is not symmetrical, by {turned:.3f}"
