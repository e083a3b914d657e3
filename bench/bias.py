"""Does our drain cost what a drain written by hand costs? In a process of its own.

    python -m bench.bias MICROSECONDS PAIRS

Prints a line of JSON: the ratios of ours to `skip(n)` on the same pipeline, batches of
about so long, a ratio for each two windows in turn. The hand-written iterators are kept
alive: destroying one takes time, which would fall on the next window.
"""

import gc
import json
import sys
import time
from collections.abc import Callable

import tensorflow as tf

from bench import consumers, machine
from bench.busy import nothing

WINDOW_SECONDS = 0.04
BATCH = 4


def main(microseconds: float, pairs: int) -> None:
    """Measure and print; on one processor, as that is steadier and is all it needs."""
    machine.confine(1)
    dataset, seconds = _dataset(microseconds * 1e-6)
    batches = max(2, round(WINDOW_SECONDS / seconds))
    ours = consumers.drain(dataset).window(batches)
    ours()
    alive = []

    def by_hand() -> float:
        iterator = iter(dataset.skip(batches - 1))
        alive.append(iterator)
        return _timed(lambda: next(iterator))

    gc.disable()
    ratios = []
    for number in range(pairs):
        sides = [lambda: ("ours", _timed(ours)), lambda: ("hand", by_hand())]
        taken = dict(side() for side in (sides if number % 2 else sides[::-1]))
        ratios.append(taken["ours"] / taken["hand"])
    print(json.dumps({"microseconds": 1e6 * seconds, "ratios": ratios}))


def _dataset(wanted: float) -> tuple[tf.data.Dataset, float]:
    """An endless pipeline whose batches take about so many seconds, and how many."""
    least = _batch_seconds(_pipeline(0.0))
    dataset = _pipeline(max(0.0, wanted - least))
    return dataset, _batch_seconds(dataset)


def _batch_seconds(dataset: tf.data.Dataset) -> float:
    window = consumers.drain(dataset).window(50)
    window()
    return min(_timed(window) for _ in range(5)) / 50


def _pipeline(seconds: float) -> tf.data.Dataset:
    options = tf.data.Options()
    options.experimental_optimization.apply_default_optimizations = False

    def busy(numbers: tf.Tensor) -> tf.Tensor:
        return numbers + nothing(numbers, 1e6 * seconds)

    endless = tf.data.Dataset.range(2**40).batch(BATCH)
    return endless.map(busy).with_options(options)


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]))
