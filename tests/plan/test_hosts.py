"""A host refuses the axes that it has not, with the reason and what to do."""

import sys

import pytest

from bench import catalog
from bench.pipeline import Pipeline, prepares_ahead, steps
from bench.plan import hosts
from bench.plan.refusals import refusal

REFUSED = {
    "worker_count: tf.data has no worker processes: use host=grain": (
        {"host": "tf.data", "worker_count": 2},
        {"worker_count": 2},
    ),
    "host=grain: placement=offline would leave no layers to Grain: use "
    "placement=dataset, or host=tf.data": (
        {"placement": "offline"},
        {"placement": "dataset"},
    ),
    "host=grain: Grain has no counterpart of cache, rewrites: leave out, or use "
    "host=tf.data": ({"cache": "raw", "rewrites": "default"}, {"prefetch": 2}),
    "host=grain: Grain has no unbatch: use order=map_batch or batch_map": (
        {"order": "batch_map_unbatch"},
        {"order": "batch_map"},
    ),
    "host=grain: Grain chooses no number of threads or batches by itself: use numbers "
    "in place of autotune": ({"prefetch": "autotune"}, {"map_parallel_calls": 2}),
    "worker_count: processes whose threads map examples would each make batches of "
    "their own examples only: use order=batch_map, or map_parallel_calls=0": (
        {"worker_count": 2, "map_parallel_calls": 2},
        {"worker_count": 2, "map_parallel_calls": 2, "order": "batch_map"},
    ),
}


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Grain be installed: these tests only read the axes."""
    monkeypatch.setattr(hosts, "has_grain", lambda: True)


@pytest.mark.parametrize("reason", REFUSED)
def test_what_grain_has_not_is_refused(reason: str) -> None:
    refused, mended = REFUSED[reason]
    entry = catalog.find("rescaling")
    given = Pipeline(**{"host": "grain", **refused})
    assert refusal(given, "drain", "window", entry) == reason
    given = Pipeline(**{"host": "grain", **mended})
    assert refusal(given, "drain", "window", entry) is None


@pytest.mark.parametrize("name", ["photo_files", "series_windows", "record_batches"])
def test_records_that_are_read_or_decoded_are_refused(name: str) -> None:
    reason = refusal(
        Pipeline(host="grain", order="batch_map"),
        "drain",
        "window",
        catalog.find(name),
    )
    assert reason == (
        f"host=grain: read(), decode() and source() of '{name}' are for tf.data: use "
        "host=tf.data, or examples() in memory"
    )


def test_a_held_batch_has_no_host() -> None:
    p = Pipeline(host="grain")
    assert refusal(p, "model", "window", catalog.find("prices")) == (
        "model: its one batch is held in memory, whatever prepared it; leave out host"
    )


def test_without_grain_the_reason_is_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hosts, "has_grain", lambda: False)
    entry = catalog.find("rescaling")
    assert refusal(Pipeline(host="grain"), "drain", "window", entry) == (
        f"host=grain needs Grain: {sys.executable} -m pip install grain"
    )


def test_worker_processes_are_a_step_and_prepare_batches() -> None:
    """They work while no consumer pulls, also without a prefetch after them."""
    assert prepares_ahead(Pipeline(host="grain", worker_count=1))
    assert not prepares_ahead(Pipeline(host="grain"))
    p = Pipeline(host="grain", worker_count=2, prefetch=3, order="batch_map")
    names = [str(step) for step in steps(p, decodes=False)]
    assert names == [
        "read", "repeat", "batch (32)", "layers", "workers (2)", "prefetch (3)"
    ]  # fmt: skip
