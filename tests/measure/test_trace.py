"""Traced training steps: spans tile the steps, and prefetch makes them overlap."""

import pytest
from shelf import work

from bench.measure import trace
from bench.measure.trace import merge
from bench.pipeline import Pipeline

pytestmark = pytest.mark.alone

STEPS = 5


def overlap(spans, first, second):
    """Seconds in which both go on."""
    return sum(
        max(0.0, min(a[2], b[2]) - max(a[1], b[1]))
        for a in spans
        for b in spans
        if a[0] == first and b[0] == second
    )


def total(spans, name):
    """Seconds of a name."""
    return sum(end - start for own, start, end in spans if own == name)


@pytest.mark.parametrize(
    ("name", "order"), [("prose", "batch_map"), ("photographs", "map_batch")]
)
def test_without_prefetch_the_pipeline_works_while_the_consumer_waits(
    name, order, tmp_path
):
    found = trace.spans(work(name, order=order), tmp_path, STEPS)
    count = {n: sum(span[0] == n for span in found) for n in ("wait", "train")}
    assert count == {"wait": STEPS, "train": STEPS}
    assert {span[0] for span in found} == {"read", "map", "wait", "train"}
    assert all(0 <= start <= end for _, start, end in found)
    whole = max(end for *_, end in found)
    waits, trains = (
        sorted(span[1:] for span in found if span[0] == name)
        for name in ("wait", "train")
    )
    assert [end for _, end in waits] == [start for start, _ in trains]
    # From a step's end to the next wait: nothing but a turn of the loop, and where the
    # machine takes its processor away just there, it does so in one of four.
    between = [
        wait[0] - train[1] for wait, train in zip(waits[1:], trains, strict=False)
    ]
    assert len(between) == STEPS - 1
    assert 0 <= min(between) < 0.02 * whole / STEPS
    assert trains[-1][1] == whole
    # A hair beyond the wait, where the last of a batch is handed over.
    assert overlap(found, "map", "train") <= 0.05 * whole
    assert overlap(found, "map", "wait") >= 0.9 * total(found, "map")


def test_with_prefetch_it_works_while_the_consumer_trains(tmp_path):
    found = trace.spans(work("photographs", prefetch=2), tmp_path, STEPS)
    assert overlap(found, "map", "train") > 0


def test_what_keeps_or_replaces_examples_is_not_traced():
    assert trace.traceable(Pipeline(prefetch=2, map_parallel_calls=2))
    for settings in (
        {"cache": "raw"},
        {"placement": "offline"},
        {"placement": "model"},
        {"resample": "split"},
    ):
        assert not trace.traceable(Pipeline(**settings))


def test_neighbours_of_one_name_are_one_but_steps_stay_apart():
    found = [
        ("map", 1.0, 1.1),
        ("map", 0.0, 1.0),
        ("map", 2.0, 2.5),
        ("read", 1.1, 2.0),
        ("train", 0.0, 1.0),
        ("train", 1.0, 2.0),
    ]
    assert sorted(merge(found, 0.01)) == [
        ("map", 0.0, 1.1),
        ("map", 2.0, 2.5),
        ("read", 1.1, 2.0),
        ("train", 0.0, 1.0),
        ("train", 1.0, 2.0),
    ]


def test_one_within_another_does_not_shorten_it():
    found = [("map", 0.0, 5.0), ("map", 1.0, 2.0), ("map", 4.0, 6.0)]
    assert merge(found, 0.0) == [("map", 0.0, 6.0)]
