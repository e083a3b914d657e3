"""A layer and files whose costs stand at known places."""

import keras
import numpy as np
import tensorflow as tf

from bench.measure.clockwork import nothing

USUAL = 100.0  # microseconds an example
WIDTH = 4


class Stall(keras.layers.Layer):
    """Returns its input after as many microseconds as its largest value."""

    def call(self, inputs):
        """Wait and pass the input on."""
        return inputs + after(inputs, tf.reduce_max(inputs))


def after(like, microseconds):
    """Return 0 of the type of `like` after so many microseconds."""
    wanted = tf.cast(microseconds, tf.float64)
    return tf.cond(
        wanted > 0, lambda: nothing(like, wanted), lambda: tf.zeros((), like.dtype)
    )


def stragglers(count, every):
    """Examples `[count, 4]` of which one in so many takes half of all the time."""
    values = np.full(count, USUAL, np.float32)
    values[every - 1 :: every] += USUAL * every
    return np.repeat(values[:, None], WIDTH, axis=1)


def write_shards(folder, shards, records):
    """Files of so many records `[4]` of single precision, all alike."""
    for number in range(shards):
        values = np.full((records, WIDTH), 1.0, np.float32)
        (folder / f"{number:04d}.bin").write_bytes(values.tobytes())


def opened(path, label, microseconds):
    """The records of a file whose opening takes so long."""
    raw = tf.io.decode_raw(tf.io.read_file(path), tf.float32)
    values = tf.reshape(raw, [-1, WIDTH]) + after(raw, microseconds)
    labels = tf.fill([tf.shape(values)[0]], label)
    return tf.data.Dataset.from_tensor_slices((values, labels))


def number_of(path):
    """The number in a file's name, as a tensor."""
    name = tf.strings.regex_replace(path, r".*/(\d+)\.[a-z]+$", r"\1")
    return tf.strings.to_number(name)


def same(batch, output):
    """Check that the layers changed nothing."""
    np.testing.assert_allclose(output, batch)


def head(features):
    """A small model for two classes."""
    return keras.layers.Dense(2, activation="softmax")(features)
