"""These tests find layers that move images while labels stay, by marked images."""

import keras
import numpy as np
import pytest
import shelf
import tensorflow as tf

from bench.measure import image_geometry

L = keras.layers


def moves(layers: list, size: int = 32, **axes: object) -> bool:
    """Return whether layers move images of a size."""
    assembly = shelf.assembly("random_flip", image_size=16, **axes)
    assembly.layers = layers
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (4, size, size, 3)).astype(np.uint8)
    return image_geometry.moves(assembly, tf.constant(images))


@pytest.mark.parametrize("order", ["map_batch", "batch_map"])
@pytest.mark.parametrize(
    "layer",
    [
        L.RandomFlip("vertical", seed=1),
        L.RandomTranslation(0.1, 0.1, seed=1),
        L.RandomRotation(0.05, seed=1),
        L.RandomZoom(0.2, seed=1),
        L.CenterCrop(20, 20),
        L.Permute((2, 1, 3)),
    ],
)
def test_geometry_moves(layer: keras.Layer, order: str) -> None:
    if isinstance(layer, L.Permute) and order == "map_batch":
        layer = L.Lambda(lambda x: tf.transpose(x, [1, 0, 2]))
    assert moves([layer], order=order)


@pytest.mark.parametrize(
    "layer",
    [
        L.RandomBrightness(0.5, seed=1),
        L.RandomInvert(seed=1),
        L.Solarization((0.5, 0.9), (0.5, 0.9), seed=1),
        L.RandomGaussianBlur(1.0, 5, (1.0, 1.0), seed=1),
        L.RandomErasing(seed=1),
        L.Resizing(20, 24),
        L.Rescaling(0.0),  # one colour
        L.Flatten(),  # not an image any more
    ],
)
@pytest.mark.parametrize("size", [28, 32])
def test_colours_blurs_and_sizes_do_not_move(layer: keras.Layer, size: int) -> None:
    assert not moves([layer], size, order="batch_map")


def test_only_labels_with_the_images_own_height_and_width_stay_behind() -> None:
    """A mask has the size of the image, with or without channels."""
    assembly = shelf.assembly("random_flip", image_size=16)
    features = tf.reshape(tf.range(4.0 * 16 * 16 * 3), [4, 16, 16, 3])

    def facts(*labels: object) -> dict:
        assembly.raw_batch = lambda: (features, *labels)
        return image_geometry.facts(assembly)

    assert facts(tf.zeros([4, 16, 16])) == {"masks_left": "labels of [16, 16]"}
    both = {"class": tf.zeros([4]), "mask": tf.zeros([4, 16, 16, 1])}
    assert facts(both) == {"masks_left": "labels of [16, 16, 1]"}
    assert facts(tf.zeros([4])) == facts() == facts(tf.zeros([4, 16, 4])) == {}
    assembly.layers = [L.Rescaling(1 / 255)]
    assert facts(tf.zeros([4, 16, 16])) == {}
