"""Integers of 20,000 categories: hash to 64 bins, one-hot, into one dense unit."""

import keras
import numpy as np

KIND = "structured"
EXAMPLES = 4096
CLASSES = 2
LOSS = "binary_crossentropy"
VARIANTS = {"one_hot": {"encoding": "one_hot"}}
BINS = 64
FIRST, CATEGORIES = 10_000, 20_000
SEED = 0x9AE16A3B2F90404F  # k2 of FarmHash
WORD = (1 << 64) - 1


def examples(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Customer numbers of five digits, int64 `[count]`, and their parity, int64."""
    numbers = rng.integers(FIRST, FIRST + CATEGORIES, count)
    return numbers, numbers % 2


def build(examples: np.ndarray, encoding: str = "hashed") -> list[keras.Layer]:
    """Hashing, or for comparison a lookup of every category; then one-hot."""
    if encoding == "hashed":
        first, size = keras.layers.Hashing(BINS), BINS
    else:
        everything = np.arange(FIRST, FIRST + CATEGORIES)
        first = keras.layers.IntegerLookup(vocabulary=everything)
        size = first.vocabulary_size()
    return [first, keras.layers.CategoryEncoding(size, output_mode="one_hot")]


def check(batch: np.ndarray, output: np.ndarray, encoding: str = "hashed") -> None:
    """1 in each number's bin by FarmHash of its digits, or at its own place."""
    if encoding == "hashed":
        size = BINS
        places = np.array([_farmhash(str(number).encode()) % BINS for number in batch])
    else:
        size = CATEGORIES + 1
        places = batch - FIRST + 1
    assert output.shape == (len(batch), size), f"the shape is {output.shape}"
    np.testing.assert_array_equal(output, places[:, None] == np.arange(size))


def model(features: keras.KerasTensor) -> keras.KerasTensor:
    """A hidden layer and one sigmoid."""
    x = keras.layers.Dense(16, activation="relu")(features)
    return keras.layers.Dense(1, activation="sigmoid")(x)


def _farmhash(text: bytes) -> int:
    """FarmHash's Fingerprint64 of 4 to 7 bytes (farmhashna, HashLen0to16)."""
    factor = SEED + 2 * len(text)
    low = len(text) + (int.from_bytes(text[:4], "little") << 3)
    high = int.from_bytes(text[-4:], "little")
    mixed = (low ^ high) * factor & WORD
    mixed ^= mixed >> 47
    mixed = (high ^ mixed) * factor & WORD
    mixed ^= mixed >> 47
    return mixed * factor & WORD
