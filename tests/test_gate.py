"""No check lets a wrong output pass: a no-op, an offset, a lost channel, a constant."""

import numpy as np
import pytest
import shelf

RANDOM = [entry for entry in shelf.ENTRIES if not entry.deterministic]
LOOKUPS = [
    entry
    for entry in shelf.ENTRIES
    if entry.path.stem in ("string_lookup", "integer_lookup", "text_vectorization")
]


def refused(entry, output: np.ndarray) -> None:
    """The entry's check refuses this output of the 64 examples."""
    batch = shelf.features(entry.path.stem)
    with pytest.raises(AssertionError):
        shelf.module(entry.path.stem).check(batch, output, **entry.variant)


def right(entry) -> np.ndarray:
    """What the layers make of the 64 examples."""
    return shelf.output(entry.name, "batch_map")


def named(entries: list) -> pytest.MarkDecorator:
    """One test for each entry, under its name."""
    return pytest.mark.parametrize("entry", entries, ids=lambda entry: entry.name)


@named(shelf.ENTRIES)
def test_an_offset_is_refused(entry):
    output = right(entry)
    refused(entry, output + np.ones((), output.dtype))


@named(shelf.ENTRIES)
def test_a_constant_output_is_refused(entry):
    output = right(entry)
    for value in (0, output.flat[0]):
        refused(entry, np.full_like(output, value))


@named(shelf.ENTRIES)
def test_a_lost_axis_is_refused(entry):
    refused(entry, right(entry)[:1])


@named(shelf.ENTRIES)
def test_outputs_of_other_examples_are_refused(entry):
    refused(entry, np.roll(right(entry), 1, axis=0))


@named([entry for entry in shelf.ENTRIES if entry.kind == "image"])
@pytest.mark.parametrize("channel", [0, 1, 2])
def test_a_dropped_channel_is_refused(entry, channel):
    output = right(entry).copy()
    output[..., channel] = 0
    refused(entry, output)


@named(RANDOM)
def test_doing_nothing_is_refused(entry):
    batch = shelf.features(entry.path.stem)
    refused(entry, batch.astype(right(entry).dtype))


@named([entry for entry in RANDOM if entry.variant != {"form": "lambda"}])
def test_inference_is_refused(entry):
    """Outside training random layers do nothing; only a Lambda is not told of it."""
    refused(entry, shelf.inference(entry))


@named(LOOKUPS)
def test_a_shuffled_vocabulary_is_refused(entry):
    """Two words change their places in the vocabulary."""
    output = right(entry)
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
    refused(entry, swapped)
