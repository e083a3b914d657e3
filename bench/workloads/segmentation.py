"""Images and their masks through one random layer: flip and turn both, convolve."""

import keras
import numpy as np

KIND = "image"
EXAMPLES = 512
DETERMINISTIC = False
ON = "example"
CLASSES = 3
EDGE = 64
STEP = 80  # grey levels between classes, so that a mask can be compared with its image
NOISE = 8


class Augmentation(keras.Layer):
    """A layer rescales images, and flips and turns them together with their masks.

    It takes and returns a dict of `images`, `[..., 64, 64, 3]`, and `labels`, uint8
    `[..., 64, 64, 1]`. Images come back as float32 from 0 to 1.
    """

    def __init__(self) -> None:
        """Make the layers inside, with seeds."""
        super().__init__()
        self.flip = keras.layers.RandomFlip("horizontal", seed=1)
        self.turn = keras.layers.RandomRotation(0.1, fill_mode="nearest", seed=2)

    def call(self, example: dict, training: bool = True) -> dict:
        """Draw once for an image and its mask."""
        images = keras.ops.cast(example["images"], "float32") / 255
        pair = {"images": images, "segmentation_masks": example["labels"]}
        pair = self.turn(self.flip(pair, training=training), training=training)
        masks = keras.ops.cast(pair["segmentation_masks"], "uint8")
        return {"images": pair["images"], "labels": masks}


def examples(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images of a box, uint8 `[count, 64, 64, 3]`, and their masks.

    Masks are uint8 `[count, 64, 64, 1]`: 1 or 2 in the box, which lies on the left, and
    0 around it.
    """
    masks = np.zeros((count, EDGE, EDGE, 1), np.uint8)
    boxes = rng.integers((14, 10, 8, 8), (26, 20, 26, 26), (count, 4))
    for mask, (top, left, height, width) in zip(masks, boxes, strict=True):
        mask[top : top + height, left : left + width] = rng.integers(1, CLASSES)
    noise = rng.integers(0, NOISE, (count, EDGE, EDGE, 3), dtype=np.uint8)
    return masks * STEP + noise, masks


def build(examples: np.ndarray) -> keras.Layer:
    """Return the augmentation of both."""
    return Augmentation()


def check(batch: tuple, output: tuple) -> None:
    """Compare each mask with its own image and with the mask before.

    Args:
        batch: Images of uint8 and their masks.
        output: Augmented images, float32, and augmented masks.
    """
    (images, masks), (seen, classes) = batch, output
    assert seen.dtype == np.float32, f"not float32 but {seen.dtype}"
    assert seen.shape == images.shape, f"shape {images.shape} became {seen.shape}"
    assert classes.dtype == masks.dtype, f"masks became {classes.dtype}"
    assert np.isin(classes, range(CLASSES)).all(), "a mask has another class"
    expected = (classes * float(STEP) + (NOISE - 1) / 2) / 255
    fits = abs(seen - expected) < NOISE / 255
    assert fits.mean() > 0.97, f"{fits.mean():.0%} of the values fit their mask"
    for number in range(1, CLASSES):
        before, after = ((m == number).sum(axis=(1, 2, 3)) for m in (masks, classes))
        assert (abs(after - before) <= 8 + 0.1 * before).all(), "a mask grew or shrank"
    changed = (classes != masks).any(axis=(1, 2, 3)).mean()
    assert changed > 0.8, f"only {changed:.0%} of the masks changed"
    left = (classes[:, :, : EDGE // 2] > 0).sum() / (classes > 0).sum()
    assert 0.22 < left < 0.78, f"{left:.0%} of the boxes lie on the left: no flip"


def model(features: keras.KerasTensor) -> keras.KerasTensor:
    """Return the share of each class for each pixel, by an encoder and a decoder."""
    x = keras.layers.Conv2D(16, 3, strides=2, padding="same", activation="relu")(
        features
    )
    x = keras.layers.Conv2DTranspose(16, 3, strides=2, padding="same")(x)
    return keras.layers.Conv2D(CLASSES, 1, activation="softmax")(x)
