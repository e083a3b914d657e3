"""Five tf.image steps by hand: flip, quarter turn, saturation, brightness, crop.

The peer of Keras's layers: what users write who use `tf.image` in a map function. On a
batch each image has its own flip, while turn, saturation, brightness and crop are drawn
once a call, as `tf.image` does it: batched first, all images of a batch share them.
"""

import keras
import numpy as np
import tensorflow as tf

from layers import _discs

KIND = "image"
DETERMINISTIC = False
BRIGHTNESS = 0.2
SATURATION = (0.5, 1.5)
MARGIN = 8


def examples(rng: np.random.Generator, count: int, size: int = 64) -> np.ndarray:
    """Discs on gradients, uint8 `[count, size, size, 3]`."""
    return _discs.images(rng, count, size)


class Augmented(keras.layers.Layer):
    """Augments an image `[size, size, 3]`, or a batch, to float32 within 0..1."""

    def call(self, images: tf.Tensor, training: bool = True) -> tf.Tensor:
        """The chain; outside training the middle of the image, as it is."""
        height, width = images.shape[-3] - MARGIN, images.shape[-2] - MARGIN
        images = tf.cast(images, tf.float32) / 255
        if not training:
            corner = MARGIN // 2
            return tf.image.crop_to_bounding_box(images, corner, corner, height, width)
        images = tf.image.random_flip_left_right(images, seed=1)
        images = tf.image.rot90(images, tf.random.uniform([], 0, 4, tf.int32, seed=2))
        images = tf.image.random_saturation(images, *SATURATION, seed=3)
        images = tf.image.random_brightness(images, BRIGHTNESS, seed=4)
        shape = (*tf.unstack(tf.shape(images)[:-3]), height, width, 3)
        images = tf.image.random_crop(images, shape, seed=5)
        images = tf.ensure_shape(images, (*images.shape[:-3], height, width, 3))
        return tf.clip_by_value(images, 0, 1)


def build(examples: np.ndarray) -> keras.Layer:
    """The chain as a layer, with seeds; square uint8 images in, float32 out."""
    return Augmented()


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """Of 16 images all over the steps are undone: the window is found, and made again.

    Saturation keeps a pixel's largest channel and brightness adds one number to it, so
    the window, flipped and turned, is the one where largest channels differ by one
    number. Saturation scales how far the other channels are below the largest.
    """
    count, size = batch.shape[:2]
    edge = size - MARGIN
    expected = (count, edge, edge, 3)
    assert output.dtype == np.float32, f"not float32 but {output.dtype}"
    assert output.shape == expected, f"{batch.shape} became {output.shape}"
    assert (output >= 0).all() and (output <= 1).all(), "a value is not within 0..1"
    some = np.linspace(0, count - 1, 16).astype(int)
    images = batch[some] / np.float32(255)
    drawn = [_undone(*pair) for pair in zip(images, output[some], strict=True)]
    difference = max(left for _, left in drawn)
    assert difference < 0.004, (
        f"an image is not its own augmentation: the nearest differs by {difference:.3f}"
    )
    flips = {flipped for (flipped, *_), _ in drawn}
    assert len(flips) == 2, "all images are flipped alike: nothing is random"
    # A batch may share one draw, and that may be nearly nothing: only a step that is
    # not there leaves no more than rounding.
    for what, values, limits, still, least in (
        ("saturation", [s for (*_, s, _), _ in drawn], SATURATION, 1, 1e-4),
        ("brightness", [b for (*_, b), _ in drawn], (-BRIGHTNESS, BRIGHTNESS), 0, 1e-5),
    ):
        assert limits[0] - 0.01 < min(values) <= max(values) < limits[1] + 0.01, (
            f"{what} of {min(values):.2f} to {max(values):.2f}, allowed are {limits}"
        )
        assert max(abs(value - still) for value in values) > least, (
            f"{what} is as it was in every image: that step is missing"
        )


def _undone(image: np.ndarray, output: np.ndarray) -> tuple[tuple, float]:
    """Flip, saturation and brightness of one image, and the difference left."""
    largest = output.max(axis=-1)
    known = (largest > 0) & (largest < 1)  # clipped values tell nothing
    if not known.any():
        return (False, 0.0, 0.0), np.inf
    flipped, window = _window(image, largest, known)
    value = window.max(axis=-1)
    brightness = float(np.median((largest - value)[known]))
    depth = value - window.min(axis=-1)
    known &= (depth > 0) & (output.min(axis=-1) > 0)
    ratio = (largest - output.min(axis=-1))[known] / depth[known]
    saturation = float(ratio.max(initial=0))  # less only where it cannot grow further
    scale = np.minimum(saturation, value / np.maximum(depth, 1e-9))[..., None]
    remade = value[..., None] - (value[..., None] - window) * scale + brightness
    difference = abs(np.clip(remade, 0, 1) - output).max()
    return (flipped, saturation, brightness), float(difference)


def _window(
    image: np.ndarray, largest: np.ndarray, known: np.ndarray
) -> tuple[bool, np.ndarray]:
    """Whether the image was flipped, and the window that brightness alone explains."""
    rows, columns = _telling(largest, known)
    image_largest = image.max(axis=-1)
    least, best = np.inf, (False, 0, 0, 0)
    for flipped in (False, True):
        for turns in range(4):
            windows = np.lib.stride_tricks.sliding_window_view(
                _turned(image_largest, flipped, turns), largest.shape
            )
            shifts = windows[:, :, rows, columns] - largest[rows, columns]
            spread = np.ptp(shifts, axis=-1)
            top, left = np.unravel_index(spread.argmin(), spread.shape)
            if spread[top, left] < least:
                least, best = spread[top, left], (flipped, turns, top, left)
    flipped, turns, top, left = best
    edge = len(largest)
    return flipped, _turned(image, flipped, turns)[top:, left:][:edge, :edge]


def _turned(image: np.ndarray, flipped: bool, turns: int) -> np.ndarray:
    return np.rot90(image[:, ::-1] if flipped else image, turns)


def _telling(largest: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of known pixels: some from all over, some from the edges."""
    slope = sum(abs(part) for part in np.gradient(largest))
    rows, columns = np.nonzero(known)
    order = slope[rows, columns].argsort()
    edges = order[-max(len(order) // 50, 64) :]
    few = np.concatenate([p[:: max(1, len(p) // 96)] for p in (order, edges)])
    return rows[few], columns[few]
