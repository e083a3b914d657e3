"""Labels that no model can be trained on are refused before it is tried."""

import pytest
import tensorflow as tf

from bench.errors import UsageError
from bench.measure import class_labels

FEATURES = tf.zeros([4, 2])


def refused(*batch: object) -> str:
    """Why."""
    with pytest.raises(UsageError) as caught:
        class_labels.demand(batch)
    return str(caught.value)


def test_a_batch_without_labels_is_refused_with_what_to_do() -> None:
    assert refused(FEATURES) == (
        "A model needs labels to be trained, and the examples have none: let "
        "examples() return (features, labels), or decode() return (features, label)."
    )


def test_labels_of_text_are_refused_with_what_to_do() -> None:
    """Wherever they are among several."""
    texts = tf.constant(["dog", "cat", "dog", "cow"])
    words = (
        "The labels are text ('dog', 'cat', 'cow'), and a model is trained on numbers. "
        "Let examples() return numbers, as np.unique(labels, return_inverse=True)[1] "
        "does."
    )
    assert refused(FEATURES, texts) == words
    assert refused(FEATURES, {"age": tf.zeros([4]), "kind": texts}) == words
    many = tf.constant([*"abcde"])
    assert "('a', 'b', 'c', ...)" in refused(FEATURES, many)


def test_numbers_are_taken() -> None:
    class_labels.demand((FEATURES, tf.zeros([4], tf.int64)))
    class_labels.demand((FEATURES, {"age": tf.zeros([4]), "kind": tf.zeros([4])}))
