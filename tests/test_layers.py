"""These tests hold every layer and variant to its contract, in every place."""

import numpy as np
import pytest
import shelf

from bench.measure.equality import demand_equal, is_close

DETERMINISTIC = [entry for entry in shelf.ENTRIES if entry.deterministic]


def named(entries: list) -> pytest.MarkDecorator:
    """Parametrize a test by entries, under their names."""
    return pytest.mark.parametrize("entry", entries, ids=lambda entry: entry.name)


@named(shelf.ENTRIES)
def test_an_entry_describes_itself(entry):
    assert entry.summary.endswith("."), "the docstring's first line is a sentence"
    assert entry.kind in ("image", "structured", "text", "audio")
    assert entry.sized == (entry.kind == "image"), "only images have a size"


@named(shelf.ENTRIES)
def test_examples_follow_from_the_generator(entry):
    module = shelf.module(entry.path.stem)
    draws = [
        module.examples(np.random.default_rng(seed), shelf.COUNT) for seed in (3, 3, 4)
    ]
    first, repeated, other = (d[0] if isinstance(d, tuple) else d for d in draws)
    assert len(first) == shelf.COUNT
    np.testing.assert_array_equal(first, repeated)
    assert not np.array_equal(first, other), "another seed gives other examples"


@named([entry for entry in shelf.ENTRIES if entry.sized and not entry.variant])
def test_images_have_the_requested_size(entry):
    module = shelf.module(entry.path.stem)
    images = module.examples(np.random.default_rng(0), 3, size=40)
    assert images.shape == (3, 40, 40, 3)
    assert images.dtype == np.uint8


@pytest.mark.parametrize("place", shelf.PLACES)
@named(shelf.ENTRIES)
def test_output_passes_its_check(entry, place):
    output = shelf.output(entry.name, place)
    shelf.module(entry.path.stem).check(
        shelf.features(entry.path.stem), output, **entry.variant
    )


@pytest.mark.parametrize("place", [p for p in shelf.PLACES if p != "eager"])
@named(DETERMINISTIC)
def test_deterministic_layers_agree_in_every_place(entry, place):
    """On single examples, statistics of a batch are those of a batch of one."""
    tolerance = float(entry.constants.get("TOLERANCE", 1e-5))
    reference, output = (shelf.output(entry.name, p) for p in ("eager", place))
    if place == "map_batch" and not is_close(reference, output, tolerance):
        reference = shelf.one_by_one(entry)
    demand_equal(reference, output, tolerance, place)
