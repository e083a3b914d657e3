"""Several inputs and outputs: a ticket's title, text and tags, by name."""

import keras
import numpy as np
import tensorflow as tf

KIND = "text"
WORDS = [f"word{number}" for number in range(300)]
TAGS = ("billing", "bug", "login", "mobile", "urgent")
LENGTHS = {"title": 8, "body": 30}
LOSS = {
    "priority": keras.losses.BinaryCrossentropy(from_logits=True),
    "department": "sparse_categorical_crossentropy",
}


def examples(rng, count):
    """Return tickets, dicts of text `[count]` and tags `[count, 2]`, and two labels."""
    tickets = {
        name: [" ".join(rng.choice(WORDS, rng.integers(2, n))) for _ in range(count)]
        for name, n in LENGTHS.items()
    }
    tickets["tags"] = rng.choice(TAGS, (count, 2))
    urgent = (tickets["tags"] == "urgent").any(axis=1)
    labels = {"priority": urgent.astype("float32"), "department": np.arange(count) % 3}
    return tickets, labels


def build(examples):
    """Return a function that applies a layer of its own to each input."""
    layers = {"tags": keras.layers.StringLookup(output_mode="multi_hot")}
    for name, length in LENGTHS.items():
        layers[name] = keras.layers.TextVectorization(
            max_tokens=200, output_sequence_length=length
        )
    for name, layer in layers.items():
        layer.adapt(tf.constant(examples[name]))
    return lambda ticket: {name: layers[name](ticket[name]) for name in ticket}


def check(batch, output):
    """Words become as many tokens, and tags as many flags as they differ."""
    for name in LENGTHS:
        lengths = [len(text.split()) for text in batch[name]]
        np.testing.assert_array_equal((output[name] > 0).sum(axis=1), lengths)
    assert 150 < len(np.unique(output["body"])) <= 200
    flags = [len(set(tags)) for tags in batch["tags"].tolist()]
    np.testing.assert_array_equal(output["tags"].sum(axis=1), flags)


def model(features):
    """Return the logit of the priority and the department's probabilities."""
    parts = [keras.ops.cast(features["tags"], "float32")]
    for name in LENGTHS:
        x = keras.layers.Embedding(200, 16)(features[name])
        parts.append(keras.layers.GlobalAveragePooling1D()(x))
    x = keras.layers.concatenate(parts)
    department = keras.layers.Dense(3, activation="softmax")(x)
    return {"priority": keras.layers.Dense(1)(x), "department": department}
