"""These tests cover an assembly: its layers on examples and on batches."""

import numpy as np
import pytest
from shelf import assembly

from bench.measure import check, nests
from bench.measure.layers import fingerprint


def test_an_output_that_cannot_be_a_batch_of_one_needs_no_trace() -> None:
    """A flipped image has 16 rows, not 1, so its layers are traced only in the map."""
    flips = assembly("random_flip", image_size=16)
    assert flips.raw_and_outputs()[0][1].shape == (32, 16, 16, 3)
    assert flips.layers_function.experimental_get_tracing_count() == 0


def test_a_batch_of_one_from_a_bare_example_becomes_an_example() -> None:
    """Normalization makes a batch of one, so the output's rank is traced once."""
    examples = assembly("normalization")
    outputs = check.concatenate([output for _, output in examples.raw_and_outputs()])
    assert examples.layers_function.experimental_get_tracing_count() == 1
    batches = assembly("normalization", order="batch_map")
    np.testing.assert_array_equal(
        outputs, check.concatenate([output for _, output in batches.raw_and_outputs()])
    )
    assert examples.ranks == outputs.ndim - 1


def test_outputs_come_from_the_timed_pipeline_where_its_batches_are_in_order(
    tmp_path,
) -> None:
    """A change of its outputs is visible, except where examples are shuffled."""
    ordered = assembly("normalization", order="batch_map", prefetch=2)
    timed = ordered.dataset(tmp_path, repeat=True)
    changed = timed.map(lambda features, *labels: (features + 1, *labels))
    for (raw, output), (same_raw, larger) in zip(
        ordered.raw_and_outputs(timed), ordered.raw_and_outputs(changed), strict=True
    ):
        np.testing.assert_array_equal(raw, same_raw)
        np.testing.assert_allclose(output, ordered.reference_output(raw), atol=1e-5)
        np.testing.assert_array_equal(larger, output + 1)
    shuffled = assembly("normalization", order="batch_map", shuffle_buffer=8)
    for raw, output in shuffled.raw_and_outputs(changed):
        np.testing.assert_allclose(output, shuffled.reference_output(raw), atol=1e-5)


@pytest.mark.parametrize(
    ("example_bytes", "deterministic", "count"),
    [
        (32 * 32 * 3, True, 64),
        (0, False, 64),  # texts
        (1024 * 1024 * 3, True, 21),
        (4000 * 3000 * 3, True, 2),
        (4000 * 3000 * 3, False, 16),
    ],
)
def test_few_examples_are_checked_where_they_are_large(
    example_bytes, deterministic, count
) -> None:
    assert check.examples_within_limit(example_bytes, deterministic) == count


def test_a_check_of_large_images_decodes_no_whole_batch(monkeypatch, tmp_path) -> None:
    """Not even of the timed pipeline, whose batches have 32."""
    monkeypatch.setattr(check, "CHECKED_BYTES", 5 * 16 * 16 * 3)
    rescaling = assembly("rescaling", image_size=16, order="batch_map")
    timed = rescaling.dataset(tmp_path, repeat=True)
    pairs = rescaling.raw_and_outputs(timed)
    size = nests.count(pairs[0][0])
    assert size == rescaling.checked_examples < 32
    assert len(pairs) == 1
    assert nests.count(rescaling.first_examples(8)) == size
    for raw, output in pairs:
        np.testing.assert_allclose(output, rescaling.reference_output(raw), atol=1e-5)


def test_a_fingerprint_depends_on_the_characters_of_texts() -> None:
    """The addresses of the texts in memory have no influence."""
    lists = (["red", "blue"], ["red", "blue"], ["red", "green"])
    texts = [
        np.array(["".join(list(word)) for word in words], object) for words in lists
    ]
    assert fingerprint(texts[0]) == fingerprint(texts[1]) != fingerprint(texts[2])
