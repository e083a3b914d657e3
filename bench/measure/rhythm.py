"""This module finds how often a pipeline's costs recur, and lays windows over epochs.

Every occasional cost recurs after at most one pass over the data: the shuffle buffer
fills, the next file opens, a long example passes. An epoch is thus the longest period,
and a rate is correct over whole epochs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench.machine import PROCESSORS
from bench.pipeline import Calls, Pipeline

MOST_WINDOWS = 1000  # in an epoch: more would only fill the record
NEARLY = 0.005  # of an epoch: windows may miss its length by this much
FURTHER_EPOCHS = 20  # tried for a whole number of batches
FEW_FILES = 10  # fewer timed files do not represent the others
FEW_SEARCHES = 50  # fewer timed searches do not represent the others
SCATTERED = 20  # times the mean gap; among 500 random positions the largest is 6 times


@dataclass(frozen=True)
class Rhythm:
    """A rhythm describes when a pipeline's costs recur; all lengths are in batches.

    Attributes:
        epoch: The length of one pass over the data; 0 where it is unknown.
        together: Batches that may arrive at once, since parallel calls end together.
        ahead: Batches that may be ready while nobody pulls.
        buffer: The length of the shuffle buffer.
        files: Batches in one file; 0 where the examples are arrays.
        recurs: The cost that comes once an epoch besides the data, in words; may be
            empty.
        search: Batches per search for one rare example, where resampling searches the
            rare class and its examples are scattered over the data; else 0.
    """

    epoch: float
    together: int = 1
    ahead: int = 0
    buffer: float = 0.0
    files: float = 0.0
    recurs: str = ""
    search: float = 0.0

    def hidden(self, start: float, batches: float) -> str:
        """Return the cost, in words, that the timed part does not represent, if any.

        A shuffle buffer fills at the start of an epoch, and at the end supplies
        examples without reading. In between, each example costs one read, so that part
        has the rate of the whole epoch. Many files, or many searches for scattered
        examples, represent all; few do not.

        Args:
            start: The batch of the stream with which the timed part begins.
            batches: The length of the timed part.
        """
        if not self.epoch or batches >= self.epoch * (1 - NEARLY):
            return ""
        position = start % self.epoch
        filled = position >= 1 and position + batches <= self.epoch - self.buffer
        if self.buffer and not filled:
            return self.recurs
        many_searches = self.search and batches >= FEW_SEARCHES * self.search
        if not self.buffer and self.recurs and not many_searches:
            return self.recurs
        if self.files and batches < FEW_FILES * self.files:
            return "the next file opens"
        return ""


@dataclass(frozen=True)
class WindowLayout:
    """A window layout describes how windows cover epochs.

    Attributes:
        batches: Batches in a window.
        per_epoch: The number of windows after which whole epochs have passed; 0 where
            the length of an epoch is unknown.
        start: The batch of the stream with which windows begin, so that no epoch begins
            where two windows meet.
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
    """Return the rhythm of a pipeline.

    Args:
        p: The pipeline.
        count: Examples in a pass over the data; 0 where the number is unknown.
        rare: Examples of the rarer class, where the pipeline resamples.
        scattered: Whether the rare examples are scattered over the data, from the
            function `scattered`.
        files: The number of files that hold the examples; 0 for arrays.
        held: Whether the consumer works on one batch in memory.
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
    """Whether no gap between positions is far longer than the mean gap.

    Args:
        positions: Positions of the rare examples, ascending; at least one.
        count: The number of all examples; after the last one the first follows.
    """
    ends = [*positions[1:], positions[0] + count]
    largest = max(end - start for start, end in zip(positions, ends, strict=True))
    return largest <= SCATTERED * count / len(positions)


def together(p: Pipeline) -> int:
    """Return how many batches may arrive at once, from parallel calls or open files."""
    # AUTOTUNE counts the processors of the affinity mask, whatever a quota leaves.
    calls = _number(p.map_parallel_calls, p.cpus or len(PROCESSORS))
    batch_by_batch = p.order != "map_batch" and p.place.maps_layers
    in_maps = calls if batch_by_batch else -(-calls // p.batch_size)
    records = p.interleave_cycle_length * p.interleave_block_length
    of_files = -(-records // p.batch_size) if p.interleave_cycle_length > 1 else 1
    return max(1, in_maps, of_files)


def lay_windows(least: int, epoch: float) -> WindowLayout:
    """Return the layout of windows that cover whole epochs.

    Args:
        least: The fewest batches that a window may have.
        epoch: Batches in an epoch, not always a whole number; 0 if unknown.
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
