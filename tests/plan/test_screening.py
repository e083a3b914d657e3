"""Short first rounds for large scenes: how many go on, and how short the runs are."""

from dataclasses import replace

import factory

from bench.analysis.table import SCENE
from bench.plan import screening
from bench.trial import Effort

EFFORT = Effort(rounds=5, steady_seconds=1.0, warmup_seconds=1.0, epochs=4)
HUNDRED = [
    factory.trial(prefetch=prefetch, batch_size=size)
    for prefetch in range(10)
    for size in range(10, 20)
]


def test_a_scene_is_what_the_table_takes_for_one() -> None:
    """On one machine."""
    named = ("machine", *screening.SHARED, *screening.SHARED_AXES)
    assert named == SCENE
    base = factory.trial()
    for other in (
        factory.trial(workload="prices"),
        factory.trial(consumer="train"),
        factory.trial(image_size=64),
    ):
        assert screening.scene(other) != screening.scene(base)
    assert screening.scene(factory.trial("parallel")) == screening.scene(base)
    assert list(map(len, screening.scenes([*HUNDRED, other]))) == [100, 1]


def test_a_quarter_is_kept_and_never_fewer_than_eight() -> None:
    """Nor more than there are."""
    assert [screening.kept(n) for n in (100, 25, 33, 8, 3)] == [25, 8, 8, 8, 3]


def test_a_screening_run_is_short() -> None:
    """A quarter of the windows; what is short already stays as it is."""
    short = screening.short(replace(EFFORT, trace_steps=9))
    assert short == replace(
        EFFORT, steady_seconds=0.25, warmup_seconds=0.5, epochs=1, trace_steps=0
    )
    assert screening.short(replace(EFFORT, steady_seconds=0.1)).steady_seconds == 0.1
    assert screening.short(replace(EFFORT, steady_seconds=0.4)).steady_seconds == 0.2


def test_the_least_rounds_of_a_race() -> None:
    """A large scene is screened, then raced; a small one has its own rounds."""
    small = [factory.trial(workload="prices", prefetch=n) for n in range(3)]
    rounds = screening.rounds([*HUNDRED, *small], EFFORT)
    short = screening.short(EFFORT)
    told = [(row.count(short), row.count(EFFORT)) for row in rounds]
    assert told == [(100, 3), (25, 3), (0, 11), (0, 11), (0, 11)]
