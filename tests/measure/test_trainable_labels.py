"""These tests refuse labels that no model can be trained on, before training."""

import pytest
import tensorflow as tf

from bench.errors import UsageError
from bench.measure import trainable_labels

FEATURES = tf.zeros([4, 2])


def refusal(*batch: object) -> str:
    """Return the message of the error."""
    with pytest.raises(UsageError) as caught:
        trainable_labels.demand(batch)
    return str(caught.value)


def test_a_batch_without_labels_is_refused_with_a_remedy() -> None:
    assert refusal(FEATURES) == (
        "A model needs labels to be trained, and the examples have none: let "
        "examples() return (features, labels), or decode() return (features, label)."
    )


def test_labels_of_text_are_refused_with_a_remedy() -> None:
    """Texts are found anywhere in a nest of labels."""
    texts = tf.constant(["dog", "cat", "dog", "cow"])
    words = (
        "The labels are text ('dog', 'cat', 'cow'), and a model is trained on numbers. "
        "Let examples() return numbers, as np.unique(labels, return_inverse=True)[1] "
        "does."
    )
    assert refusal(FEATURES, texts) == words
    assert refusal(FEATURES, {"age": tf.zeros([4]), "kind": texts}) == words
    many = tf.constant([*"abcde"])
    assert "('a', 'b', 'c', ...)" in refusal(FEATURES, many)


def test_numbers_are_accepted() -> None:
    trainable_labels.demand((FEATURES, tf.zeros([4], tf.int64)))
    trainable_labels.demand((FEATURES, {"age": tf.zeros([4]), "kind": tf.zeros([4])}))
