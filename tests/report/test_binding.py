"""What binds a pipeline, and what AUTOTUNE chose, in words."""

import pytest

from bench.report import binding
from bench.run.user_pipeline import Lift, PipelineReading, Stage


@pytest.fixture(autouse=True)
def two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binding, "usable_processors", lambda: 2)


def reading(
    traits: tuple[str, ...] = (),
    busy: float = 0.4,
    own: float = 0.4,
    lift: Lift | None = None,
) -> PipelineReading:
    stage = Stage(
        method="map",
        function="parse, line 3",
        line=12,
        traits=list(traits),
        wait=0.9,
        processors=own,
    )
    source = Stage(method="library", wait=0.1)
    last = Stage(method="batch", wait=0.0, processors=busy)
    lift = lift or Lift(constraint="stage", stage=1, factor=3.14)
    return PipelineReading(stages=[source, stage, last], lifts=[lift])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            reading(),
            "A stage binds: map(parse) of line 12. Without it the pipeline would be "
            "3.1 times as fast.",
        ),
        (
            reading(("reads",)),
            "Storage binds: reading in map(parse) of line 12 waits for files. With its "
            "elements in memory the pipeline would be 3.1 times as fast.",
        ),
        (
            reading(("python",)),
            "Python binds: map(parse) of line 12 runs Python, one call at a time. "
            "Without it the pipeline would be 3.1 times as fast.",
        ),
        (
            reading(busy=2.3, own=1.9),
            "CPU cores bind: the pipeline keeps 2.0 of 2 processors busy, most of all "
            "in map(parse) of line 12. Without it the pipeline would be 3.1 times as "
            "fast.",
        ),
        (
            reading(lift=Lift(constraint="order", factor=2.5)),
            "Ordering binds: a slow example holds up those behind it. If parallel "
            "calls handed on what is ready first the pipeline would be 2.5 times as "
            "fast.",
        ),
        (
            reading(lift=Lift(constraint="stage", stage=1, factor=1.04)),
            "No stage binds by itself: the costliest is map(parse) of line 12. Without "
            "it the pipeline would be 1.0 times as fast.",
        ),
        (
            reading(lift=Lift(constraint="stage", stage=1, reason="It fails.")),
            "A stage binds: map(parse) of line 12. The consumer waits for it 90% of "
            "the time. What its removal gains was not measured: It fails.",
        ),
        (
            reading(lift=Lift(constraint="stage", stage=0, factor=3.14)),
            "A stage binds: map(parse) of line 12. The consumer waits for it 90% of "
            "the time. What its removal gains was not measured: it was not tried.",
        ),
        (
            PipelineReading(no_waits="no time."),
            "What binds is not known: no time.",
        ),
        (PipelineReading(), ""),
    ],
)
def test_what_binds_in_a_sentence(given: PipelineReading, expected: str) -> None:
    assert binding.sentences(given) == expected


def test_a_stage_of_a_library_has_no_line() -> None:
    given = reading(lift=Lift(constraint="stage", stage=0, factor=3.14))
    given.stages[0].wait, given.stages[1].wait = 0.9, 0.1
    assert "A stage binds: library, in a library." in binding.sentences(given)


def test_what_autotune_chose() -> None:
    chosen = {"num_parallel_calls": 2}
    stages = [
        Stage(method="map", line=4, chosen=chosen),
        Stage(method="batch", line=5),
        Stage(method="prefetch", line=6, chosen={"buffer_size": 3}),
    ]
    assert binding.choices(PipelineReading(stages=stages)) == (
        "AUTOTUNE chose: line 4 num_parallel_calls=2, line 6 buffer_size=3."
    )
    assert binding.choices(PipelineReading()) == ""
