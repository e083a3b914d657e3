"""Every named sweep expands, and `all` contains every entry, strategy and axis."""

from collections import Counter

import pytest

from bench import catalog
from bench.pipeline import AXES, STRATEGIES, allowed, pipeline, with_axes
from bench.plan import plan, sweeps
from bench.plan.refusals import refusal
from bench.trial import CONSUMERS, UNITS

ISSUED = (
    "placement", "order", "cache", "prefetch", "interleave", "parallel_map",
    "resampling", "chain", "export", "layers", "state", "settings", "quick", "all",
    "bottleneck",
)  # fmt: skip


@pytest.fixture(scope="module")
def everything():
    """The trials of the sweep `all`."""
    return sweeps.trials(sweeps.find("all"))[0]


def keys(name):
    """Return the keys of a named sweep."""
    return {trial.key for trial in sweeps.trials(sweeps.find(name))[0]}


def test_every_strategy_has_its_named_sweep():
    assert set(ISSUED) <= set(sweeps.names())
    assert all(sweeps.names().values()), "a sweep without a description"


@pytest.mark.parametrize("name", sweeps.names())
def test_a_sweep_is_hardly_refused(name):
    accepted, refused = sweeps.trials(sweeps.find(name))
    reasons = Counter(refused.values())
    assert len(refused) <= len(accepted) / 4, f"a wasteful block: {reasons}"


def test_all_has_every_entry_of_the_shelves(everything):
    run = {trial.workload for trial in everything}
    assert run == set(catalog.workload_names())


def test_all_has_every_strategy_and_consumer(everything):
    assert set(STRATEGIES) <= {trial.strategy for trial in everything}
    assert {trial.consumer for trial in everything} == set(CONSUMERS)
    assert {trial.unit for trial in everything} == set(UNITS)


@pytest.mark.parametrize("axis", AXES)
def test_all_varies_every_axis(everything, axis):
    values = {getattr(trial.pipeline, axis) for trial in everything}
    assert len(values) > 1


@pytest.mark.parametrize(
    "axis",
    ["placement", "device", "order", "cache", "cache_storage", "resample", "jit"],
)
def test_all_has_every_word_of_the_axes_that_are_words(everything, axis):
    assert {getattr(trial.pipeline, axis) for trial in everything} == set(
        allowed(axis)[0]
    )


def test_all_fits_twenty_minutes_on_two_cores(everything):
    here = [trial for trial in everything if trial.pipeline.device != "gpu"]
    effort = plan.fit_to_budget(sweeps.find("all").effort, len(here), 20 * 60)
    assert plan.estimate(len(here), effort) <= 20 * 60


def test_layers_are_in_three_places_at_two_batch_sizes():
    trials = sweeps.trials(sweeps.find("layers"))[0]
    places = Counter(
        (trial.workload, trial.pipeline.placement, trial.pipeline.batch_size)
        for trial in trials
        if not trial.pipeline.image_size
    )
    names = {
        name
        for name in catalog.workload_names()
        if catalog.find(name).shelf == "layers"
    }
    # Two orders in the dataset; XLA off and on in the model, which changes no labels.
    assert places == {
        (name, place, size): 2
        for name in names
        for place in ("dataset", "model")
        for size in (32, 256)
        if place == "dataset" or not catalog.find(name).takes_labels
    }


def test_one_kind_of_a_shelf():
    trials = sweeps.trials(sweeps.find("layers"))[0]
    sized = {trial.workload for trial in trials if trial.pipeline.image_size}
    assert sized == {
        name
        for name in catalog.workload_names()
        if catalog.find(name).shelf == "layers" and catalog.find(name).kind == "image"
    }


def test_the_prefetch_sweep_has_both_parts_of_the_epoch():
    prefetched = keys("prefetch")
    for name in ("cifar_augmentation", "audio_commands"):
        assert f"{name}[unit=epoch,order=batch_map]" in prefetched
        assert f"{name}[consumer=model]" in prefetched


def test_a_shuffle_that_a_cache_of_batches_would_drop_is_refused():
    cached_batches = pipeline(
        {"shuffle_buffer": 8, "cache": "mapped", "order": "batch_map"}
    )
    entry = catalog.find("prices")
    assert refusal(cached_batches, "drain", "window", entry) == (
        "shuffle_buffer: with order=batch_map and cache=mapped the cache holds whole "
        "batches; use order=map_batch or batch_map_unbatch"
    )
    cached_examples = with_axes(cached_batches, {"order": "map_batch"})
    assert refusal(cached_examples, "drain", "window", entry) is None
