"""Work of a known length inside a graph, and what the self-test measures with it.

    python -m bench.measure.clockwork drain MICROSECONDS PAIRS
    python -m bench.measure.clockwork operation MICROSECONDS PAIRS LEAST

`nothing` looks at the clock until the time has passed. A look takes 7 us in a hot loop,
and more where its code is no longer in the caches, so a length would be rounded up to
whole looks. `SPREAD_MICROSECONDS` more, drawn by the clock itself, make any two lengths
differ on average by what they are apart.

The commands print a line of JSON with one ratio for each pair of turns. `drain`
compares the suite's drain with `skip(n)` on the same pipeline. `operation` compares how
much longer the longer of two batches takes with how much longer it was asked to take.
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


def nothing(like: tf.Tensor, microseconds: float) -> tf.Tensor:
    """0, after so many microseconds, and on average half of the spread and a look.

    Args:
        like: Numbers of any shape, at least one; it begins when they are there.
        microseconds: On the clock.

    Returns:
        A scalar of the tensor's type.
    """
    first = tf.cast(tf.reshape(like, [-1])[0], tf.float64)
    with tf.control_dependencies([first]):
        start = tf.timestamp()
    more = tf.math.floormod(1e6 * start, SPREAD_MICROSECONDS)
    stop = start + 1e-6 * (microseconds + more)

    def again(now: tf.Tensor) -> tuple[tf.Tensor]:
        with tf.control_dependencies([now]):
            return (tf.timestamp(),)

    (last,) = tf.while_loop(lambda now: now < stop, again, (start,))
    return tf.cast(tf.minimum(last, 0.0), like.dtype)


def dataset(microseconds: float) -> tf.data.Dataset:
    """An endless pipeline that does nothing else for each of its small batches.

    As it is written: a rewrite would put a prefetch behind it, which works meanwhile.
    """
    options = tf.data.Options()
    options.experimental_optimization.apply_default_optimizations = False

    def busy(numbers: tf.Tensor) -> tf.Tensor:
        return numbers + nothing(numbers, microseconds)

    return tf.data.Dataset.range(2**40).batch(BATCH).map(busy).with_options(options)


def drain(microseconds: float, pairs: int) -> dict[str, object]:
    """Compare the suite's drain with a loop written by hand, in turns.

    The hand-written iterators are kept alive: destroying one takes time, which would
    fall into the next window.

    Args:
        microseconds: The length of a batch that is aimed at.
        pairs: How many pairs of windows are timed.

    Returns:
        `microseconds`, how long a batch really takes, and `ratios`, ours to the
        hand-written loop's, a ratio a pair.
    """
    batches_of_length, seconds = _dataset(microseconds * 1e-6)
    batches = max(2, round(WINDOW_SECONDS / seconds))
    ours = consumers.drain(batches_of_length).window(batches)
    ours()
    alive = []

    def by_hand() -> float:
        iterator = iter(batches_of_length.skip(batches - 1))
        alive.append(iterator)
        return _timed(lambda: next(iterator))

    gc.disable()
    ratios = []
    for number in range(pairs):
        sides = [lambda: ("ours", _timed(ours)), lambda: ("hand", by_hand())]
        taken = dict(side() for side in (sides if number % 2 else sides[::-1]))
        ratios.append(taken["ours"] / taken["hand"])
    return {"microseconds": 1e6 * seconds, "ratios": ratios}


def operation(microseconds: float, pairs: int, least: float) -> dict[str, object]:
    """Compare the time that `nothing` takes with the time it was asked to take.

    Args:
        microseconds: By how much one batch is longer than the other.
        pairs: How many pairs are timed; as many go before, untimed.
        least: Microseconds of the shorter batch.

    Returns:
        `ratios`, the measured difference to `microseconds`, a ratio a pair.
    """
    short, long = iter(dataset(least)), iter(dataset(least + microseconds))
    ratios = []
    for _ in range(2 * pairs):
        less = _timed(lambda: next(short))
        ratios.append(1e6 * (_timed(lambda: next(long)) - less) / microseconds)
    return {"ratios": ratios[pairs:]}


def _dataset(wanted: float) -> tuple[tf.data.Dataset, float]:
    """A pipeline whose batches take about `wanted` seconds, and how long they take."""
    made = dataset(1e6 * max(0.0, wanted - _batch_seconds(dataset(0.0))))
    return made, _batch_seconds(made)


def _batch_seconds(batches: tf.data.Dataset) -> float:
    window = consumers.drain(batches).window(50)
    window()
    return min(_timed(window) for _ in range(5)) / 50


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    machine.confine(1)  # one processor is steadier, and all it needs
    measure = {"drain": drain, "operation": operation}[sys.argv[1]]
    microseconds, pairs, *least = sys.argv[2:]
    print(json.dumps(measure(float(microseconds), int(pairs), *map(float, least))))
