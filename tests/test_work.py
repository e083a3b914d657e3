"""What a trial's workload is asked: the layers on examples and on batches."""

import numpy as np
from shelf import work

from bench import gate
from bench.preprocess import fingerprint

WORDS = (["red", "blue"], ["red", "blue"], ["red", "green"])


def test_what_cannot_be_a_batch_of_one_needs_no_trace_to_tell() -> None:
    """A flipped image has 16 rows and not 1: its layers are traced in the map only."""
    one = work("random_flip", image_size=16)
    assert one.witness()[0][1].shape == (32, 16, 16, 3)
    assert one.reference.experimental_get_tracing_count() == 0


def test_a_batch_of_one_made_of_a_bare_example_is_an_example_again() -> None:
    """Normalization makes one of each; then the rank is traced, once."""
    one = work("normalization")
    outputs = gate.joined([made for _, made in one.witness()])
    assert one.reference.experimental_get_tracing_count() == 1
    other = work("normalization", order="batch_map")
    np.testing.assert_array_equal(
        outputs, gate.joined([made for _, made in other.witness()])
    )
    assert one.rank == outputs.ndim - 1


def test_a_fingerprint_of_texts_tells_what_they_say() -> None:
    """And not where they lie."""
    texts = [np.array(["".join(word) for word in words], object) for words in WORDS]
    assert fingerprint(texts[0]) == fingerprint(texts[1]) != fingerprint(texts[2])
