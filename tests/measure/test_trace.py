"""These tests trace training steps: spans fill the steps, and prefetch overlaps."""

import pytest
from shelf import assembly

from bench.measure import trace
from bench.measure.trace import merge
from bench.pipeline import Pipeline

pytestmark = pytest.mark.alone

STEPS = 5


def overlap(spans, first, second):
    """Return the seconds that spans of two names have in common."""
    return sum(
        max(0.0, min(a[2], b[2]) - max(a[1], b[1]))
        for a in spans
        for b in spans
        if a[0] == first and b[0] == second
    )


def total(spans, name):
    """Return the seconds of all spans of a name."""
    return sum(end - start for own, start, end in spans if own == name)


@pytest.mark.parametrize(
    ("name", "order"), [("prose", "batch_map"), ("photographs", "map_batch")]
)
def test_without_prefetch_the_pipeline_works_while_the_consumer_waits(
    name, order, tmp_path
):
    spans = trace.spans(assembly(name, order=order), tmp_path, STEPS)
    count = {n: sum(span[0] == n for span in spans) for n in ("wait", "train")}
    assert count == {"wait": STEPS, "train": STEPS}
    assert {span[0] for span in spans} == {"read", "map", "wait", "train"}
    assert all(0 <= start <= end for _, start, end in spans)
    whole = max(end for *_, end in spans)
    waits, trains = (
        sorted(span[1:] for span in spans if span[0] == name)
        for name in ("wait", "train")
    )
    assert [end for _, end in waits] == [start for start, _ in trains]
    # From the end of a step to the next wait there is only one pass of the loop. The
    # machine may take the processor away just there, but hardly four times of four.
    between = [
        wait[0] - train[1] for wait, train in zip(waits[1:], trains, strict=False)
    ]
    assert len(between) == STEPS - 1
    assert 0 <= min(between) < 0.02 * whole / STEPS
    assert trains[-1][1] == whole
    # A map may end a little after the wait, when the last example is handed over.
    assert overlap(spans, "map", "train") <= 0.05 * whole
    assert overlap(spans, "map", "wait") >= 0.9 * total(spans, "map")


def test_with_prefetch_the_pipeline_works_while_the_consumer_trains(tmp_path):
    spans = trace.spans(assembly("photographs", prefetch=2), tmp_path, STEPS)
    assert overlap(spans, "map", "train") > 0


def test_pipelines_that_keep_or_replace_examples_are_not_traced():
    assert trace.traceable(Pipeline(prefetch=2, map_parallel_calls=2))
    for settings in (
        {"cache": "raw"},
        {"placement": "offline"},
        {"placement": "model"},
        {"resample": "split"},
    ):
        assert not trace.traceable(Pipeline(**settings))


def test_adjacent_spans_of_one_name_merge_but_steps_stay_separate():
    spans = [
        ("map", 1.0, 1.1),
        ("map", 0.0, 1.0),
        ("map", 2.0, 2.5),
        ("read", 1.1, 2.0),
        ("train", 0.0, 1.0),
        ("train", 1.0, 2.0),
    ]
    assert sorted(merge(spans, 0.01)) == [
        ("map", 0.0, 1.1),
        ("map", 2.0, 2.5),
        ("read", 1.1, 2.0),
        ("train", 0.0, 1.0),
        ("train", 1.0, 2.0),
    ]


def test_a_span_within_another_does_not_shorten_it():
    spans = [("map", 0.0, 5.0), ("map", 1.0, 2.0), ("map", 4.0, 6.0)]
    assert merge(spans, 0.0) == [("map", 0.0, 6.0)]
