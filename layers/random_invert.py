"""Inverts images at random, each on its own, with probability one half.

Besides the built-in layer there are the two ways to write one's own: `subclass`, a
subclassed layer, and `lambda`, a Lambda layer, which augments in inference too, because
it is not told whether this is training. The Keras tutorial's own version draws once a
call, so that a batch is inverted as a whole; here each example has its own draw, or the
three would not do the same work.
"""

import keras
import numpy as np
import tensorflow as tf

KIND = "image"
DETERMINISTIC = False
VARIANTS = {"subclass": {"form": "subclass"}, "lambda": {"form": "lambda"}}


def examples(rng: np.random.Generator, count: int, size: int = 64) -> np.ndarray:
    """Images of uint8, `[count, size, size, 3]`."""
    return rng.integers(0, 256, (count, size, size, 3), dtype=np.uint8)


class RandomInvert(keras.layers.Layer):
    """Each image of a batch, or the one image, becomes 255 - x or stays."""

    def __init__(self, probability: float = 0.5, seed: int | None = None) -> None:
        """A layer that inverts with this probability."""
        super().__init__()
        self.probability = probability
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, images: tf.Tensor, training: bool = True) -> tf.Tensor:
        """Images `[height, width, 3]` or batches of them to float32."""
        images = keras.ops.cast(images, self.compute_dtype)
        if not training:
            return images
        draw = keras.random.uniform(_one_each(images), seed=self.generator)
        return keras.ops.where(draw < self.probability, 255 - images, images)


def build(examples: np.ndarray, form: str = "keras") -> keras.Layer:
    """The layer, with a seed; uint8 in, float32 out."""
    if form == "subclass":
        return RandomInvert(seed=7)
    if form == "lambda":
        return keras.layers.Lambda(_inverted)
    return keras.layers.RandomInvert(factor=(0.5, 0.5), seed=7)


def check(batch: np.ndarray, output: np.ndarray, form: str = "keras") -> None:
    """Each image is itself or its negative, about half of them each."""
    assert output.dtype == np.float32, f"not float32 but {output.dtype}"
    assert output.shape == batch.shape, f"{batch.shape} became {output.shape}"
    itself = (output == batch).all(axis=(1, 2, 3))
    negative = (output == 255 - batch).all(axis=(1, 2, 3))
    assert (itself | negative).all(), "an image is neither itself nor its negative"
    assert not itself.all(), "no image was inverted: the layer does nothing"
    assert not negative.all(), "every image was inverted: nothing is random"
    share = negative.mean()
    assert 0.2 < share < 0.8, f"{share:.0%} of the images were inverted, not half"


def _inverted(images: tf.Tensor) -> tf.Tensor:
    images = tf.cast(images, tf.float32)
    draw = tf.random.uniform(_one_each(images), seed=7)
    return tf.where(draw < 0.5, 255 - images, images)


def _one_each(images: tf.Tensor) -> tuple:
    return (*keras.ops.shape(images)[:-3], 1, 1, 1)
