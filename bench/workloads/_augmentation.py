"""The articles' augmentation of photographs, and what must be true of its output."""

import keras
import numpy as np
from PIL import Image

CENTRE = 4  # edge of the patch that rotation and zoom about the centre leave in place
SMALL = 32  # edge of the grey copies that are turned to find how an image was turned
ANGLES = np.arange(-36, 37, 6)  # degrees; the layer turns by a tenth of a circle


def layers(*, turned: bool = True) -> list[keras.Layer]:
    """Rescaling to [0, 1], then flip, rotation and zoom as in the two articles.

    Rotation and zoom do not compile with XLA; what stands before them does.
    """
    first = [
        keras.layers.Rescaling(1 / 255),
        keras.layers.RandomFlip("horizontal", seed=1),
    ]
    if not turned:
        return first
    return [
        *first,
        keras.layers.RandomRotation(0.1, seed=2),
        keras.layers.RandomZoom(0.1, seed=3),
    ]


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """Images are rescaled and turned about their centres, and about half are mirrored.

    Zoom by at most a tenth is not told from no zoom.

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
    angles, mirrored = _turns(scaled, output)
    assert angles.std() > 10, (
        f"angles spread by {angles.std():.0f} degrees: no rotation"
    )
    assert 0.2 < mirrored.mean() < 0.8, f"{mirrored.mean():.0%} of images are mirrored"


def check_flipped(batch: np.ndarray, output: np.ndarray) -> None:
    """Rescaled images, each itself or its mirror, and both occur."""
    assert output.dtype == np.float32, f"not float32 but {output.dtype}"
    assert output.shape == batch.shape, f"shape {batch.shape} became {output.shape}"
    scaled = batch.astype(np.float32) / 255
    itself, mirror = (
        np.isclose(output, one, atol=1e-6).all(axis=(1, 2, 3))
        for one in (scaled, scaled[:, :, ::-1])
    )
    assert (itself | mirror).all(), "an image is neither itself nor its mirror"
    share = mirror.mean()
    assert 0.2 < share < 0.8, f"{share:.0%} of images are mirrored"


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


def _turns(before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The angle in degrees that explains each image best, and whether mirrored."""
    row, column = np.indices((SMALL, SMALL)) - (SMALL - 1) / 2
    disc = np.hypot(row, column) < 0.45 * SMALL  # its content stays inside
    old, seen = _small(before), _small(after)[:, disc]
    errors = [
        [
            np.square(_turned(one, row[disc], column[disc], angle) - seen).mean(axis=1)
            for angle in np.deg2rad(ANGLES)
        ]
        for one in (old, old[:, :, ::-1])
    ]
    best = np.reshape(errors, (-1, len(old))).argmin(axis=0)
    mirror, place = np.unravel_index(best, (2, len(ANGLES)))
    return ANGLES[place], mirror == 1


def _small(images: np.ndarray) -> np.ndarray:
    """Grey copies, float32 `[n, SMALL, SMALL]`, 0 to 255."""
    thirds = np.full(images.shape[-1], 255 / images.shape[-1], np.float32)
    grey = np.clip(images @ thirds, 0, 255).astype(np.uint8)
    small = [Image.fromarray(one).resize((SMALL, SMALL)) for one in grey]
    return np.stack(small).astype(np.float32)


def _turned(
    images: np.ndarray, row: np.ndarray, column: np.ndarray, angle: float
) -> np.ndarray:
    """What bilinear turning brings to these pixels, counted from the centre."""
    centre = (SMALL - 1) / 2
    y = np.cos(angle) * row + np.sin(angle) * column + centre
    x = np.cos(angle) * column - np.sin(angle) * row + centre
    top, left = y.astype(int), x.astype(int)
    down, across = (y - top).astype(np.float32), (x - left).astype(np.float32)
    flat = images.reshape(len(images), -1)
    first = top * SMALL + left
    above = flat[:, first] * (1 - across) + flat[:, first + 1] * across
    first += SMALL
    below = flat[:, first] * (1 - across) + flat[:, first + 1] * across
    return above * (1 - down) + below * down
