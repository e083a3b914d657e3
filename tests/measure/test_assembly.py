"""What a trial's workload is asked: the layers on examples and on batches."""

import numpy as np
from shelf import work

from bench.measure import check
from bench.measure.layers import fingerprint


def test_what_cannot_be_a_batch_of_one_needs_no_trace_to_tell() -> None:
    """A flipped image has 16 rows and not 1: its layers are traced in the map only."""
    one = work("random_flip", image_size=16)
    assert one.witness()[0][1].shape == (32, 16, 16, 3)
    assert one.layers_function.experimental_get_tracing_count() == 0


def test_a_batch_of_one_made_of_a_bare_example_is_an_example_again() -> None:
    """Normalization makes one of each; then the rank is traced, once."""
    one = work("normalization")
    outputs = check.concatenate([made for _, made in one.witness()])
    assert one.layers_function.experimental_get_tracing_count() == 1
    other = work("normalization", order="batch_map")
    np.testing.assert_array_equal(
        outputs, check.concatenate([made for _, made in other.witness()])
    )
    assert one.rank == outputs.ndim - 1


def test_the_timed_pipeline_itself_is_asked_where_its_batches_keep_step(
    tmp_path,
) -> None:
    """One that adds to outputs is found out; behind a shuffle another one is asked."""
    one = work("normalization", order="batch_map", prefetch=2)
    timed = one.dataset(tmp_path, repeat=True)
    bent = timed.map(lambda features, *labels: (features + 1, *labels))
    for (raw, made), (same, off) in zip(
        one.witness(timed), one.witness(bent), strict=True
    ):
        np.testing.assert_array_equal(raw, same)
        np.testing.assert_allclose(made, one.alone(raw), atol=1e-5)
        np.testing.assert_array_equal(off, made + 1)
    other = work("normalization", order="batch_map", shuffle_buffer=8)
    for raw, made in other.witness(bent):
        np.testing.assert_allclose(made, other.alone(raw), atol=1e-5)


def test_a_fingerprint_of_texts_tells_what_they_say() -> None:
    """And not where they lie."""
    said = (["red", "blue"], ["red", "blue"], ["red", "green"])
    texts = [np.array(["".join(list(word)) for word in one], object) for one in said]
    assert fingerprint(texts[0]) == fingerprint(texts[1]) != fingerprint(texts[2])
