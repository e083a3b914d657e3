"""What a pipeline's threads work on, by small real profiles and by events made up."""

from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow as tf

from bench.measure import activity
from bench.measure.activity import (
    CALL,
    KINDS,
    MOST_BATCHES,
    WORK,
    Event,
    operations,
    seconds_by_kind,
    shares,
)
from bench.measure.tf_data import options
from bench.pipeline import Pipeline

EXAMPLE = tf.train.Example(
    features=tf.train.Features(
        feature={"x": tf.train.Feature(float_list=tf.train.FloatList(value=[1.0] * 50))}
    )
).SerializeToString()
SPEC = {"x": tf.io.FixedLenFeature([50], tf.float32)}
ROWS = 512
MOST = {
    "python": ("numpy_function", "py_function", "generator"),
    "parsing": ("example", "csv"),
    "other": ("arithmetic",),
}


def counted(number: int) -> int:
    """Python work of some 50 microseconds."""
    return number + 0 * sum(range(3000))


def generated(path: bytes) -> object:
    """Python work in a generator."""
    yield from (counted(len(path)) for _ in range(ROWS))


def pipelines(path: str) -> dict[str, Callable[[], tf.data.Dataset]]:
    """Pipelines by what they work on; each reads a file by an interleave."""

    def reading(read: Callable[[tf.Tensor], tf.data.Dataset]) -> tf.data.Dataset:
        return tf.data.Dataset.from_tensors(path).interleave(read, cycle_length=1)

    lines = tf.data.TextLineDataset
    whole = tf.TensorSpec([], tf.int64)
    return {
        "numpy_function": lambda: reading(lines).map(
            lambda line: tf.numpy_function(
                counted, [tf.strings.length(line)], tf.int32, stateful=False
            )
        ),
        "py_function": lambda: reading(lines).map(
            lambda line: tf.py_function(
                lambda x: counted(int(x)), [tf.strings.length(line)], tf.int32
            )
        ),
        "generator": lambda: reading(
            lambda path: tf.data.Dataset.from_generator(
                generated, args=(path,), output_signature=whole
            )
        ),
        "example": lambda: reading(
            lambda path: lines(path).map(
                lambda _: tf.io.parse_single_example(EXAMPLE, SPEC)["x"]
            )
        ),
        # Such an operation is cheap, and the profile leaves it out.
        "csv": lambda: reading(
            lambda path: lines(path).map(
                lambda line: tf.stack(tf.io.decode_csv(line, [0.0] * 4))
            )
        ),
        "arithmetic": lambda: reading(lines).map(lambda line: tf.strings.upper(line)),
    }


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, names in MOST.items() for name in names]
)
def test_each_kind_has_the_larger_part(
    kind: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cheap operations count by what their function is for."""
    (tmp_path / "rows.csv").write_text("1,2,3,4\n" * ROWS)
    dataset = pipelines(str(tmp_path / "rows.csv"))[name]()
    p = Pipeline(batch_size=16)
    iterator = iter(dataset.batch(16).with_options(options(p)))
    next(iterator)
    monkeypatch.setattr(activity, "LEAST_SECONDS", 0.001)
    found = shares(p, lambda: [next(iterator) for _ in range(20)], 20, dataset)
    assert set(found) == {f"{kind}_share" for kind in KINDS}
    assert all(0 <= share <= 1 for share in found.values())
    for other in ("python", "parsing"):
        wanted = other == kind
        assert (found[f"{other}_share"] > 0.2) == wanted, (other, found)
        assert (found[f"{other}_share"] > 0) == wanted


def test_a_profile_with_too_many_events_is_not_made() -> None:
    """Nor one of layers in the model, whose calls are not the pipeline's."""
    dataset = tf.data.Dataset.range(1)
    never = lambda: pytest.fail("pulled")  # noqa: E731
    assert shares(Pipeline(), never, MOST_BATCHES + 1, dataset) == {}
    assert shares(Pipeline(placement="model"), never, 1, dataset) == {}


def test_another_profile_is_left_alone(tmp_path: Path) -> None:
    """TensorFlow makes one at a time."""
    never = lambda: pytest.fail("pulled")  # noqa: E731
    tf.profiler.experimental.start(str(tmp_path))
    try:
        dataset = pipelines(str(tmp_path / "rows.csv"))["csv"]()
        assert shares(Pipeline(), never, 1, dataset) == {}
    finally:
        tf.profiler.experimental.stop(save=False)


def test_a_pipeline_without_any_kind_needs_no_profile() -> None:
    """It would take a second of each first run."""
    never = lambda: pytest.fail("pulled")  # noqa: E731
    found = shares(Pipeline(), never, 1, tf.data.Dataset.range(3).map(lambda x: x + 1))
    assert set(found.values()) == {0.0}


def test_functions_are_by_the_path_of_the_node_that_calls_them(tmp_path: Path) -> None:
    """Also those of datasets that a function makes."""
    dataset = pipelines(str(tmp_path / "rows.csv"))["csv"]()
    dataset = dataset.map(lambda x: x + 1.0, num_parallel_calls=2).batch(2)
    found = operations(dataset)
    assert "AddV2" in found[("Map",)]
    assert "DecodeCSV" in found[("Map", "Interleave", "Map")]
    assert "DecodeCSV" not in found[("Map", "Interleave")]


def test_a_node_that_many_others_need_is_looked_at_once() -> None:
    """Two ways to each of 60 sums in a row are 2**60 in all."""

    def sums(x: tf.Tensor) -> tf.Tensor:
        for _ in range(60):
            x = x + x
        return x

    found = operations(tf.data.Dataset.range(3).map(sums, num_parallel_calls=2))
    assert "AddV2" in found[("Map",)]


SECOND = 10**12


def event(thread: int, start: float, end: float, name: str, call: int = 0) -> Event:
    """An event by seconds."""
    return Event(thread, int(start * SECOND), int(end * SECOND), name, call)


def test_a_call_is_divided_by_the_time_of_its_operations() -> None:
    """What is inside of an operation is not counted again."""
    found = seconds_by_kind(
        [
            event(1, 0, 4, "Iterator::Root::Map"),
            event(1, 0, 4, f"{CALL}", 7),
            event(2, 1, 3, WORK, 7),
            event(2, 1, 1.5, "parse:ParseExampleV2"),
            event(2, 1.5, 3, "slow:PyFunc"),
            event(2, 2, 3, "inside:MatMul"),
            event(2, 2, 2, "ThreadpoolListener::Record"),
        ],
        {},
    )
    assert found.pop("waiting") == 0.0
    wanted = {"python": 3.0, "parsing": 1.0, "reading": 0.0, "other": 0.0}
    assert found == pytest.approx(wanted)


def test_a_call_that_is_only_started_lasts_until_its_work_ends() -> None:
    """Its caller, a parallel map, is known by the iterator that came back before."""
    found = seconds_by_kind(
        [
            event(1, 0, 1, "Iterator::Root::ParallelMapV2::Interleave"),
            event(1, 0, 0.5, "Iterator::Root::ParallelMapV2::Interleave[0]::TextLine"),
            event(1, 0.5, 0.75, "Iterator::Root::ParallelMapV2::Interleave[1]::Sleep"),
            event(1, 1, 2, f"{CALL}Async", 7),
            event(2, 2, 3, WORK, 7),
            event(3, 3, 5, WORK, 7),
        ],
        {("Map",): {"DecodeCSV"}},
    )
    assert found.pop("waiting") == 0.25
    wanted = {"python": 0.0, "parsing": 4.0, "reading": 0.5, "other": 0.0}
    assert found == pytest.approx(wanted)
