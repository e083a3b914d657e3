"""A slow-down of a known size, put into a workload's layers, to test the guard with.

The workload's own file is copied with one more layer, which computes a function of so
many numbers inside the graph and adds what comes of it to the output as nothing; see
`busy`.

Base and head differ in nothing else. The numbers lie in an array of the same size, in
which the others are 0 and cost 2 ns each: where memory lies can make text 0.3 % faster
or slower. Base has some too, as TensorFlow runs what takes less than 8,000 cycles in
the thread that feeds it, and may hand over what takes longer. And much is computed from
little memory: hashing does not do, for which TensorFlow reserves a table of a power of
two, and whose longer rows push the workload's own data out of the caches.

What a number costs beside the workload's own work is not the same in every minute, and
twelve trios tell 5 % to 0.4 % only. So there is a third file, the yardstick, with
`TIMES` as many numbers: measured beside head it tells what head's share was then.
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
FIRST = 400  # numbers, where nothing is known
LEAST = 40  # in the unslowed file: 10 us
ROOM = 16_384  # numbers and zeros together
TIMES = 4  # as many numbers in the yardstick; eight times took 8.4 times as long
RECENT = 6  # measurements that the length of the next is told by

BUSY = '''

from bench.busy import nothing  # noqa: E402


class Busy(keras.layers.Layer):
    """The input, after computing a function of so many equal numbers."""

    def call(self, inputs):
        return inputs + nothing(inputs, {length}, {room})


_built = build


def build(examples, **variant):
    """The layers, and the busy one."""
    layers = _built(examples, **variant)
    return [*(layers if isinstance(layers, (list, tuple)) else [layers]), Busy()]
'''


@dataclass(frozen=True)
class Calibrated:
    """How much longer a trial takes by how many numbers there are.

    Attributes:
        length: How many numbers there were.
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
        told = calibrate(measure, known[-1].length if known else FIRST)
        self.learn(workload, told)
        return told

    def learn(self, workload: str, told: Calibrated) -> None:
        """What a length did to a workload's time, by a calibration or a yardstick."""
        self.found.setdefault(workload, []).append(told)

    def slower(self, workload: str, change: float) -> int:
        """The length that makes a workload slower by this share of its time."""
        if change == 0:
            return LEAST
        recent = self.found[workload][-RECENT:]
        return round(statistics.median(one.length_for(change) for one in recent))


def yardstick(length: int) -> int:
    """How many numbers make a trial slower by `TIMES` what so many make it."""
    return LEAST + TIMES * (length - LEAST)


def room(length: int) -> int:
    """How much room there must be for this many numbers and the yardstick's."""
    return 1 << (yardstick(length) - 1).bit_length()


def text(workload: str, length: int, room: int = ROOM) -> str:
    """The text of a workload's file with the busy layer behind its own.

    Args:
        workload: A name on the shelves, whose layers give numbers.
        length: Of how many numbers a call computes the function.
        room: The same in all files that are compared.

    Raises:
        UsageError: There is not room for so many.
    """
    if length > room:
        raise UsageError(
            f"There is room for {room:,} numbers and not for {length:,}. Name a "
            "workload with shorter calls, or give more room."
        )
    own = catalog.find(workload).path.read_text(encoding="utf-8")
    return own + BUSY.format(room=room, length=length)


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
            f"A function of {length:,} numbers made the trial {ratio:.3f} times as "
            f"long; to slow it by a known share it must be more than {LEAST_RATIO:g}. "
            "Measure on a quieter machine, or name a workload with shorter calls."
        )
    return Calibrated(length, ratio)


def write(workload: str, length: int, folder: Path, room: int = ROOM) -> Path:
    """Put such a file into a folder, under the workload's name."""
    path = folder / f"{workload}.py"
    path.write_text(text(workload, length, room), encoding="utf-8")
    return path
