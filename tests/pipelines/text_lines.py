"""Text for a language model: every line is turned into tokens by itself."""

from pathlib import Path

import keras
import tensorflow as tf


def lines_and_tokens(folder):
    """The lines of a text, and the function that turns text into tokens."""
    lines = tf.data.TextLineDataset(str(Path(folder) / "prose.txt"))
    vectorize = keras.layers.TextVectorization(
        max_tokens=5000, output_sequence_length=24
    )
    vectorize.adapt(lines.batch(256))

    def tokens(line):
        ids = vectorize(line)
        return ids, tf.reduce_sum(tf.cast(ids > 0, tf.int32), axis=-1)

    return lines, tokens


def train_dataset(folder="data", batch_size=64):
    """Batches of token sequences and their lengths."""
    lines, tokens = lines_and_tokens(folder)
    dataset = lines.map(tokens, num_parallel_calls=1)
    dataset = dataset.batch(batch_size)
    return dataset.prefetch(tf.data.AUTOTUNE)


def best_practice(folder="data", batch_size=64):
    """Whole batches in parallel, kept after the first epoch."""
    lines, tokens = lines_and_tokens(folder)
    dataset = lines.batch(batch_size)
    dataset = dataset.map(tokens, num_parallel_calls=tf.data.AUTOTUNE)
    return dataset.cache().prefetch(tf.data.AUTOTUNE)
