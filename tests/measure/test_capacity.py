"""What does not fit is refused before it is prepared."""

import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from shelf import assembly

from bench import machine
from bench.errors import UsageError
from bench.measure import capacity, measurement

NUMBERS = tf.data.Dataset.from_tensor_slices(np.zeros((100, 250), np.float32))
TEXTS = tf.data.Dataset.from_tensor_slices([b"x" * 976] * 100)


@pytest.mark.parametrize("kept", [NUMBERS, TEXTS], ids=["known", "counted"])
def test_a_cache_larger_than_the_memory_is_refused_with_the_figures(
    monkeypatch, kept: tf.data.Dataset
) -> None:
    monkeypatch.setattr(machine, "available_memory", lambda: 10**8)
    capacity.demand_room(kept, 99_000, "cache=mapped")
    message = (
        "cache=mapped would take about 101 MB of memory, and 100 MB are available. Use "
        "cache_storage=disk, or take fewer or smaller examples."
    )
    with pytest.raises(UsageError, match=re.escape(message)):
        capacity.demand_room(kept, 101_000, "cache=mapped")


def test_stored_outputs_must_fit_on_the_disk(monkeypatch, tmp_path: Path) -> None:
    free = SimpleNamespace(free=10**8)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: free)
    message = (
        "the stored outputs would take about 1 GB, and 100 MB are free on the disk of "
        f"'{tmp_path}'. Set TMPDIR to another disk, or take fewer or smaller examples."
    )
    with pytest.raises(UsageError, match=re.escape(message)):
        capacity.demand_room(NUMBERS, 1_000_000, "the stored outputs", tmp_path)


@pytest.mark.parametrize(
    ("axes", "elements"),
    [
        ({"cache": "raw"}, 1024),
        ({"cache": "mapped"}, 1024),
        ({"cache": "mapped", "order": "batch_map"}, 32),
        ({"cache": "mapped", "order": "batch_map_unbatch"}, 1024),
    ],
)
def test_a_cache_holds_examples_or_batches(
    monkeypatch, tmp_path: Path, axes: dict, elements: float
) -> None:
    asked = []
    monkeypatch.setattr(capacity, "demand_room", lambda *args: asked.append(args))
    one = assembly("rescaling", image_size=16, **axes)
    dataset = one.dataset(tmp_path, repeat=True)
    measurement._demand_cache_fits(one, dataset, tmp_path)
    ((kept, count, what, folder),) = asked
    batched = kept.element_spec[0].shape.rank == 4
    assert (count, batched) == (elements, elements == 32)
    assert (what, folder) == (f"cache={axes['cache']}", None)


def test_filling_that_would_run_into_the_limit_ends_early(monkeypatch) -> None:
    now = [0.0]
    monkeypatch.setattr(capacity.time, "monotonic", lambda: now[0])
    short, long = capacity.FillTime(100, 60.0), capacity.FillTime(100, 59.0)
    now[0] = 2.9
    long.check(1)
    now[0] = 6.0
    short.check(10)
    message = (
        "Filling the cache would take about 60 s: 10 of 100 batches took 6 s. The "
        "limit of a run leaves 59 s. Raise it with --limit, or take fewer examples."
    )
    with pytest.raises(UsageError, match=re.escape(message)):
        long.check(10)
    now[0] = 50.0
    short.check(11)  # it looks once
