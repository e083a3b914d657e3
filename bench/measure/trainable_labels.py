"""This module refuses labels on which no model can be trained, with a remedy."""

import tensorflow as tf

from bench.errors import UsageError
from bench.measure.layers import to_numpy

SHOWN = 3  # texts that a message quotes


def demand(batch: tuple) -> None:
    """Refuse a batch without labels, or with labels of text.

    Args:
        batch: (features,) or (features, labels) from the pipeline; the labels may be
            any nest of tensors.

    Raises:
        UsageError: No loss can take the labels; the message has a remedy.
    """
    if len(batch) < 2:
        raise UsageError(
            "A model needs labels to be trained, and the examples have none: let "
            "examples() return (features, labels), or decode() return (features, "
            "label)."
        )
    for part in tf.nest.flatten(batch[1]):
        if part.dtype == tf.string:
            texts = [repr(text) for text in dict.fromkeys(_texts(part))]
            listed = ", ".join(texts[:SHOWN])
            raise UsageError(
                f"The labels are text ({listed}{', ...' if texts[SHOWN:] else ''}), "
                "and a model is trained on numbers. Let examples() return numbers, as "
                "np.unique(labels, return_inverse=True)[1] does."
            )


def _texts(part: tf.Tensor) -> list[str]:
    return [text.decode(errors="replace") for text in to_numpy(part).ravel().tolist()]
