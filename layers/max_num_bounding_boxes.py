"""Cuts or fills the bounding boxes of each image to four."""

import keras
import numpy as np

KIND = "image"
MOST = 4


def examples(rng: np.random.Generator, count: int, size: int = 64) -> dict:
    """Images of uint8, each with six boxes, and a class for each box.

    Returns:
        `images` `[count, size, size, 3]`, and `bounding_boxes` with `boxes`
        `[count, 6, 4]` (left, top, right, bottom in pixels) and `labels` `[count, 6]`.
    """
    corners = np.sort(rng.uniform(0, size, (count, 6, 2, 2)), axis=2)
    return {
        "images": rng.integers(0, 256, (count, size, size, 3), dtype=np.uint8),
        "bounding_boxes": {
            "boxes": corners.reshape(count, 6, 4).astype(np.float32),
            "labels": rng.integers(0, 9, (count, 6)).astype(np.int32),
        },
    }


def build(examples: dict) -> keras.Layer:
    """The layer; boxes and classes beyond the fourth are cut."""
    return keras.layers.MaxNumBoundingBoxes(MOST, bounding_box_format="xyxy")


def check(batch: dict, output: dict) -> None:
    """Images stay, and so do the first four boxes with their classes."""
    before, after = batch["bounding_boxes"], output["bounding_boxes"]
    assert np.array_equal(output["images"], batch["images"]), "an image changed"
    for name in ("boxes", "labels"):
        expected = before[name][:, :MOST]
        assert after[name].shape == expected.shape, (
            f"{name}: {before[name].shape} became {after[name].shape}"
        )
        assert np.allclose(after[name], expected), f"{name} of an image changed"
