"""Shifts images up or down and sideways at random, by up to a tenth."""

import keras
import numpy as np

from layers import _discs

KIND = "image"
DETERMINISTIC = False
FACTOR = 0.1


def examples(rng: np.random.Generator, count: int, size: int = 64) -> np.ndarray:
    """Discs on gradients, uint8 `[count, size, size, 3]`."""
    return _discs.images(rng, count, size)


def build(examples: np.ndarray) -> keras.Layer:
    """The layer, bilinear and mirrored at the borders, seeded; float32 out."""
    return keras.layers.RandomTranslation(FACTOR, FACTOR, fill_mode="reflect", seed=7)


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """Each image is its own translation: that of 8 all over is found, and remade.

    The rest must keep to the images' range of values, which mirroring at the borders
    cannot leave.
    """
    assert output.dtype == np.float32, f"not float32 but {output.dtype}"
    assert output.shape == batch.shape, f"{batch.shape} became {output.shape}"
    within = output.min() > batch.min() - 0.5 and output.max() < batch.max() + 0.5
    assert within, "a value leaves the images' range"
    some = np.linspace(0, len(batch) - 1, 8).astype(int)
    found, difference = _found(batch[some].astype(np.float64), output[some])
    assert difference.max() < 0.5, (
        f"an image is not its own translation: the nearest one differs by "
        f"{difference.max():.1f} of 255"
    )
    shifts = np.ptp(found, axis=0)  # pixels, down and across
    asked = 2 * FACTOR * np.array(batch.shape[1:3])
    assert (shifts > asked / 10).all(), (
        f"shifts differ by at most {shifts.min():.2f} pixels, where they may by "
        f"{asked.min():.0f}"
    )


def _found(images: np.ndarray, output: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The shift that remakes each output, down and across, and the difference left.

    A shift by whole pixels and a fraction mixes four neighbours: for each whole shift
    the best mixture is solved for, and for the right one it leaves nothing.
    """
    count, height, width, _ = images.shape
    y, x = np.meshgrid(
        np.linspace(0, height - 1, 12).astype(int),
        np.linspace(0, width - 1, 12).astype(int),
        indexing="ij",
    )
    target = output[:, y, x].reshape(count, -1)
    furthest_y, furthest_x = int(FACTOR * height) + 1, int(FACTOR * width) + 1
    found, least = np.zeros((count, 2)), np.full(count, np.inf)
    for down in range(-furthest_y, furthest_y):
        rows = [_mirrored(y - down - step, height) for step in (0, 1)]
        for across in range(-furthest_x, furthest_x):
            columns = [_mirrored(x - across - step, width) for step in (0, 1)]
            four = np.stack(
                [images[:, r, c].reshape(count, -1) for r in rows for c in columns]
            )
            # Weights of a mixture add up to 1: three are free.
            base, others = four[0], (four[1:] - four[0]).transpose(1, 2, 0)
            normal = others.transpose(0, 2, 1) @ others + 1e-3 * np.eye(3)
            right = others.transpose(0, 2, 1) @ (target - base)[..., None]
            weights = np.linalg.solve(normal, right)
            one_across, one_down, both = weights[..., 0].T
            part = np.clip([one_down + both, one_across + both], 0, 1)
            left = abs(_mixed(four, *part[..., None]) - target).max(axis=1)
            here = part.T + np.array([down, across])
            found = np.where((left < least)[:, None], here, found)
            least = np.minimum(left, least)
    return found, least


def _mixed(four: np.ndarray, down: np.ndarray, across: np.ndarray) -> np.ndarray:
    above = four[0] * (1 - across) + four[1] * across
    below = four[2] * (1 - across) + four[3] * across
    return above * (1 - down) + below * down


def _mirrored(index: np.ndarray, size: int) -> np.ndarray:
    index = np.where(index < 0, -1 - index, index)
    return np.where(index >= size, 2 * size - 1 - index, index)
