"""Text for a language model: every line is turned into tokens by itself."""

from pathlib import Path

import keras
import tensorflow as tf


def train_dataset(folder="data", batch_size=64):
    """Batches of token sequences and their lengths."""
    path = str(Path(folder) / "prose.txt")
    lines = tf.data.TextLineDataset(path)
    vectorize = keras.layers.TextVectorization(
        max_tokens=5000, output_sequence_length=24
    )
    vectorize.adapt(lines.batch(256))

    def tokens(line):
        ids = vectorize(line)
        return ids, tf.reduce_sum(tf.cast(ids > 0, tf.int32), axis=-1)

    dataset = lines.map(tokens, num_parallel_calls=1)
    dataset = dataset.batch(batch_size)
    return dataset.prefetch(tf.data.AUTOTUNE)
