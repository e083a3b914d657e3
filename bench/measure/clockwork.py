"""This module makes work of a known length in a graph, for the self-test.

    python -m bench.measure.clockwork drain MICROSECONDS PAIRS
    python -m bench.measure.clockwork operation MICROSECONDS PAIRS LEAST

`busy_wait` reads the clock until the time has passed. A reading takes 7 us in a hot
loop, and longer where its code has left the caches. Lengths would therefore be rounded
up to whole readings, so `busy_wait` adds a random time of up to `SPREAD_MICROSECONDS`,
taken from the clock. Then any two lengths differ on average by their nominal
difference.

The commands print a line of JSON with one ratio for each pair of turns. `drain`
compares the suite's drain with `skip(n)` on the same pipeline. `operation` compares the
measured difference of two batches with their nominal difference.
"""

import gc
import json
import sys
import time
from collections.abc import Callable

import tensorflow as tf

from bench import machine
from bench.measure import consumers

SPREAD_MICROSECONDS = 64
BATCH = 4
WINDOW_SECONDS = 0.04  # of the drain


def busy_wait(like: tf.Tensor, microseconds: float) -> tf.Tensor:
    """Return 0 after a time of work.

    Args:
        like: At least one number, of any shape; the work begins when it is computed.
        microseconds: The time by the clock. On average half of the spread and one
            reading of the clock are added.

    Returns:
        A scalar of the tensor's type.
    """
    first = tf.cast(tf.reshape(like, [-1])[0], tf.float64)
    with tf.control_dependencies([first]):
        start = tf.timestamp()
    more = tf.math.floormod(1e6 * start, SPREAD_MICROSECONDS)
    stop = start + 1e-6 * (microseconds + more)

    def read_clock(now: tf.Tensor) -> tuple[tf.Tensor]:
        with tf.control_dependencies([now]):
            return (tf.timestamp(),)

    (last,) = tf.while_loop(lambda now: now < stop, read_clock, (start,))
    return tf.cast(tf.minimum(last, 0.0), like.dtype)


def dataset(microseconds: float) -> tf.data.Dataset:
    """Return an endless pipeline whose small batches do nothing for that time.

    tf.data's rewrites are off, since a rewrite would add a prefetch at the end.
    """
    options = tf.data.Options()
    options.experimental_optimization.apply_default_optimizations = False

    def busy(numbers: tf.Tensor) -> tf.Tensor:
        return numbers + busy_wait(numbers, microseconds)

    return tf.data.Dataset.range(2**40).batch(BATCH).map(busy).with_options(options)


def drain(microseconds: float, pairs: int) -> dict[str, object]:
    """Compare the suite's drain with a hand-written loop, in turns.

    The hand-written iterators stay alive, since destroying one would take time in the
    next window.

    Args:
        microseconds: The intended time of a batch.
        pairs: How many pairs of windows to time.

    Returns:
        `microseconds`, the real time of a batch, and `ratios`, for each pair the time
        of the suite's drain over the time of the hand-written loop.
    """
    stream, seconds = _calibrated_dataset(microseconds * 1e-6)
    batches = max(2, round(WINDOW_SECONDS / seconds))
    ours = consumers.Drain(stream).window(batches)
    ours()
    alive = []

    def by_hand() -> float:
        iterator = iter(stream.skip(batches - 1))
        alive.append(iterator)
        return _seconds_of(lambda: next(iterator))

    gc.disable()
    ratios = []
    for number in range(pairs):
        sides = [lambda: ("ours", _seconds_of(ours)), lambda: ("hand", by_hand())]
        seconds_by_side = dict(
            side() for side in (sides if number % 2 else sides[::-1])
        )
        ratios.append(seconds_by_side["ours"] / seconds_by_side["hand"])
    return {"microseconds": 1e6 * seconds, "ratios": ratios}


def operation(microseconds: float, pairs: int, least: float) -> dict[str, object]:
    """Compare the real difference of two batches' times with the nominal difference.

    Args:
        microseconds: The nominal difference.
        pairs: How many pairs to time, after as many untimed pairs.
        least: Microseconds of the shorter batch.

    Returns:
        `ratios`, for each pair the measured difference over `microseconds`.
    """
    short, long = iter(dataset(least)), iter(dataset(least + microseconds))
    ratios = []
    for _ in range(2 * pairs):
        shorter = _seconds_of(lambda: next(short))
        ratios.append(1e6 * (_seconds_of(lambda: next(long)) - shorter) / microseconds)
    return {"ratios": ratios[pairs:]}


def _calibrated_dataset(seconds: float) -> tuple[tf.data.Dataset, float]:
    """Return a pipeline whose batches take about that long, and their real time."""
    stream = dataset(1e6 * max(0.0, seconds - _batch_seconds(dataset(0.0))))
    return stream, _batch_seconds(stream)


def _batch_seconds(batches: tf.data.Dataset) -> float:
    window = consumers.Drain(batches).window(50)
    window()
    return min(_seconds_of(window) for _ in range(5)) / 50


def _seconds_of(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


if __name__ == "__main__":
    machine.confine(1)  # one processor is enough, and steadier
    measure = {"drain": drain, "operation": operation}[sys.argv[1]]
    microseconds, pairs, *least = sys.argv[2:]
    print(json.dumps(measure(float(microseconds), int(pairs), *map(float, least))))
