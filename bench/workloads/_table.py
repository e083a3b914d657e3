"""A made table of named columns, and what its columns must become, in NumPy."""

from collections import Counter
from collections.abc import Mapping

import numpy as np

NUMBERS, TEXTS, WHOLE = 18, 6, 6
MISSING = 0.05
GAPS = "__missing"  # ends the name of a column that marks gaps
TOKENS = 64  # places of a column's categories; 0 is for unknown and rare ones
CITIES = ("Bonn", "Lima", "Oslo", "Paris", "Quito", "Rome", "Turin", "Vienna")


def columns(rng: np.random.Generator, count: int) -> dict[str, np.ndarray]:
    """Return 30 columns `[count]` by name.

    Of these, 18 are float32 with NaN where a value is missing, 6 are text and 6 are
    int64. Some categories are frequent and others are rare.
    """
    table: dict[str, np.ndarray] = {}
    for n in range(NUMBERS):
        values = rng.normal(n, 1 + n, count).astype(np.float32)
        values[rng.random(count) < MISSING] = np.nan
        table[f"number_{n:02d}"] = values
    for n in range(TEXTS):
        table[f"text_{n}"] = rng.choice(CITIES, count, p=_shares(len(CITIES)))
    for n in range(WHOLE):
        table[f"whole_{n}"] = rng.choice(5 + n, count, p=_shares(5 + n))
    return table


def means(table: Mapping[str, np.ndarray]) -> dict[str, np.float32]:
    """Return the mean of each column of floats, without its gaps; 0 if all are gaps."""
    values = {n: x[~np.isnan(x)] for n, x in table.items() if x.dtype.kind == "f"}
    return {
        name: np.float32(there.mean(dtype=np.float64) if len(there) else 0)
        for name, there in values.items()
    }


def filled(
    table: Mapping[str, np.ndarray], means: Mapping[str, np.float32]
) -> dict[str, np.ndarray]:
    """Return the table with these means in the gaps, and columns that mark the gaps."""
    complete = dict(table)
    for name, mean in means.items():
        gaps = np.isnan(table[name])
        complete[name] = np.where(gaps, mean, table[name])
        complete[name + GAPS] = gaps.astype(np.float32)
    return complete


def encoded(
    known: Mapping[str, np.ndarray], table: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Return what a filled table must become, sorted by name, float64 `[rows, width]`.

    Numbers become standard scores, and marks of gaps stay. Text and whole numbers
    become one-hot vectors.

    Args:
        known: The filled table to which the layers were adapted.
        table: The filled table that they got.
    """
    blocks = []
    for name in sorted(table):
        values, examples = table[name], known[name]
        if name.endswith(GAPS):
            blocks.append(values[:, None])
        elif values.dtype.kind == "f":
            mean, deviation = (f(examples, dtype=np.float64) for f in (np.mean, np.std))
            blocks.append((values[:, None] - mean) / max(deviation, 1e-7))
        else:
            places = _places(examples)
            row = np.array([places.get(_plain(value), 0) for value in values])
            blocks.append(row[:, None] == np.arange(1 + len(places)))
    return np.concatenate(blocks, axis=1, dtype=np.float64)


def _places(values: np.ndarray) -> dict[object, int]:
    """Return the place of each value, the most frequent first; the last wins a tie."""
    counts = Counter(map(_plain, values))
    ranked = sorted(counts, key=lambda value: (counts[value], value), reverse=True)
    return {value: place + 1 for place, value in enumerate(ranked[: TOKENS - 1])}


def _plain(value: object) -> object:
    """Return text as bytes, and a number as it is."""
    return value.encode() if isinstance(value, str) else value


def _shares(categories: int) -> np.ndarray:
    """Return the share of each category, of which the first are the most frequent."""
    weights = 1 / np.arange(1, categories + 1)
    return weights / weights.sum()
