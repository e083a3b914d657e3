"""Every named sweep expands, and `all` contains every entry, strategy and axis."""

from collections import Counter
from dataclasses import replace

import pytest

from bench import catalog
from bench.pipeline import AXES, STRATEGIES, allowed, pipeline, with_axes
from bench.plan import hosts, plan, sweeps
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
    if axis in hosts.OF_GRAIN and not hosts.has_grain():
        pytest.skip("Grain is not installed")
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


def layer_cells():
    """Return the order or placement, batch size and image size of each layer's trials.

    The key is the name of a layer or of one of its variants.
    """
    cells = {}
    for trial in sweeps.trials(sweeps.find("layers"))[0]:
        p = trial.pipeline
        place = p.order if p.place.maps_layers else f"{p.placement} {p.jit}"
        cell = place, p.batch_size, p.image_size
        cells.setdefault(trial.workload, set()).add(cell)
    return cells


def on_the_shelf():
    """Return the entries of layers and of their variants."""
    entries = map(catalog.find, catalog.workload_names())
    return [entry for entry in entries if entry.shelf == "layers"]


def test_every_layer_has_the_cells_that_its_tables_need():
    """A model changes no labels, and a stored random layer would be frozen."""
    cells = layer_cells()
    assert set(cells) == {entry.name for entry in on_the_shelf()}
    for entry in on_the_shelf():
        size = 32 if entry.sized else 0
        needed = {("map_batch", 32, size), ("batch_map", 32, size)}
        if not entry.variant:
            needed |= {("batch_map", batch, size) for batch in (1, 256)}
            larger = (("map_batch", 32, 128), ("batch_map", 32, 128))
            needed |= set(larger) if entry.sized else set()
            if not entry.takes_labels:
                needed |= {("model off", 32, size), ("model on", 32, size)}
            if entry.deterministic:
                needed.add(("offline off", 32, size))
        if entry.name == "rescaling":  # a claim compares them
            needed |= {("map_batch", 32, 16), ("map_batch", 32, 224)}
        assert cells[entry.name] == needed, entry.name


def test_a_round_of_layers_fits_into_its_own_budget():
    """The inputs are made before, within 20 minutes in all."""
    sweep = sweeps.find("layers")
    count = sum(map(len, layer_cells().values()))
    whole_round = plan.estimate(count, replace(sweep.effort, rounds=1))
    assert whole_round < sweep.budget_seconds < 20 * 60
    assert sweep.effort.rounds == 2


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
