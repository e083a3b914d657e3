"""A slow-down of a known size, put into a workload's layers, to test the guard with.

The workload's own file is copied with one more layer: operations inside the graph,
one after another, that hash rows of so many equal numbers on one thread. Each one's
result (that all rows are one) is an input of the next, and at last of the output, as
nothing, so that no optimizer can leave one out.

What they cost beside the workload's own work moves with the machine's state: the same
length made text 3.4 % slower and half an hour later 4.1 %. So there are `TIMES` of
them, of which head makes one long. A third file, the yardstick, makes all long and is
slower by `TIMES` as much: measured beside head it tells what head's share was then.

What a number costs must not depend on how many there are: beyond the first 50, 25 ns
each, up to 40,000 in a row. Two things do not do: hashing single numbers, for which
TensorFlow reserves a table of a power of two, so that one number more can cost 20 % of
all; and rows of one number, which it takes for single ones.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench import catalog
from bench.errors import UsageError

AIMED_AT = 0.05  # when calibrating
LEAST_RATIO = 1.02  # less is noise, and one of 1 or below would be divided by
FIRST = 2_000  # numbers in a row, where nothing is known
LEAST = 50  # in the unslowed file: the operation stays in its graph
ROWS = 16
TIMES = 4  # operations; only one is long where a slow-down is injected
RECENT = 6  # measurements that the length of the next is told by

BUSY = '''

class Busy(keras.layers.Layer):
    """The input, after hashing rows of so many equal numbers, so many times."""

    def call(self, inputs):
        first = last = tf.cast(tf.reshape(inputs, [-1])[0], tf.int8)
        for length in {lengths}:
            rows = tf.fill([{rows}, length], last)
            different, _ = tf.raw_ops.UniqueV2(x=rows, axis=[0])
            last += tf.cast(tf.shape(different)[0] - 1, tf.int8)
        return inputs + tf.cast(last - first, inputs.dtype)


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
        length: How many numbers were in a row.
        ratio: What they did to the trial's time, measured.
    """

    length: int
    ratio: float

    def length_for(self, slower: float) -> int:
        """How many numbers make the trial slower by this share of its time."""
        per_number = (self.ratio - 1) / (self.length - LEAST)
        return LEAST + round(slower / per_number)


@dataclass
class Lengths:
    """How long the operation must be, by the latest measurements.

    Attributes:
        found: Each workload's.
    """

    found: dict[str, list[Calibrated]] = field(default_factory=dict)

    def calibrate(self, workload: str, measure: Callable[[int], float]) -> Calibrated:
        """Calibrate once more: see the function of that name."""
        known = self.found.get(workload)
        self.learn(workload, calibrate(measure, known[-1].length if known else FIRST))
        return self.found[workload][-1]

    def learn(self, workload: str, told: Calibrated) -> None:
        """What a length did to a workload's time, by a calibration or a yardstick."""
        self.found.setdefault(workload, []).append(told)

    def slower(self, workload: str, change: float) -> int:
        """The length that makes a workload slower by this share of its time."""
        if change == 0:
            return LEAST
        recent = self.found[workload][-RECENT:]
        return round(statistics.median(one.length_for(change) for one in recent))


def text(workload: str, length: int, long: int = 1) -> str:
    """The text of a workload's file with the busy layer behind its own.

    Args:
        workload: A name on the shelves, whose layers give numbers.
        length: How many numbers are in each row that a long operation hashes.
        long: How many operations of the `TIMES` are long.
    """
    own = catalog.find(workload).path.read_text(encoding="utf-8")
    imported = own.replace("import keras\n", "import keras\nimport tensorflow as tf\n")
    lengths = [length] * long + [LEAST] * (TIMES - long)
    return imported + BUSY.format(rows=ROWS, lengths=lengths)


def calibrate(measure: Callable[[int], float], first: int = FIRST) -> Calibrated:
    """Find how much longer a trial takes for each number.

    Measured at about 5 % as long again, near what will be injected.

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
            length = max(LEAST + 1, Calibrated(length, ratio).length_for(AIMED_AT))
        else:
            length *= 20
        ratio = measure(length)
    if not ratio > LEAST_RATIO:  # NaN too
        raise UsageError(
            f"Hashing rows of {length:,} numbers made the trial {ratio:.3f} times as "
            f"long; to slow it by a known share it must be more than {LEAST_RATIO:g}. "
            "Measure on a quieter machine, or name a workload with shorter calls."
        )
    return Calibrated(length, ratio)


def write(workload: str, length: int, folder: Path, long: int = 1) -> Path:
    """Put such a file into a folder, under the workload's name."""
    path = folder / f"{workload}.py"
    path.write_text(text(workload, length, long), encoding="utf-8")
    return path
