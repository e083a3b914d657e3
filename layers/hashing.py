"""Hashes strings into 64 bins."""

import keras
import numpy as np

KIND = "structured"
VARIANTS = {"one_hot": {"one_hot": True}}
BINS = 64


def examples(rng: np.random.Generator, count: int) -> np.ndarray:
    """Identifiers such as `user_48213377`, bytes `[count]` of 8 to 14 characters."""
    digits = rng.integers(3, 10, count)
    numbers = rng.integers(10 ** (digits - 1), 10**digits)
    return np.array([f"user_{number}" for number in numbers], dtype="S")


def build(
    examples: np.ndarray, one_hot: bool = False
) -> keras.Layer | list[keras.Layer]:
    """The layer, strings in, int64 out; with `one_hot` float32 `[..., 64]` out."""
    layer = keras.layers.Hashing(num_bins=BINS)
    if not one_hot:
        return layer
    return [layer, keras.layers.CategoryEncoding(BINS, output_mode="one_hot")]


def check(batch: np.ndarray, output: np.ndarray, one_hot: bool = False) -> None:
    """FarmHash in plain Python, modulo 64."""
    expected = np.array([_farmhash64(key) % BINS for key in batch.tolist()])
    if one_hot:
        expected = np.eye(BINS, dtype=np.float32)[expected]
    np.testing.assert_array_equal(output, expected)


def _farmhash64(key: bytes) -> int:
    """FarmHash's Fingerprint64 of 8 to 16 bytes (farmhash.cc, `HashLen0to16`)."""
    size = len(key)
    assert 8 <= size <= 16, f"this FarmHash takes 8 to 16 bytes, got {size}: {key!r}"
    mask = 2**64 - 1
    constant = 0x9AE16A3B2F90404F

    def rotate(value: int, bits: int) -> int:
        return (value >> bits | value << (64 - bits)) & mask

    multiplier = constant + 2 * size
    first = (int.from_bytes(key[:8], "little") + constant) & mask
    last = int.from_bytes(key[-8:], "little")
    left = (rotate(last, 37) * multiplier + first) & mask
    right = (rotate(first, 25) + last) * multiplier & mask
    mixed = (left ^ right) * multiplier & mask
    mixed ^= mixed >> 47
    mixed = (right ^ mixed) * multiplier & mask
    mixed ^= mixed >> 47
    return mixed * multiplier & mask
