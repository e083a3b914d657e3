"""The articles' augmentation of photographs, and what must be true of its output."""

import keras
import numpy as np

CENTRE = 4  # edge of the patch that rotation and zoom about the centre leave in place


def layers() -> list[keras.Layer]:
    """Rescaling to [0, 1], then flip, rotation and zoom as in the two articles."""
    return [
        keras.layers.Rescaling(1 / 255),
        keras.layers.RandomFlip("horizontal", seed=1),
        keras.layers.RandomRotation(0.1, seed=2),
        keras.layers.RandomZoom(0.1, seed=3),
    ]


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """Images are rescaled, turned about their own centres, and about half are mirrored.

    Args:
        batch: Images of uint8, `[n, height, width, channels]`.
        output: What the layers made of them.
    """
    scaled = batch.astype(np.float32) / 255
    assert output.dtype == np.float32, f"not float32 but {output.dtype}"
    assert output.shape == batch.shape, f"shape {batch.shape} became {output.shape}"
    assert output.min() >= -1e-3, f"{output.min()} is below the range 0 to 1"
    assert output.max() <= 1 + 1e-3, f"{output.max()} is above the range 0 to 1"
    drift = np.abs(output.mean(axis=(0, 1, 2)) - scaled.mean(axis=(0, 1, 2)))
    assert drift.max() < 0.05, f"a channel's mean moved by {drift.max():.3f}"
    centres = np.abs(_centre(output) - _centre(scaled))
    assert np.median(centres) < 0.05, "the centres of the images moved"
    changed = np.abs(output - scaled).mean(axis=(1, 2, 3)) > 1e-4
    assert changed.mean() > 0.9, f"only {changed.mean():.0%} of the images changed"
    mirrored = _likeness(output, scaled[:, :, ::-1]) > _likeness(output, scaled)
    assert 0.1 < mirrored.mean() < 0.9, f"{mirrored.mean():.0%} of images are mirrored"


def small_network(features: keras.KerasTensor, classes: int) -> keras.KerasTensor:
    """A small convolutional network with a softmax over the classes."""
    x = features
    for filters in (16, 32, 64):
        x = keras.layers.Conv2D(filters, 3, strides=2, activation="relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.layers.Dense(classes, activation="softmax")(x)


def _centre(images: np.ndarray) -> np.ndarray:
    top, left = ((edge - CENTRE) // 2 for edge in images.shape[1:3])
    return images[:, top : top + CENTRE, left : left + CENTRE].mean(axis=(1, 2))


def _likeness(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Less the mean squared difference, image by image."""
    return -np.square(some - others).mean(axis=(1, 2, 3))
