"""These tests cover when costs recur, and windows that cover whole epochs."""

import pytest

from bench.measure import rhythm
from bench.measure.rhythm import Rhythm, WindowLayout, lay_windows
from bench.pipeline import Pipeline


@pytest.mark.parametrize(
    ("least", "epoch", "layout"),
    [
        (5, 320.0, WindowLayout(5, 64)),
        (3, 32.0, WindowLayout(4, 8)),
        (3, 31.0, WindowLayout(31, 1)),
        (10, 3.9, WindowLayout(39, 1)),
        (7, 1021.0, WindowLayout(8, 128, 4)),
        (100, 1.0, WindowLayout(100, 1)),
        (12, 0.0, WindowLayout(12, 0)),
    ],
)
def test_windows_cover_whole_epochs(least, epoch, layout):
    assert lay_windows(least, epoch) == layout


@pytest.mark.parametrize("least", [1, 3, 10, 97])
@pytest.mark.parametrize("epoch", [3.9, 31.25, 64.0, 320.5, 1021.0, 20_000.3])
def test_windows_miss_an_epoch_by_half_a_per_cent_at_most(least, epoch):
    layout = lay_windows(least, epoch)
    covered = layout.batches * layout.per_epoch
    epochs = max(1, round(covered / epoch))
    assert layout.batches >= least
    assert abs(covered / epochs - epoch) <= max(0.5, rhythm.NEARLY * epoch)


def test_a_shuffle_fills_once_an_epoch():
    costs = rhythm.rhythm(Pipeline(batch_size=10, shuffle_buffer=300), 1000)
    assert (costs.epoch, costs.buffer) == (100.0, 30.0)
    assert costs.hidden(start=40, batches=100) == ""
    assert costs.hidden(start=40, batches=80) == "the shuffle buffer fills"
    # Between filling and emptying, each example costs one read.
    assert costs.hidden(start=40, batches=30) == ""


def test_a_buffer_of_several_epochs_holds_one():
    costs = rhythm.rhythm(Pipeline(batch_size=10, shuffle_buffer=4000), 1000)
    assert costs.buffer == costs.epoch
    assert costs.hidden(start=0, batches=90) == "the shuffle buffer fills"


def test_few_files_do_not_represent_all():
    costs = rhythm.rhythm(Pipeline(batch_size=10), 10_000, files=100)
    assert costs.files == 10.0
    assert costs.hidden(start=0, batches=50) == "the next file opens"
    assert costs.hidden(start=0, batches=200) == ""


def test_a_cache_hides_the_files():
    costs = rhythm.rhythm(Pipeline(batch_size=10, cache="raw"), 10_000, files=100)
    assert costs.files == 0.0


def test_cached_batches_are_complete():
    p = Pipeline(batch_size=32, cache="mapped", order="batch_map")
    assert rhythm.rhythm(p, 100).epoch == 3.0


def test_resampling_has_the_period_of_the_rare_class():
    p = Pipeline(batch_size=10, resample="filter")
    costs = rhythm.rhythm(p, 1000, rare=20)
    assert costs.epoch == 4.0
    assert "filter" in costs.hidden(start=0, batches=2)
    many = rhythm.rhythm(Pipeline(resample="filter"), 9000, rare=900, scattered=True)
    assert "filter" in many.hidden(start=0, batches=2)
    assert many.hidden(start=0, batches=4) == ""
    split = rhythm.rhythm(Pipeline(batch_size=10, resample="split"), 1000, rare=20)
    assert split.epoch == 196.0
    assert split.hidden(start=0, batches=2) == ""
    shuffled = Pipeline(batch_size=10, resample="split", shuffle_buffer=900)
    costs = rhythm.rhythm(shuffled, 1000, rare=20)
    assert costs.hidden(start=40, batches=20) == "the shuffle buffer fills"


@pytest.mark.parametrize(
    ("settings", "together"),
    [
        ({}, 1),
        ({"map_parallel_calls": 4, "order": "batch_map"}, 4),
        ({"map_parallel_calls": 4}, 1),
        ({"map_parallel_calls": 40, "batch_size": 16}, 3),
        ({"interleave_cycle_length": 8, "interleave_block_length": 16}, 4),
    ],
)
def test_parallel_calls_deliver_several_batches_together(settings, together):
    assert rhythm.together(Pipeline(**settings)) == together


def test_a_held_batch_is_an_epoch():
    assert rhythm.rhythm(Pipeline(), 1000, held=True) == Rhythm(epoch=1.0)


def test_examples_are_scattered_or_close_together():
    assert rhythm.scattered([5, 250, 490, 760], 1000)
    assert rhythm.scattered([17], 1000)
    assert not rhythm.scattered([*range(900, 1000)], 1000)
