"""Text classification with ragged batches: cleaned, split and looked up, not padded."""

import re
import string

import keras
import numpy as np
import tensorflow as tf

KIND = "text"
LOSS = "binary_crossentropy"
TOKENS = 500
GOOD, BAD = ("lovely", "great", "fine", "warm"), ("dull", "poor", "cold", "weak")
PLAIN = [f"word{number}" for number in range(400)]


def examples(rng, count):
    """Return reviews of 5 to 60 words with HTML in them, and whether each praises."""
    labels = rng.integers(0, 2, count)
    reviews = []
    for label in labels:
        words = rng.choice(PLAIN, rng.integers(4, 60)).tolist()
        words.insert(int(rng.integers(len(words))), rng.choice(GOOD if label else BAD))
        reviews.append(" ".join(words).capitalize() + ".<br />The end!")
    return np.array(reviews), labels


@keras.saving.register_keras_serializable("feedrate")
def standardize(text):
    """Return text in lower case without line breaks of HTML and punctuation."""
    text = tf.strings.regex_replace(tf.strings.lower(text), "<br />", " ")
    return tf.strings.regex_replace(text, f"[{re.escape(string.punctuation)}]", "")


def build(examples):
    """Return the vectorization, adapted to the reviews."""
    layer = keras.layers.TextVectorization(
        max_tokens=TOKENS, standardize=standardize, ragged=True
    )
    layer.adapt(tf.data.Dataset.from_tensor_slices(examples).batch(64))
    return layer


def check(batch, output):
    """Each review has as many tokens as words, and ends with the same two."""
    texts = [text.decode().replace("<br />", " ") for text in batch]
    lengths = np.array([len(text.split()) for text in texts])
    np.testing.assert_array_equal((output > 0).sum(axis=1), lengths)
    last = output[np.arange(len(batch)), lengths - 1]
    assert len(set(last)) == 1 and len(np.unique(output)) > 100


def model(features):
    """Return the probability of praise by the mean of the words' embeddings."""
    x = keras.layers.Embedding(TOKENS, 16)(features)
    x = keras.layers.GlobalAveragePooling1D()(x)
    return keras.layers.Dense(1, activation="sigmoid")(x)
