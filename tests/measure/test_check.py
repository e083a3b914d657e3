"""These tests give each check wrong outputs, and every check must refuse them."""

import numpy as np
import pytest
import shelf
import tensorflow as tf

from bench import catalog
from bench.measure import check

RANDOM = [entry for entry in shelf.ENTRIES if not entry.deterministic]
LOOKUPS = [
    entry
    for entry in shelf.ENTRIES
    if entry.path.stem in ("string_lookup", "integer_lookup", "text_vectorization")
]


def demand_refused(entry, output: np.ndarray) -> None:
    """Assert that the entry's check refuses an output of the 64 examples."""
    batch = shelf.features(entry.path.stem)
    with pytest.raises(AssertionError):
        shelf.module(entry.path.stem).check(batch, output, **entry.variant)


def correct_output(entry) -> np.ndarray:
    """Return the layers' output for the 64 examples; eager calls trace nothing."""
    return shelf.output(entry.name, "eager")


def named(entries: list) -> pytest.MarkDecorator:
    """Parametrize a test by entries, under their names."""
    return pytest.mark.parametrize("entry", entries, ids=lambda entry: entry.name)


@named(shelf.ENTRIES)
def test_an_offset_is_refused(entry):
    """An offset of 1, or one beyond what a layer that shifts values may do itself."""
    output = correct_output(entry)
    shifting = {"aug_mix": 300, "rand_augment": 300, "random_color_jitter": 60}
    offset = shifting.get(entry.name, 1)
    demand_refused(entry, output + np.full((), offset, output.dtype))


@named(shelf.ENTRIES)
def test_a_constant_output_is_refused(entry):
    output = correct_output(entry)
    for value in (0, output.flat[0]):
        demand_refused(entry, np.full_like(output, value))


@named(shelf.ENTRIES)
def test_a_lost_axis_is_refused(entry):
    demand_refused(entry, correct_output(entry)[:1])


@named(shelf.ENTRIES)
def test_outputs_of_other_examples_are_refused(entry):
    demand_refused(entry, np.roll(correct_output(entry), 1, axis=0))


@named([entry for entry in shelf.ENTRIES if entry.kind == "image"])
@pytest.mark.parametrize("channel", [0, 1, 2])
def test_a_dropped_channel_is_refused(entry, channel):
    output = correct_output(entry).copy()
    output[..., channel] = 0
    demand_refused(entry, output)


@named(RANDOM)
def test_doing_nothing_is_refused(entry):
    batch = shelf.features(entry.path.stem)
    demand_refused(entry, batch.astype(correct_output(entry).dtype))


@named([entry for entry in RANDOM if entry.variant != {"form": "lambda"}])
def test_inference_is_refused(entry):
    """Random layers do nothing outside training, except a Lambda, which has no flag."""
    demand_refused(entry, shelf.inference(entry))


@named(LOOKUPS)
def test_a_shuffled_vocabulary_is_refused(entry):
    """Two words are exchanged in the vocabulary."""
    output = correct_output(entry)
    swapped = output.copy()
    if entry.variant.get("one_hot") or entry.variant.get("mode", "int") != "int":
        first = output.var(axis=0).argmax()
        differs = (output != output[:, [first]]).any(axis=0)
        second = np.flatnonzero(differs)[-1]
        swapped[:, [first, second]] = output[:, [second, first]]
    else:
        places, counts = np.unique(output[output > 1], return_counts=True)
        first, second = places[counts.argsort()[-2:]]
        swapped[output == first], swapped[output == second] = second, first
    demand_refused(entry, swapped)


@named([entry for entry in shelf.ENTRIES if entry.kind == "image"])
def test_an_output_of_another_type_is_refused(entry):
    """Another type has another size and another speed."""
    demand_refused(entry, correct_output(entry).astype(np.float64))


SCALED = ("rotation", "zoom", "translation", "contrast", "brightness")


@named([catalog.find(f"random_{name}") for name in SCALED])
def test_a_tenth_of_the_range_is_refused(entry, monkeypatch):
    """The layer is the same, with a tenth of its factor."""
    module = shelf.module(entry.path.stem)
    with monkeypatch.context() as patched:
        patched.setattr(module, "FACTOR", module.FACTOR / 10)
        output = shelf.batch_map(entry)
    demand_refused(entry, output)


SOUGHT = ("random_rotation", "random_zoom", "random_translation", "tf_image_chain")


@named([catalog.find(name) for name in SOUGHT])
def test_wrong_outputs_in_the_last_half_of_a_batch_are_refused(entry):
    """The check must not look only at the first images."""
    output = correct_output(entry).copy()
    output[32:] = output[32:][::-1]
    demand_refused(entry, output)


@named([catalog.find(name) for name in SOUGHT[:2]])
def test_one_unchanged_image_is_refused(entry):
    """A rotation or a zoom changes every image."""
    output = correct_output(entry).copy()
    output[1] = shelf.features(entry.path.stem)[1]
    demand_refused(entry, output)


@named([catalog.find(name) for name in ("random_flip", "random_invert")])
def test_a_lopsided_draw_is_refused(entry):
    """Only four images of 64 are changed, or all but four."""
    batch = shelf.features(entry.path.stem)
    changed = batch[:, :, ::-1] if entry.name == "random_flip" else 255 - batch
    for few, many in ((changed, batch), (batch, changed)):
        demand_refused(entry, np.concatenate([few[:4], many[4:]]).astype(np.float32))


@pytest.mark.parametrize("step", ["random_brightness", "random_saturation"])
def test_a_missing_step_is_refused(step, monkeypatch):
    """A draw that changes almost nothing would be correct, a missing step is not."""
    entry = catalog.find("tf_image_chain")

    def without(images, *_, **__):
        return images

    monkeypatch.setattr(tf.image, step, without)
    demand_refused(entry, shelf.batch_map(entry))


def test_batches_of_different_shapes_are_refused_with_a_remedy():
    """TextVectorization makes such batches, each as wide as its longest text."""
    with pytest.raises(AssertionError) as caught:
        check.concatenate([tf.zeros([2, 3]), tf.zeros([2, 5]), tf.zeros([2, 3])])
    assert str(caught.value) == (
        "examples have the shape (3,) in one batch and (5,) in another: let the layers "
        "give a fixed one, as TextVectorization does with output_sequence_length"
    )
    assert check.concatenate([tf.zeros([2, 3]), tf.zeros([1, 3])]).shape == (3, 3)
