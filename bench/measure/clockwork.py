"""Work of a known length for a graph: it looks at the clock until so much has passed.

A look takes 7 us in a hot loop, and more where its code is no longer in the caches. So
a time would be rounded up to whole looks, another one for each length; with
`SPREAD_MICROSECONDS` more, drawn by the clock itself, any two differ on average by what
they are apart.
"""

import tensorflow as tf

SPREAD_MICROSECONDS = 64
BATCH = 4


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
