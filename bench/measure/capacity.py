"""This module checks that a cache or stored outputs will fit, before they are filled.

Both hold all examples. The module estimates their size from a few elements, and the
time of filling from its first seconds.
"""

import shutil
import time
from pathlib import Path

import tensorflow as tf

from bench import machine
from bench.errors import UsageError
from bench.measure import graph
from bench.text import spell_bytes

FEW = 8  # elements whose bytes are counted, if their type has no fixed size
SMALL_BYTES = 64 * 2**20  # of which nobody need be warned
LEAST_SECONDS = 3.0  # of filling, before its end is foreseen


def demand_room(
    kept: tf.data.Dataset, elements: float, what: str, folder: Path | None = None
) -> None:
    """Refuse to store elements that need more room than there is.

    Args:
        kept: The dataset whose elements will be stored.
        elements: The number of these elements.
        what: The name of the cache or of the stored outputs, for an error.
        folder: The folder that will hold the elements; None if they stay in memory.

    Raises:
        UsageError: The elements need more bytes than are available.
    """
    size = _known_bytes(kept)
    if size and size * elements <= SMALL_BYTES:
        return
    few = max(1, min(FEW, int(elements)))
    size = size or graph.elements_bytes(kept.take(few)) / few
    needed = size * elements
    room = shutil.disk_usage(folder).free if folder else machine.available_memory()
    if needed <= max(room, SMALL_BYTES):
        return
    place = f"free on the disk of '{folder}'" if folder else "available"
    kind = "" if folder else " of memory"
    other = "Set TMPDIR to another disk" if folder else "Use cache_storage=disk"
    raise UsageError(
        f"{what} would take about {spell_bytes(needed)}{kind}, and "
        f"{spell_bytes(room)} are {place}. {other}, or take fewer or smaller examples."
    )


def _known_bytes(dataset: tf.data.Dataset) -> int:
    """Return the bytes of an element, or 0 if its type has no fixed size."""
    parts = tf.nest.flatten(dataset.element_spec)
    dense = all(isinstance(part, tf.TensorSpec) for part in parts)
    if not dense or not all(
        part.shape.is_fully_defined() and part.dtype != tf.string for part in parts
    ):
        return 0
    return sum(part.dtype.size * part.shape.num_elements() for part in parts)


class FillTime:
    """A fill time predicts when caches are full, and refuses to exceed the limit."""

    def __init__(self, steps: int, left_seconds: float) -> None:
        """Start the clock.

        Args:
            steps: How many batches fill the caches.
            left_seconds: The seconds that the limit of the run leaves.
        """
        self._steps, self._left = steps, left_seconds
        self._start = time.monotonic()
        self._foreseen = False

    def check(self, done: int) -> None:
        """Compare the time that filling will take with the limit, once.

        Args:
            done: How many batches were pulled.

        Raises:
            UsageError: Filling would take longer than is left.
        """
        spent = time.monotonic() - self._start
        if self._foreseen or spent < LEAST_SECONDS:
            return
        self._foreseen = True
        whole = spent / done * self._steps
        if whole > self._left:
            raise UsageError(
                f"Filling the cache would take about {whole:,.0f} s: {done:,} of "
                f"{self._steps:,} batches took {spent:.0f} s. The limit of a run "
                f"leaves {max(0.0, self._left):,.0f} s. Raise it with --limit, or take "
                "fewer examples."
            )
