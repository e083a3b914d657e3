"""Scenes, and the short first rounds of large ones: how many trials remain."""

from dataclasses import fields, replace

import factory
import pytest

from bench.analysis import table
from bench.pipeline import AXES
from bench.plan import screening
from bench.trial import Effort, Trial

EFFORT = Effort(rounds=5, steady_seconds=1.0, warmup_seconds=1.0, epochs=4)
HUNDRED = [
    factory.trial(prefetch=prefetch, batch_size=size)
    for prefetch in range(10)
    for size in range(10, 20)
]


def test_each_field_of_a_trial_is_in_the_scene_or_is_an_axis() -> None:
    own = {field.name for field in fields(Trial)} - {"pipeline"}
    assert own <= set(screening.SCENE)
    assert set(screening.SCENE) - own <= set(AXES)
    assert ("machine", *screening.SCENE) == table.SCENE


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"workload": "my/prices.py"}, "prices.py"),
        ({"consumer": "train"}, "prose train"),
        ({"unit": "epoch"}, "prose unit=epoch"),
        ({"data": "imdb"}, "prose data=imdb"),
        ({"image_size": 64}, "prose image_size=64"),
    ],
)
def test_trials_of_another_scene_are_grouped_apart(settings: dict, name: str) -> None:
    base, other = factory.trial(), factory.trial(**settings)
    assert screening.scene(other) != screening.scene(base)
    assert screening.scenes([base, other, base]) == [[base, base], [other]]
    assert (screening.scene_name(base), screening.scene_name(other)) == ("prose", name)


def test_trials_that_differ_in_other_axes_share_a_scene() -> None:
    assert screening.scenes(HUNDRED) == [HUNDRED]


def test_a_quarter_is_kept_and_never_fewer_than_eight() -> None:
    assert [screening.remaining(n) for n in (100, 25, 33, 8, 3)] == [25, 8, 8, 8, 3]


def test_a_screening_run_is_short() -> None:
    """An effort that is short already stays as it is."""
    short = screening.short(replace(EFFORT, trace_steps=9))
    assert short == replace(
        EFFORT, steady_seconds=0.25, warmup_seconds=0.5, epochs=1, trace_steps=0
    )
    assert screening.short(replace(EFFORT, steady_seconds=0.1)).steady_seconds == 0.1
    assert screening.short(replace(EFFORT, steady_seconds=0.4)).steady_seconds == 0.2


def test_the_least_rounds_of_a_race() -> None:
    """A large scene is screened and then races; a small scene has all its rounds."""
    small = [factory.trial(workload="prices", prefetch=n) for n in range(3)]
    rounds = screening.rounds([*HUNDRED, *small], EFFORT)
    short = screening.short(EFFORT)
    counts = [(row.count(short), row.count(EFFORT)) for row in rounds]
    assert counts == [(100, 3), (25, 3), (0, 11), (0, 11), (0, 11)]
