"""Examples as tutorials have them are drained and trained as they are."""

from collections.abc import Iterator
from pathlib import Path

import factory
import msgspec
import pytest

from bench import catalog
from bench.plan.refusals import refusal
from bench.run.executors import ForkServer
from bench.trial import Effort, Measured

FILES = sorted(set(Path(__file__).parent.glob("*.py")) - {Path(__file__)})
BRIEF = Effort(
    steady_seconds=0.01,
    window_seconds=0.001,
    warmup_seconds=0.01,
    facts=False,
)
MOST_LINES = 60


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    server = ForkServer()
    server.start()
    yield server
    server.stop()


def test_there_are_eight_short_examples() -> None:
    lines = [len(file.read_text().splitlines()) for file in FILES]
    assert len(lines) == 8 and max(lines) < MOST_LINES


@pytest.mark.parametrize(
    ("consumer", "axes"),
    [("drain", {}), ("train", {"order": "batch_map", "map_parallel_calls": 2})],
    ids=["drain", "train"],
)
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_example_is_measured_as_it_is(
    server: ForkServer, file: Path, consumer: str, axes: dict
) -> None:
    """An example whose records are decoded by batches is drained by batches."""
    if catalog.find(str(file)).decodes_batches:
        axes = {**axes, "order": "batch_map"}
    trial = factory.trial(workload=str(file), consumer=consumer, **axes)
    entry = catalog.find(trial.workload)
    assert refusal(trial.pipeline, consumer, trial.unit, entry) is None
    outcome = server.execute("measure", trial, BRIEF, seed=1)
    assert outcome.failure is None
    run = msgspec.json.decode(outcome.result, type=Measured)
    assert run.error is None
    assert len(run.samples) >= 3
