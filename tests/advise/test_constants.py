"""Constants in place of AUTOTUNE: what is read, proposed and written."""

import pytest

from bench.advise import chain as chains
from bench.advise.proposals import constants
from bench.measure import recorder, stage_times
from bench.measure.user_function import make_dataset
from bench.run.user_pipeline import PipelineReading, Stage

TEXT = """import tensorflow as tf


def scale(x):
    return x * 2


def make():
    return (
        tf.data.Dataset.range(1000)
        .map(scale, tf.data.AUTOTUNE)  # as many as there are processors
        .map(scale, num_parallel_calls=2)
        .batch(4, num_parallel_calls=tf.data.AUTOTUNE)
        .prefetch(buffer_size=tf.data.AUTOTUNE)
    )
"""


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Stage], str]:
    path = tmp_path_factory.mktemp("advise") / "pipeline.py"
    path.write_text(TEXT)
    with recorder.recorded() as calls:
        dataset = make_dataset(str(path), TEXT, "make()")
    stages = recorder.stages(calls, dataset)
    stage_times.add_seconds(stages, recorder.outputs(calls, stages), 250, 4)
    return stages, str(path)


def test_only_what_the_runtime_chose_is_read(read: tuple[list[Stage], str]) -> None:
    _, first, second, batch, prefetch = read[0]
    assert set(first.chosen) == set(batch.chosen) == {"num_parallel_calls"}
    assert first.chosen["num_parallel_calls"] >= 1
    assert second.chosen == {}
    assert prefetch.chosen.get("buffer_size", 1) >= 1


def test_the_numbers_are_written_where_autotune_stood(
    read: tuple[list[Stage], str],
) -> None:
    stages, path = read
    stages[1].chosen, stages[4].chosen = {"num_parallel_calls": 7}, {"buffer_size": 3}
    reading = PipelineReading(stages=stages)
    chain = chains.chain(reading, path, TEXT)
    first, last = constants.propose(chain)
    assert first.change == (
        "line 11: set num_parallel_calls=7 in .map, as AUTOTUNE chose here"
    )
    assert first.source == TEXT.replace("scale, tf.data.AUTOTUNE", "scale, 7")
    assert last.source == TEXT.replace("size=tf.data.AUTOTUNE", "size=3")


def test_without_autotune_nothing_is_proposed() -> None:
    stages = [Stage(method="range"), Stage(method="map", inputs=[0])]
    reading = PipelineReading(stages=stages)
    assert list(constants.propose(chains.chain(reading, "a.py", TEXT))) == []
