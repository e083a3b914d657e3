"""These tests divide a pipeline's time, by real profiles and by synthetic events."""

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
PIPELINES = {
    "python": ("numpy_function", "py_function", "generator"),
    "parsing": ("example", "csv"),
    "other": ("arithmetic",),
}


def busy(number: int) -> int:
    """Work in Python for about 50 microseconds."""
    return number + 0 * sum(range(3000))


def generated(path: bytes) -> object:
    """Work in Python in a generator."""
    yield from (busy(len(path)) for _ in range(ROWS))


def pipelines(path: str) -> dict[str, Callable[[], tf.data.Dataset]]:
    """Return pipelines by their kind of work; each reads a file by an interleave."""

    def reading(read: Callable[[tf.Tensor], tf.data.Dataset]) -> tf.data.Dataset:
        return tf.data.Dataset.from_tensors(path).interleave(read, cycle_length=1)

    lines = tf.data.TextLineDataset
    whole = tf.TensorSpec([], tf.int64)
    return {
        "numpy_function": lambda: reading(lines).map(
            lambda line: tf.numpy_function(
                busy, [tf.strings.length(line)], tf.int32, stateful=False
            )
        ),
        "py_function": lambda: reading(lines).map(
            lambda line: tf.py_function(
                lambda x: busy(int(x)), [tf.strings.length(line)], tf.int32
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
        # This operation is cheap, and the profile omits it.
        "csv": lambda: reading(
            lambda path: lines(path).map(
                lambda line: tf.stack(tf.io.decode_csv(line, [0.0] * 4))
            )
        ),
        "arithmetic": lambda: reading(lines).map(lambda line: tf.strings.upper(line)),
    }


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind, names in PIPELINES.items() for name in names],
)
def test_each_kind_has_the_larger_part(
    kind: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cheap operation counts with the kind of its function."""
    (tmp_path / "rows.csv").write_text("1,2,3,4\n" * ROWS)
    dataset = pipelines(str(tmp_path / "rows.csv"))[name]()
    p = Pipeline(batch_size=16)
    iterator = iter(dataset.batch(16).with_options(options(p)))
    next(iterator)
    monkeypatch.setattr(activity, "LEAST_SECONDS", 0.001)
    result = shares(p, lambda: [next(iterator) for _ in range(20)], 20, dataset)
    assert set(result) == {f"{kind}_share" for kind in KINDS}
    assert all(0 <= share <= 1 for share in result.values())
    for other in ("python", "parsing"):
        expected = other == kind
        assert (result[f"{other}_share"] > 0.2) == expected, (other, result)
        assert (result[f"{other}_share"] > 0) == expected


def test_a_profile_with_too_many_events_is_not_made() -> None:
    """Layers in the model have no profile, since the pipeline does not call them."""
    dataset = tf.data.Dataset.range(1)
    never = lambda: pytest.fail("pulled")  # noqa: E731
    assert shares(Pipeline(), never, MOST_BATCHES + 1, dataset) == {}
    assert shares(Pipeline(placement="model"), never, 1, dataset) == {}


def test_a_running_profile_is_left_alone(tmp_path: Path) -> None:
    """TensorFlow makes one profile at a time."""
    never = lambda: pytest.fail("pulled")  # noqa: E731
    tf.profiler.experimental.start(str(tmp_path))
    try:
        dataset = pipelines(str(tmp_path / "rows.csv"))["csv"]()
        assert shares(Pipeline(), never, 1, dataset) == {}
    finally:
        tf.profiler.experimental.stop(save=False)


def test_a_pipeline_without_any_kind_needs_no_profile() -> None:
    """A profile would take a second of each first run."""
    never = lambda: pytest.fail("pulled")  # noqa: E731
    dataset = tf.data.Dataset.range(3).map(lambda x: x + 1)
    assert set(shares(Pipeline(), never, 1, dataset).values()) == {0.0}


def test_functions_are_by_the_path_of_the_node_that_calls_them(tmp_path: Path) -> None:
    """Functions of inner datasets have longer paths."""
    dataset = pipelines(str(tmp_path / "rows.csv"))["csv"]()
    dataset = dataset.map(lambda x: x + 1.0, num_parallel_calls=2).batch(2)
    by_path = operations(dataset)
    assert "AddV2" in by_path[("Map",)]
    assert "DecodeCSV" in by_path[("Map", "Interleave", "Map")]
    assert "DecodeCSV" not in by_path[("Map", "Interleave")]


def test_a_node_with_many_users_is_visited_once() -> None:
    """Two paths to each of 60 sums in a row are 2**60 paths."""

    def sums(x: tf.Tensor) -> tf.Tensor:
        for _ in range(60):
            x = x + x
        return x

    dataset = tf.data.Dataset.range(3).map(sums, num_parallel_calls=2)
    assert "AddV2" in operations(dataset)[("Map",)]


SECOND = 10**12


def event(thread: int, start: float, end: float, name: str, call: int = 0) -> Event:
    """Return an event with times in seconds."""
    return Event(thread, int(start * SECOND), int(end * SECOND), name, call)


def test_a_call_is_divided_by_the_time_of_its_operations() -> None:
    """An operation inside another operation is not busy again."""
    seconds = seconds_by_kind(
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
    assert seconds.pop("waiting") == 0.0
    expected = {"python": 3.0, "parsing": 1.0, "reading": 0.0, "other": 0.0}
    assert seconds == pytest.approx(expected)


def test_a_call_that_is_only_started_lasts_until_its_work_ends() -> None:
    """The iterator that returned before shows the caller, a parallel map."""
    seconds = seconds_by_kind(
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
    assert seconds.pop("waiting") == 0.25
    expected = {"python": 0.0, "parsing": 4.0, "reading": 0.5, "other": 0.0}
    assert seconds == pytest.approx(expected)
