"""Changes brightness, contrast, saturation and hue of each image at random."""

import keras
import numpy as np

from layers import _colours

KIND = "image"
DETERMINISTIC = False
BRIGHTNESS, CONTRAST, SATURATION, HUE = 0.1, 0.2, (0.3, 0.5), 0.1


def examples(rng: np.random.Generator, count: int, size: int = 64) -> np.ndarray:
    """Discs of values 64 to 191, uint8 `[count, size, size, 3]`."""
    return _colours.images(rng, count, size)


def build(examples: np.ndarray) -> keras.Layer:
    """The layer, with a seed; float32 out. Nothing is clipped at these strengths."""
    return keras.layers.RandomColorJitter(
        brightness_factor=BRIGHTNESS,
        contrast_factor=CONTRAST,
        saturation_factor=SATURATION,
        hue_factor=HUE,
        seed=7,
    )


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """One brightness, contrast, saturation and hue remake each image.

    Saturation and hue leave the brightest channel alone, so it tells brightness and
    contrast; with these, the ratio of saturations and the turn of hues must each be one
    number an image.
    """
    assert output.dtype == np.float32, f"not float32 but {output.dtype}"
    assert output.shape == batch.shape, f"{batch.shape} became {output.shape}"
    some = np.linspace(0, len(batch) - 1, 16).astype(int)
    found = np.array([_jitter(*p) for p in zip(batch[some], output[some], strict=True)])
    shift, contrast, saturation, turn, misses = found.T
    assert misses.max() < 0.1, f"an image is off by {misses.max():.2f} from its jitter"
    assert abs(shift).max() < 255 * BRIGHTNESS + 0.5, f"brightness by {shift}"
    assert abs(contrast - 1).max() < CONTRAST + 0.02, f"contrast by {contrast}"
    low, high = (f / (1 - f) for f in SATURATION)
    assert low - 0.02 < saturation.min() and saturation.max() < high + 0.02, (
        f"saturation by {saturation.min():.2f} to {saturation.max():.2f}"
    )
    assert abs(turn).max() < HUE / 2 + 1e-3, f"hue by up to {abs(turn).max():.3f}"
    for name, values in zip(
        ("brightness", "contrast", "saturation", "hue"), found.T, strict=False
    ):
        assert np.ptp(values) > 0, f"{name} is the same in all images"


def _jitter(image: np.ndarray, output: np.ndarray) -> tuple[float, ...]:
    """Shift, contrast, saturation, hue turn of an image, and the largest miss."""
    image = image.astype(np.float64)
    mean = image.mean(axis=(0, 1))
    hue, saturation, value = _colours.hsv(output)

    def changed(contrast: float, shift: float = 0.0) -> np.ndarray:
        return contrast * (image - mean) + mean + shift

    def fitted(contrast: float) -> tuple[float, float]:
        apart = value - changed(contrast).max(axis=-1)
        return float(np.median(apart)), float(abs(apart - np.median(apart)).mean())

    grid = np.linspace(1 - CONTRAST - 0.02, 1 + CONTRAST + 0.02, 89)
    step = grid[1] - grid[0]
    best = min(grid, key=lambda contrast: fitted(contrast)[1])
    for _ in range(12):
        step /= 2
        near = (best - step, best, best + step)
        best = min(near, key=lambda contrast: fitted(contrast)[1])
    shift = fitted(best)[0]
    before = changed(best, shift)
    old_hue, old_saturation, old_value = _colours.hsv(before)
    known = old_saturation > 0.1
    ratio = float(np.median((saturation / np.maximum(old_saturation, 1e-9))[known]))
    turn, most = _colours.hue_turns(old_hue, hue, known & (saturation > 0.05))
    misses = (
        abs(value - old_value).max(),
        255 * abs(saturation - ratio * old_saturation).max(),
        255 * most / 6,
    )
    return shift, float(best), ratio, float(turn), float(max(misses))
