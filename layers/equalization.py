"""Spreads the values of each channel evenly over the range (histogram equalization).

Keras counts over the whole batch: batched first, the images of a batch share their
histogram, so that another batch gives other values.
"""

import keras
import numpy as np

from layers import _discs

KIND = "image"


def examples(rng: np.random.Generator, count: int, size: int = 64) -> np.ndarray:
    """Discs on gradients, uint8 `[count, size, size, 3]`."""
    return _discs.images(rng, count, size)


class Equalization(keras.layers.Equalization):
    """The layer of Keras, made fit for a functional model.

    Keras 3.15.1 declares its input as its output, which a model refuses as a cycle.
    """

    def compute_output_spec(
        self, inputs: keras.KerasTensor, **kwargs: object
    ) -> keras.KerasTensor:
        """Images of the same shape, in the type that the layer computes in."""
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)


def build(examples: np.ndarray) -> keras.Layer:
    """The layer; float32 out."""
    return Equalization()


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """The formula of histogram equalization, over groups of images that share one.

    How many images share a histogram depends on where the layer runs, so the size of
    the groups is searched: 1 for single images, else a batch.
    """
    assert output.dtype == np.float32, f"not float32 but {output.dtype}"
    assert output.shape == batch.shape, f"{batch.shape} became {output.shape}"
    sizes = [
        size
        for size in range(1, len(batch) + 1)
        if _matches(batch[:size], output[:size])
    ]
    starts = range(0, len(batch), 1)
    assert any(
        all(_matches(batch[s : s + size], output[s : s + size]) for s in starts[::size])
        for size in sizes
    ), "the values are not equalized over any number of images"


def _matches(images: np.ndarray, output: np.ndarray) -> bool:
    """Whether the output is that of one histogram over these images, by channel."""
    for channel in range(images.shape[-1]):
        values = images[..., channel]
        table = np.cumsum(np.bincount(values.ravel(), minlength=256))
        first = table[table > 0][0]
        table = np.round((table - first) * 255 / max(table[-1] - first, 1)).clip(0, 255)
        apart = abs(table[values] - output[..., channel]) > 0.01
        if apart.mean() > 0.01:  # a half may be rounded either way
            return False
    return True
