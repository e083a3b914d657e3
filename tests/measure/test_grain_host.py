"""Grain gives the examples of tf.data, by the same layers; what differs is reported."""

from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf
from shelf import assembly

from bench.data.components import Ragged
from bench.errors import UsageError
from bench.measure import check, randomness
from bench.measure.layers import WithLabels, arrays_equal, to_numpy
from bench.measure.take_turns import take_turns
from bench.pipeline import Pipeline
from bench.trial import Effort

pytest.importorskip("grain", reason="Grain is not installed")

from bench.measure import grain_host  # after the skip

NUMBERS = np.arange(20.0, dtype="float32")


def same(record: tuple) -> tuple:
    """Leave a record as it is."""
    return record


def batches(count: int, record: tuple = (NUMBERS,), **axes: object) -> list[np.ndarray]:
    """Return the features of the first batches of a pipeline without layers."""
    layers = axes.pop("layers", same)
    repeat = axes.pop("repeat", True)
    p = Pipeline(**{"host": "grain", "batch_size": 8, **axes})
    dataset = grain_host.build(p, record, layers, repeat=repeat, seed=1)
    return [to_numpy(b)[0] for b in grain_host.first_batches(dataset, count)]


def test_batches_go_on_over_the_end_of_an_epoch() -> None:
    """So they do in tf.data: 20 examples are two and a half batches of 8."""
    third = batches(3)[2]
    assert third.tolist() == [16, 17, 18, 19, 0, 1, 2, 3]
    assert [len(batch) for batch in batches(9, repeat=False)] == [8, 8]


@pytest.mark.parametrize("prefetch", [0, 2])
@pytest.mark.parametrize("calls", [0, 3])
@pytest.mark.parametrize("order", ["map_batch", "batch_map"])
def test_threads_and_prefetch_keep_the_order(
    order: str, calls: int, prefetch: int
) -> None:
    def double(record: tuple) -> tuple:
        return (record[0] * 2,)

    axes = {"order": order, "map_parallel_calls": calls, "prefetch": prefetch}
    got = batches(2, layers=double, **axes)
    np.testing.assert_array_equal(np.concatenate(got), 2 * NUMBERS[:16])


def test_a_shuffle_has_each_example_once_an_epoch_and_another_order_in_the_next() -> (
    None
):
    epochs = np.concatenate(batches(5, shuffle_buffer=20)).reshape(2, 20)
    for epoch in epochs:
        assert sorted(epoch) == NUMBERS.tolist()
        assert epoch.tolist() != NUMBERS.tolist()
    assert epochs[0].tolist() != epochs[1].tolist()


def test_a_smaller_shuffle_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        batches(1, shuffle_buffer=19)
    assert str(caught.value) == (
        "host=grain: shuffle_buffer=19 is less than the 20 examples, and Grain "
        "shuffles all of them. Use a larger shuffle_buffer, or host=tf.data."
    )


def test_a_ragged_component_is_refused() -> None:
    ragged = Ragged(np.arange(3), (np.array([0, 1, 3]),))
    with pytest.raises(UsageError) as caught:
        grain_host.Records(({"words": ragged},))
    assert str(caught.value) == (
        "host=grain: the component features['words'] is ragged, and Grain makes "
        "batches of dense arrays only. Use host=tf.data."
    )


def test_an_example_has_the_shapes_and_types_of_tf_data() -> None:
    """Numbers and text are arrays without axes; zero bytes at the end stay."""
    text = np.array([b"a\0", b"b"], dtype=object)
    record = ({"text": text, "image": np.ones((2, 3, 3), np.uint8)}, np.arange(2))
    example = grain_host.first_example(record)
    expected = next(iter(tf.data.Dataset.from_tensor_slices(record)))
    tf.nest.map_structure(np.testing.assert_array_equal, example, expected)
    specs = [tf.nest.map_structure(tf.type_spec_from_value, e) for e in (example,)]
    assert specs == [tf.nest.map_structure(tf.type_spec_from_value, expected)]


@pytest.mark.parametrize("order", ["map_batch", "batch_map"])
@pytest.mark.parametrize(
    "name", ["rescaling", "normalization", "string_lookup", "discretization"]
)
def test_deterministic_layers_pass_the_check_of_tf_data(name: str, order: str) -> None:
    """The raw batches come from tf.data, and the expected outputs from a graph."""
    made = assembly(name, host="grain", order=order)
    pairs = made.raw_and_outputs(made.dataset(None, repeat=True))
    got = check.check(
        made.entry, made.module, made.pipeline, pairs, made.reference_output
    )
    plain = assembly(name, order=order)
    of_tf_data = plain.raw_and_outputs(plain.dataset(None, repeat=True))
    assert got == check.check(
        plain.entry, plain.module, plain.pipeline, of_tf_data, plain.reference_output
    )


def test_bytes_that_keras_leaves_as_they_are_in_grain_are_refused() -> None:
    """In a graph Keras makes float32 of them first, so Resizing does not round."""
    made = assembly("resizing", host="grain")
    pairs = made.raw_and_outputs()
    with pytest.raises(AssertionError, match=r"^host=grain, .* gives uint8.* float32"):
        check.check(
            made.entry, made.module, made.pipeline, pairs, made.reference_output
        )


@pytest.mark.parametrize("order", ["map_batch", "batch_map"])
def test_each_example_has_its_own_draw(order: str) -> None:
    """Without threads and processes nothing is drawn twice."""
    made = assembly("random_rotation", host="grain", order=order)
    facts = randomness.draw_facts(made, made.first_examples(16))
    assert facts == {
        "draws": "per example",
        "distinct_draws": 64,
        "reproducible": "yes",
    }


def test_equal_processes_and_racing_threads_are_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Outputs stand for draws: batches of two come from two processes in turn."""
    two = assembly("random_rotation", host="grain", worker_count=2)
    own = np.arange(64.0).reshape(64, 1)
    alike = np.repeat(own.reshape(32, 2, 1)[:16], 2, axis=0).reshape(64, 1)
    assert randomness._repeaters(two, None, alike) == "processes"
    assert randomness._repeaters(two, None, own) == ""
    threads = assembly("random_rotation", host="grain", map_parallel_calls=2)
    monkeypatch.setattr(randomness, "pipeline_output", lambda made, batch: own)
    twice = np.array([own[0], *own[:-1]])
    assert randomness._repeaters(threads, None, twice) == "threads"
    assert randomness._repeaters(threads, None, own[::-1]) == ""


class Counted:
    """A counted function knows how often it was called."""

    calls = 0

    def __call__(self, record: tuple) -> tuple:
        """Count one call."""
        self.calls += 1
        return record


@pytest.fixture
def drain() -> Callable[[bool], tuple[grain_host.DrainGrain, Counted]]:
    """Return a function that makes a drain, endless or not, and its count."""

    def make(repeat: bool) -> tuple[grain_host.DrainGrain, Counted]:
        counted = Counted()
        p = Pipeline(host="grain", batch_size=8, order="batch_map")
        dataset = grain_host.build(p, (NUMBERS,), counted, repeat=repeat)
        return grain_host.DrainGrain(dataset), counted

    return make


def test_the_drain_makes_every_batch_of_a_window(drain: Callable) -> None:
    consumer, counted = drain(True)
    consumer.trace()
    consumer.step()
    window = consumer.window(3, start=4)
    assert (consumer.pulled(), counted.calls) == (4, 4)
    window()
    assert (consumer.pulled(), counted.calls) == (7, 7)


def test_an_epoch_begins_anew_and_is_counted(drain: Callable) -> None:
    consumer, counted = drain(False)
    assert [consumer.epoch(), consumer.epoch()] == [2, 2]
    assert counted.calls == 4


def test_fit_takes_the_batches() -> None:
    """The dataset of Keras's own adapter has the batches of Grain's."""
    record = (NUMBERS[:, None], np.arange(20))
    p = Pipeline(host="grain", batch_size=8)
    dataset = grain_host.for_keras(grain_host.build(p, record, same))
    features, labels = next(iter(dataset))
    np.testing.assert_array_equal(features, record[0][:8])
    np.testing.assert_array_equal(labels, record[1][:8])


def test_layers_reach_another_process_with_their_state() -> None:
    """Layers that take labels too: the pickle makes the same layers again."""
    import cloudpickle

    lookup = keras.layers.StringLookup(vocabulary=["b", "a"])
    sent = grain_host.LayersOnRecord([lookup])
    record = (np.array([b"a", b"z"], dtype=object), np.arange(2))
    arrived = cloudpickle.loads(cloudpickle.dumps(sent))
    assert arrays_equal(to_numpy(arrived(record)[0]), to_numpy(sent(record)[0]))
    mixed = WithLabels([keras.layers.CutMix(), keras.layers.Rescaling(0.5)])
    again = cloudpickle.loads(cloudpickle.dumps(mixed))
    assert [type(layer).__name__ for layer in again.inner] == ["CutMix", "Rescaling"]


def test_a_pipeline_with_processes_of_its_own_takes_no_turns() -> None:
    made = assembly("rescaling", host="grain", worker_count=2)
    with pytest.raises(UsageError) as caught:
        take_turns(None, made, Effort(), "", None)
    assert str(caught.value) == (
        "worker_count=2: the processes of a guard take turns, and worker processes "
        "would go on in the others' turns. Use worker_count=0, or `run` and `compare`."
    )


@pytest.mark.alone
def test_worker_processes_give_the_batches_in_order_and_draw_alike() -> None:
    """Two processes start Python and TensorFlow anew, which takes seconds."""
    made = assembly("random_rotation", host="grain", worker_count=2)
    output = randomness.pipeline_output(made, made.first_examples(1))
    assert randomness._repeaters(made, None, output) == "processes"
    plain = assembly("rescaling", host="grain", order="batch_map", worker_count=2)
    pairs = plain.raw_and_outputs(plain.dataset(None, repeat=True))
    check.check(
        plain.entry, plain.module, plain.pipeline, pairs, plain.reference_output
    )
