"""A slow-down of a known size, put into a workload's layers, to test the guard with.

The workload's own file is copied with one more layer: an operation inside the graph
that hashes so many equal numbers, on one thread, and whose result (that there was one)
is added to the output as nothing, so that no optimizer can leave it out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench import catalog
from bench.errors import UsageError

AIMED_AT = 0.05  # what a number costs depends on how many there are
LEAST_RATIO = 1.02  # less is noise, and one of 1 or below would be divided by
FIRST = 10_000  # numbers hashed a call, where nothing is known
LEAST = 1  # the op stays in the graph of the unslowed file too: only its length differs

BUSY = '''

class Busy(keras.layers.Layer):
    """The input, after hashing so many equal numbers."""

    def call(self, inputs):
        first = tf.cast(tf.reshape(inputs, [-1])[0], tf.int32)
        numbers, _ = tf.unique(tf.fill([{length}], first))
        return inputs + tf.cast(tf.size(numbers) - 1, inputs.dtype)


_built = build


def build(examples, **variant):
    """The layers, and the busy one."""
    layers = _built(examples, **variant)
    return [*(layers if isinstance(layers, (list, tuple)) else [layers]), Busy()]
'''


@dataclass(frozen=True)
class Calibrated:
    """How much longer a trial takes by the numbers that it hashes.

    Attributes:
        length: How many numbers were hashed.
        ratio: What they did to the trial's time, measured.
    """

    length: int
    ratio: float

    def length_for(self, slower: float) -> int:
        """How many numbers make the trial slower by this share of its time."""
        if slower == 0:
            return LEAST
        per_number = (self.ratio - 1) / (self.length - LEAST)
        return LEAST + round(slower / per_number)


def text(workload: str, length: int) -> str:
    """The text of a workload's file with the busy layer behind its own.

    Args:
        workload: A name on the shelves, whose layers give numbers.
        length: How many numbers each call hashes.
    """
    own = catalog.find(workload).path.read_text(encoding="utf-8")
    imported = own.replace("import keras\n", "import keras\nimport tensorflow as tf\n")
    return imported + BUSY.format(length=length)


def calibrate(measure: Callable[[int], float], first: int = FIRST) -> Calibrated:
    """Find how much longer a trial takes for each number.

    Measured at about 5 % as long again, near what will be injected, so that little is
    extrapolated.

    Args:
        measure: The trial's time with so many numbers as a ratio to that with one.
        first: Where to begin.

    Raises:
        UsageError: However many numbers were tried, the trial took no longer.
    """
    length, ratio = first, measure(first)
    for _ in range(3):
        if AIMED_AT / 2 < ratio - 1 < 1.5 * AIMED_AT:
            break
        if ratio > LEAST_RATIO:
            length = max(LEAST + 1, round(length * AIMED_AT / (ratio - 1)))
        else:
            length *= 20
        ratio = measure(length)
    if not ratio > LEAST_RATIO:  # NaN too
        raise UsageError(
            f"Hashing {length:,} numbers a call made the trial {ratio:.3f} times as "
            f"long; to slow it by a known share it must be more than {LEAST_RATIO:g}. "
            "Measure on a quieter machine, or name a workload with shorter calls."
        )
    return Calibrated(length, ratio)


def write(workload: str, length: int, folder: Path) -> Path:
    """Put such a file into a folder, under the workload's name."""
    path = folder / f"{workload}.py"
    path.write_text(text(workload, length), encoding="utf-8")
    return path
