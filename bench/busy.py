"""Work of a known size for a graph: much is computed, and little memory touched."""

import tensorflow as tf

LITTLE = 1e-6


def nothing(like: tf.Tensor, length: int, room: int) -> tf.Tensor:
    """0, after computing the incomplete gamma function of so many equal numbers.

    A number takes about 0.3 us. What comes of it is a constant once it is clipped, but
    hangs on a tensor, so that no optimizer can leave it out or compute it beforehand.

    Args:
        like: Numbers of any shape, at least one.
        length: How many numbers.
        room: Of the array that they lie in; the others are 0 and take 2 ns each.

    Returns:
        A scalar of the tensor's type.
    """
    first = tf.cast(tf.reshape(like, [-1])[0], tf.float32)
    some = tf.cast(tf.range(room) < length, tf.float32)
    numbers = some * (990 + tf.minimum(tf.abs(first), LITTLE))
    highest = tf.reduce_max(tf.math.igamma(1000.0, numbers))
    return tf.cast(tf.minimum(highest, LITTLE) - LITTLE, like.dtype)
