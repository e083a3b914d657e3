"""How often the costs of a pipeline recur, and windows that cover them whole.

Everything that a pipeline does only now and then comes back after one pass over the
data at the latest: the shuffle buffer fills, the next file opens, the long example
passes. So an epoch is the longest period, and a rate is true for whole epochs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench.machine import PROCESSORS
from bench.pipeline import Calls, Pipeline

MOST_WINDOWS = 1000  # in an epoch: more would only fill the record
NEARLY = 0.005  # of an epoch: so much windows may miss it by
FURTHER_EPOCHS = 20  # tried for a whole number of batches
FEW_FILES = 10  # below so many, the files met say little of the others
FEW_SEARCHES = 50
SCATTERED = 20  # times the mean gap; of 500 at random positions the largest is 6 times


@dataclass(frozen=True)
class Rhythm:
    """When the costs of a pipeline recur; all in batches.

    Attributes:
        epoch: One pass over the data; 0 where it is not known.
        together: Batches that may arrive at once, as parallel calls end together.
        ahead: Batches that may stand ready when nobody pulls.
        buffer: Examples in the shuffle buffer, as batches.
        files: Batches in one file; 0 where the examples are arrays.
        recurs: What comes once an epoch besides the data, in words; may be empty.
        search: Batches for which resampling finds one rare example, where these are
            scattered over the data; else 0.
    """

    epoch: float
    together: int = 1
    ahead: int = 0
    buffer: float = 0.0
    files: float = 0.0
    recurs: str = ""
    search: float = 0.0

    def hidden(self, start: float, batches: float) -> str:
        """What was not timed and does not take its usual share of the time, in words.

        A shuffle buffer fills at the start of an epoch, and at its end gives without
        reading. In between each example given is one read, so that this part alone has
        the rate of the whole. Many searches of scattered examples stand for all, and
        few files or searches do not.

        Args:
            start: Where the timed part began in the epoch.
            batches: How long it was.
        """
        if not self.epoch or batches >= self.epoch * (1 - NEARLY):
            return ""
        place = start % self.epoch
        filled = place >= 1 and place + batches <= self.epoch - self.buffer
        if self.buffer and not filled:
            return self.recurs
        searched = self.search and batches >= FEW_SEARCHES * self.search
        if not self.buffer and self.recurs and not searched:
            return self.recurs
        if self.files and batches < FEW_FILES * self.files:
            return "the next file opens"
        return ""


@dataclass(frozen=True)
class WindowLayout:
    """How windows cover an epoch.

    Attributes:
        batches: In a window.
        per_epoch: After so many windows whole epochs have passed; 0 where the length
            of an epoch is not known.
        start: The batch of the stream with which windows begin, so that an epoch does
            not begin where two of them meet.
    """

    batches: int
    per_epoch: int
    start: int = 0


def rhythm(
    p: Pipeline,
    count: int,
    *,
    rare: int = 0,
    scattered: bool = False,
    files: int = 0,
    held: bool = False,
) -> Rhythm:
    """The rhythm of a pipeline.

    Args:
        p: Every axis.
        count: Examples in a pass over the data; 0 where it is not known.
        rare: Examples of the rarer class, where the pipeline resamples.
        scattered: Whether these lie all over the data, from `scattered`.
        files: How many files the examples come from; 0 for arrays.
        held: Whether the consumer works on one batch held in memory.
    """
    if held:
        return Rhythm(epoch=1.0)
    size, buffer, recurs, search = p.batch_size, 0.0, "", 0.0
    epoch = count / size
    if p.cache == "mapped" and p.order == "batch_map":
        epoch = float(count // size)  # the cache holds whole batches
    if p.shuffle_buffer:
        buffer = min(p.shuffle_buffer, count) / size
        recurs = "the shuffle buffer fills"
    if p.resample == "split":
        epoch, buffer = 2 * (count - rare) / size, 2 * buffer
    elif p.resample != "none":
        epoch, buffer = 2 * rare / size, 0.0
        recurs = f"resample={p.resample} searches the rare class"
        search = 2 / size if scattered else 0.0
    reads = files and p.cache == "none" and not p.place.stores_outputs
    return Rhythm(
        epoch=epoch,
        together=together(p),
        ahead=together(p) + _number(p.prefetch, 1),
        buffer=buffer,
        files=epoch / files if reads else 0.0,
        recurs=recurs,
        search=search,
    )


def scattered(positions: Sequence[int], count: int) -> bool:
    """Whether no gap between positions is far longer than the mean one.

    Args:
        positions: Of the rare examples, rising; one at least.
        count: Of all examples; after the last one the first comes again.
    """
    ends = [*positions[1:], positions[0] + count]
    largest = max(end - start for start, end in zip(positions, ends, strict=True))
    return largest <= SCATTERED * count / len(positions)


def together(p: Pipeline) -> int:
    """Batches that may arrive at once: of all parallel calls, or of all open files."""
    calls = _number(p.map_parallel_calls, p.cpus or len(PROCESSORS))
    batch_by_batch = p.order == "batch_map" and p.place.maps_layers
    in_maps = calls if batch_by_batch else -(-calls // p.batch_size)
    records = p.interleave_cycle_length * p.interleave_block_length
    of_files = -(-records // p.batch_size) if p.interleave_cycle_length > 1 else 1
    return max(1, in_maps, of_files)


def lay(least: int, epoch: float) -> WindowLayout:
    """Windows of at least so many batches that cover whole epochs.

    Args:
        least: Batches that a window must have.
        epoch: Batches in an epoch, not always a whole number; 0 if it is not known.
    """
    if not epoch:
        return WindowLayout(least, 0)
    if epoch <= least:
        fewest = math.ceil(least / epoch)
        choices = range(fewest, fewest + FURTHER_EPOCHS)
        epochs = min(choices, key=lambda n: (abs(n * epoch - round(n * epoch)) / n, n))
        batches = max(1, round(epochs * epoch))
        exact = batches == epochs * epoch
        return WindowLayout(batches, 1, 0 if exact else batches // 2)
    for windows in range(min(int(epoch // least), MOST_WINDOWS), 0, -1):
        batches = round(epoch / windows)
        if abs(batches * windows - epoch) <= NEARLY * epoch or windows == 1:
            break
    exact = batches * windows == epoch
    return WindowLayout(batches, windows, 0 if exact else batches // 2)


def _number(calls: Calls, autotuned: int) -> int:
    return autotuned if calls == "autotune" else calls
