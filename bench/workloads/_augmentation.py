"""The articles' augmentation of photographs, and what must be true of its output."""

import keras
import numpy as np
from PIL import Image

CENTRE = 4  # edge of the patch that rotation and zoom about the centre leave in place
SMALL = 32  # edge of the grey copies that are turned to find how an image was turned
ANGLES = np.arange(-36, 37, 6)  # degrees; the layer turns by a tenth of a circle


def layers() -> list[keras.Layer]:
    """Rescaling to [0, 1], then flip, rotation and zoom as in the two articles."""
    return [
        keras.layers.Rescaling(1 / 255),
        keras.layers.RandomFlip("horizontal", seed=1),
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
    angles, mirrored = [], []
    for old, new in zip(_small(before), _small(after), strict=True):
        seen = np.asarray(new, dtype=np.float32)[disc]
        pair = old, old.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        errors = [
            [np.square(_turned(one, angle)[disc] - seen).mean() for angle in ANGLES]
            for one in pair
        ]
        mirror, place = np.unravel_index(np.argmin(errors), (2, len(ANGLES)))
        angles.append(ANGLES[place])
        mirrored.append(mirror == 1)
    return np.array(angles), np.array(mirrored)


def _small(images: np.ndarray) -> list[Image.Image]:
    grey = np.clip(images.mean(axis=-1) * 255, 0, 255).astype(np.uint8)
    return [Image.fromarray(one).resize((SMALL, SMALL)) for one in grey]


def _turned(image: Image.Image, angle: float) -> np.ndarray:
    turned = image.rotate(angle, Image.Resampling.BILINEAR)
    return np.asarray(turned, dtype=np.float32)
