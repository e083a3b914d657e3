"""A layer and files whose costs occur at known places of the stream."""

import keras
import numpy as np
import tensorflow as tf

from bench.measure.clockwork import busy_wait

USUAL = 100.0  # microseconds an example
WIDTH = 4


class Stall(keras.layers.Layer):
    """This layer returns its input after as many microseconds as its largest value."""

    def call(self, inputs):
        """Return the input after the wait."""
        return inputs + after(inputs, tf.reduce_max(inputs))


def after(like, microseconds):
    """Return 0, of the type of `like`, after a number of microseconds."""
    wait = tf.cast(microseconds, tf.float64)
    return tf.cond(
        wait > 0, lambda: busy_wait(like, wait), lambda: tf.zeros((), like.dtype)
    )


def stragglers(count, every):
    """Return `[count, 4]`; one example in `every` takes half of all the time."""
    values = np.full(count, USUAL, np.float32)
    values[every - 1 :: every] += USUAL * every
    return np.repeat(values[:, None], WIDTH, axis=1)


def write_shards(folder, shards, records):
    """Write files of equal records, float32 `[4]`."""
    for number in range(shards):
        values = np.full((records, WIDTH), 1.0, np.float32)
        (folder / f"{number:04d}.bin").write_bytes(values.tobytes())


def opened(path, label, microseconds):
    """Return the records of a file whose opening takes a number of microseconds."""
    raw = tf.io.decode_raw(tf.io.read_file(path), tf.float32)
    values = tf.reshape(raw, [-1, WIDTH]) + after(raw, microseconds)
    labels = tf.fill([tf.shape(values)[0]], label)
    return tf.data.Dataset.from_tensor_slices((values, labels))


def number_of(path):
    """Return the number in a file's name, as a tensor."""
    name = tf.strings.regex_replace(path, r".*/(\d+)\.[a-z]+$", r"\1")
    return tf.strings.to_number(name)


def same(batch, output):
    """Check that the layers changed nothing."""
    np.testing.assert_allclose(output, batch)


def head(features):
    """Return a small model for two classes."""
    return keras.layers.Dense(2, activation="softmax")(features)
