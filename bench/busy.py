"""Work of a known length for a graph: it looks at the clock until so much has passed.

    python -m bench.busy MICROSECONDS PAIRS

prints a line of JSON: how many times as long as it says one takes that is so much
longer than another, both called in turn; a figure for each pair.

A look takes 7 us in a hot loop, and more where its code is no longer in the caches. So
a time would be rounded up to whole looks, another one for each length; with
`SPREAD_MICROSECONDS` more, drawn by the clock itself, any two differ on average by what
they are apart.
"""

import json
import sys
import time

import tensorflow as tf

SPREAD_MICROSECONDS = 64


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


def main(microseconds: float, pairs: int) -> None:
    """Measure and print; on one processor."""
    from bench import machine
    from bench.injection import LEAST

    machine.confine(1)
    short, long = (_calls(LEAST + more) for more in (0.0, microseconds))
    taken = [(_taken(short), _taken(long)) for _ in range(2 * pairs)][pairs:]
    ratios = [1e6 * (one - other) / microseconds for other, one in taken]
    print(json.dumps({"ratios": ratios}))


def _calls(microseconds: float) -> object:
    """An endless pipeline's iterator, each of whose batches takes so long.

    As it is written: a rewrite would put a prefetch behind it, which works meanwhile.
    """
    options = tf.data.Options()
    options.experimental_optimization.apply_default_optimizations = False
    numbers = tf.data.Dataset.from_tensors(tf.ones([4])).repeat()
    busy = numbers.map(lambda some: some + nothing(some, microseconds))
    return iter(busy.with_options(options))


def _taken(iterator: object) -> float:
    start = time.perf_counter()
    next(iterator)
    return time.perf_counter() - start


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]))
