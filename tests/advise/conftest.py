"""Advice is sought with a global seed, which must not reach other tests."""

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def unseeded() -> Iterator[None]:
    """Leave TensorFlow without a global seed."""
    yield
    import tensorflow as tf

    tf.random.set_seed(None)
