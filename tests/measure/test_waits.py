"""Which stage of a pipeline the consumer waits for, and what lifts gain.

The pipelines sleep in tf.data's own sleeping dataset, so that a busy machine, which
only computes slower, changes little.
"""

from functools import partial
from pathlib import Path

import pytest
import tensorflow as tf

from bench.analysis import constraints
from bench.measure import binding, lifts, recorder, user_pipeline, waits
from bench.measure.user_function import make_dataset
from bench.run.user_pipeline import PipelineReading, Stage

HEAD = """import time
import tensorflow as tf
from tensorflow.python.data.experimental.ops import testing

def nap(x, microseconds):
    time = tf.cast(microseconds, tf.int64)
    one = tf.data.Dataset.from_tensors(x).apply(testing.sleep(time)).take(1)
    return one.get_single_element()

def python_nap(x):
    time.sleep(0.004)
    return x

def numbers():
    for number in range(24):
        time.sleep(0.004)
        yield number

def slow_file(path):
    opened = tf.data.Dataset.from_tensors(0).apply(testing.sleep(80_000)).take(1)
    return opened.flat_map(lambda _: tf.data.TextLineDataset(path))

def work(x):
    y = tf.fill([96, 96], tf.cast(x, tf.float32))
    for _ in range(16):
        y = tf.linalg.matmul(y, y) * 1e-9
    return tf.reduce_sum(y)

def make():
    ds = tf.data.Dataset.range(24)
"""
# By case: the lines of the pipeline, the stage with the largest wait, and what binds. A
# shuffle computes, so that on a loaded machine it needs all processors.
CASES = {
    "slow storage": (
        "    ds = tf.data.Dataset.from_tensor_slices([__file__] * 2)\n"
        "    ds = ds.interleave(slow_file, cycle_length=1)\n"
        "    ds = ds.map(tf.strings.length)\n"
        "    return ds.batch(8)\n",
        ("interleave", ("storage",)),
    ),
    "slow map": (
        "    ds = ds.map(lambda x: nap(x, 4000))\n"
        "    ds = ds.map(lambda x: x + 1)\n"
        "    return ds.batch(8).prefetch(2)\n",
        ("map", ("stage",)),
    ),
    "ordered straggler": (
        "    ds = tf.data.Dataset.range(64).repeat().map(\n"
        "        lambda x: nap(x, tf.where(x % 16 == 0, 60_000, 10)),\n"
        "        num_parallel_calls=8)\n"
        "    return ds.prefetch(1).batch(8)\n",
        ("map", ("ordering",)),
    ),
    "slow shuffle": (
        "    ds = tf.data.Dataset.range(200_000)\n"
        "    ds = ds.shuffle(100_000)\n"
        "    return ds.take(24).map(lambda x: x + 1).batch(8)\n",
        ("shuffle", ("stage", "CPU cores")),
    ),
    "Python in a map": (
        "    ds = ds.map(lambda x: tf.py_function(python_nap, [x], tf.int64))\n"
        "    return ds.batch(8)\n",
        ("map", ("Python",)),
    ),
    "a generator": (
        "    ds = tf.data.Dataset.from_generator(\n"
        "        numbers, output_signature=tf.TensorSpec([], tf.int64))\n"
        "    return ds.map(lambda x: x + 1).batch(8)\n",
        ("from_generator", ("Python",)),
    ),
    "all processors": (
        "    ds = ds.repeat().map(work, num_parallel_calls=8)\n"
        "    return ds.batch(8)\n",
        ("map", ("CPU cores",)),
    ),
}


def record(
    tmp_path: Path, body: str
) -> tuple[list[recorder.Call], list[Stage], tf.data.Dataset]:
    path = tmp_path / "pipeline.py"
    path.write_text(HEAD + body)
    with recorder.recorded() as calls:
        dataset = make_dataset(str(path), HEAD + body, "make()")
    return calls, recorder.stages(calls, dataset), dataset


@pytest.mark.parametrize("case", CASES)
def test_the_largest_wait_and_what_binds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    body, (method, resources) = CASES[case]
    monkeypatch.setattr(waits, "LOOK_SECONDS", 0.1)
    calls, stages, dataset = record(tmp_path, body)
    endless = int(dataset.cardinality()) == tf.data.INFINITE_CARDINALITY
    epoch = 0 if endless else sum(1 for _ in dataset)
    steady = partial(user_pipeline._steady, by_epoch=True)
    measured, reason = binding.add_waits(calls, stages, dataset, epoch, steady, str, 60)
    assert not reason
    assert sum(stage.wait for stage in stages) == pytest.approx(1, abs=0.01)
    assert max(stages, key=lambda stage: stage.wait).method == method
    reading = PipelineReading(stages=stages, lifts=measured)
    processors = len(user_pipeline.machine.PROCESSORS)
    constraint = constraints.binding(reading, processors)
    assert constraint.resource in resources, (measured, stages)
    assert constraint.factor > 1.5
    if constraint.stage >= 0:
        assert stages[constraint.stage].method == method


def fake(*seconds: float) -> waits.Steady:
    """Return a clock that knows what the datasets take, one after another."""
    times = iter(seconds)

    def steady(dataset: tf.data.Dataset, epoch: int) -> waits.Timing:
        return waits.Timing(next(times), 1.0)

    return steady


def test_waits_are_increases_of_the_prefixes_time_a_final_batch(tmp_path: Path) -> None:
    body = "    return ds.map(lambda x: x + 1).batch(4)\n"
    calls, stages, dataset = record(tmp_path, body)
    chain = waits.links(calls, stages, dataset)
    assert [link.elements for link in chain] == [4, 4, 1]
    timings = waits.time_prefixes(chain, 6, fake(0.4, 2.0, 2.5), float("inf"))
    seconds = [timing.seconds for timing in timings]
    assert waits.shares(seconds) == pytest.approx([0.16, 0.64, 0.2])
    assert waits.time_prefixes(chain, 6, fake(), 0.0) == []


def test_a_prefix_is_pulled_by_the_elements_of_a_final_batch(tmp_path: Path) -> None:
    body = "    return ds.flat_map(lambda x: ds).batch(16).take(30)\n"
    pulled = []

    def steady(dataset: tf.data.Dataset, epoch: int) -> waits.Timing:
        pulled.append(([int(tf.reduce_max(x)) for x in dataset.take(3)], epoch))
        return waits.Timing(1.0, 1.0)

    chain = waits.links(*record(tmp_path, body))
    timings = waits.time_prefixes(chain, 30, steady, float("inf"))
    # Of 24 numbers for each of 24: two thirds of one make a batch of sixteen.
    assert pulled == [([0, 1, 2], 20), ([15, 7, 23], 30), ([15, 23, 23], 30)]
    assert [timing.seconds for timing in timings] == pytest.approx([2 / 3, 1, 1, 1])


def test_noise_and_overlap_never_make_a_wait_negative() -> None:
    assert waits.shares([2.0, 1.0, 4.0]) == [0.5, 0.0, 0.5]
    assert waits.shares([0.0, 0.0]) == [0.0, 0.0]


def test_a_stage_that_another_one_hides_has_no_wait() -> None:
    """A source of 5 ms beside a map of 6 ms: only without the map is it faster."""
    shares = waits.shares([5.0, 6.0])
    assert waits.without_hidden(shares, {0: 0.01, 1: 1 / 6}) == [0.0, 1.0]
    assert waits.without_hidden(shares, {0: 0.0, 1: 0.0}) == shares


@pytest.mark.parametrize(
    ("lines", "elements"),
    [
        ("ds.filter(lambda x: x % 3 == 0)", [3, 1]),
        ("ds.flat_map(lambda x: tf.data.Dataset.range(8))", [1 / 8, 1]),
        ("ds.batch(4).unbatch().repeat()", [1, 1 / 4, 1, 1]),
        ("ds.map(abs).cache().map(abs).shuffle(3)", [1, 1, 1]),
        ("ds.repeat().cache().batch(2)", [2, 2, 2, 1]),
        ("tf.data.Dataset.zip((ds, ds)).batch(2)", [2, 1]),
        ("ds.filter(lambda x: x < 0)", [1]),
    ],
)
def test_how_many_elements_a_batch_takes(
    tmp_path: Path, lines: str, elements: list[float]
) -> None:
    """A chain begins with a cache, with several inputs, or where nobody knows."""
    chain = waits.links(*record(tmp_path, f"    return {lines}\n"))
    assert [link.elements for link in chain] == pytest.approx(elements)


def test_a_count_that_is_cut_short_shows_nothing_of_a_filter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waits, "COUNT_SECONDS", -1.0)  # one element is pulled
    rare = waits.links(*record(tmp_path, "    return ds.filter(lambda x: x > 5)\n"))
    assert [link.stage.method for link in rare] == ["filter"]


def test_a_stage_is_taken_away_while_its_input_is_still_made(tmp_path: Path) -> None:
    body = (
        "    seen = tf.Variable(0, dtype=tf.int64)\n"
        "    ds = ds.map(lambda x: (x, seen.assign_add(1)))\n"
        "    ds = ds.filter(lambda x, _: x >= 0)\n"
        "    ds = ds.map(lambda x, n: (nap(x, 4000), n)).map(lambda x, n: (-x, n))\n"
        "    return ds.batch(3)\n"
    )
    chain = waits.links(*record(tmp_path, body))
    first, second = next(iter(chain[1].dataset.skip(9)))
    without = lifts.without_stage(chain, 3, seconds_per_element=0.1)  # holds five
    pulled = [(x.numpy().tolist(), n.numpy()) for x, n in without.take(5)]
    assert [x for x, _ in pulled] == [
        *([0, -1, -2], [-3, -4, 0], [-1, -2, -3], [-4, 0, -1], [-2, -3, -4])
    ]
    assert first == 9
    again, later = next(iter(chain[1].dataset))
    assert later - second - 1 >= 5 + 15, "the elements before the stage were made"
    assert again == 0


def test_a_lift_that_cannot_be_measured_has_a_reason(tmp_path: Path) -> None:
    body = "    return ds.map(lambda x: x).filter(lambda x: x > 2).batch(2)\n"
    calls, stages, dataset = record(tmp_path, body)
    clock = fake(1.0, 1.05, 1.1, 1.1)
    measured, _ = binding.add_waits(calls, stages, dataset, 0, clock, str, 60)
    (lift,) = measured
    assert (lift.stage, lift.factor) == (0, None)
    assert lift.reason == "the later filter cannot run on few held elements"
    constraint = constraints.binding(PipelineReading(stages=stages, lifts=measured), 2)
    assert (constraint.resource, constraint.factor) == ("stage", None)
    assert constraint.reason == lift.reason


def test_a_failing_prefix_leaves_the_rest_of_the_reading(tmp_path: Path) -> None:
    calls, stages, dataset = record(tmp_path, "    return ds.batch(2)\n")
    measured, reason = binding.add_waits(calls, stages, dataset, 0, fake(), repr, 60)
    assert (measured, reason) == ([], "StopIteration()")
    assert [stage.wait for stage in stages] == [None, None]
