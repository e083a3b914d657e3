"""Every consumer consumes as many batches as it states: the calls are counted."""

import time
from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf

from bench.measure import consumers
from bench.measure.tf_data import options
from bench.pipeline import Pipeline

CPU = "/CPU:0"


class Counter:
    """A counter counts the calls of a function, wherever the function runs."""

    def __init__(self) -> None:
        """Begin at 0."""
        self.variable = tf.Variable(0, dtype=tf.int64)

    def __call__(self, features: tf.Tensor, *label: tf.Tensor) -> object:
        """Count one call."""
        with tf.control_dependencies([features]):  # count only where there is a batch
            self.variable.assign_add(1)
        return (features, *label) if label else features

    def taken(self) -> int:
        """Return the calls since the last time."""
        calls = int(self.variable)
        self.variable.assign(0)
        return calls


def batches(counter: Counter, count: int, *, known: bool = True) -> tf.data.Dataset:
    """Return so many batches of two, each counted when it is made."""
    dataset = tf.data.Dataset.range(2 * count).map(lambda x: (tf.cast(x, "float32"), x))
    if not known:
        dataset = dataset.filter(lambda x, y: True)
    return (
        dataset.batch(2, drop_remainder=True)
        .map(counter)
        .with_options(options(Pipeline()))
    )


@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_window_of_drain_makes_every_batch(count: int) -> None:
    """Skipped batches are made, too, window after window, on one iterator."""
    counter = Counter()
    consumer = consumers.Drain(batches(counter, 10).repeat())
    consumer.trace()
    consumer.step()
    assert counter.taken() == 1
    window = consumer.window(count)
    for _ in range(4):
        window()
        assert counter.taken() == count
    names = [node.name for node in _nodes(consumer.iterator())]
    assert ("Shard" in names) is (count > 1)


def test_windows_of_one_batch_go_on_with_the_iterator_of_the_first() -> None:
    """An iterator takes tens of milliseconds; a longer window needs its own."""
    consumer = consumers.Drain(tf.data.Dataset.range(9))
    consumer.step()
    first, one = consumer.iterator(), consumer.window(1)
    one()
    assert consumer.iterator() is first
    many = consumer.window(2)
    assert consumer.iterator() is not first
    many()
    assert (int(next(first)), int(next(consumer.iterator()))) == (2, 3)
    consumer.window(1)()
    assert int(next(consumer.iterator())) == 1


def _nodes(iterator: object) -> list:
    return list(tf.data.experimental.get_model_proto(iterator).nodes.values())


@pytest.mark.parametrize("known", [True, False])
def test_an_epoch_of_drain_makes_every_batch_to_the_end(known: bool) -> None:
    """Each epoch has a fresh iterator; an unknown number of batches is counted."""
    counter = Counter()
    consumer = consumers.Drain(batches(counter, 10, known=known))
    for _ in range(2):
        assert consumer.epoch() == (10 if known else 0)
        assert counter.taken() == 10
    assert consumer.batches() == 10
    consumer.step()
    assert "ParallelMapV2" not in [node.name for node in _nodes(consumer.iterator())]


def seconds(function: Callable[[], object]) -> float:
    """Return the processor time of one call, without waits for other processes."""
    start = time.process_time()
    function()
    return time.process_time() - start


@pytest.mark.alone
def test_drain_agrees_with_a_drain_written_by_hand() -> None:
    """The bound is loose, as others use the machine; the self-test demands 3 %."""
    count = 40  # the iterator made by hand starts within its time: about 2 ms
    dataset = tf.data.Dataset.range(2**40).map(lambda x: x + 1).batch(64)
    dataset = dataset.with_options(options(Pipeline()))
    window = consumers.Drain(dataset).window(count)
    window()
    iterators = [iter(dataset.skip(count - 1)) for _ in range(20)]
    by_suite, by_hand = [], []
    for iterator in iterators:  # in turn, and the least of each: others are at work
        by_suite.append(seconds(window))
        by_hand.append(seconds(lambda iterator=iterator: next(iterator)))
    assert 1 / 1.5 < min(by_suite) / min(by_hand) < 1.5


def test_the_model_is_called_for_every_batch() -> None:
    """No call is pruned away, although only the last output is used."""
    pulled, called = Counter(), Counter()
    consumer = consumers.DrainModel(
        batches(pulled, 100).repeat(), called, jit=None, device=CPU
    )
    consumer.trace()
    assert (pulled.taken(), called.taken()) == (1, 1)
    traces = consumer.traces()
    for count in (1, 5, 20):
        window = consumer.window(count)
        window()
        assert (pulled.taken(), called.taken()) == (count, count)
    assert consumer.traces() == traces


def test_a_model_without_state_is_called_for_every_batch() -> None:
    """A stateless function could be hoisted or dropped, so its time must grow."""
    table = tf.random.stateless_uniform((200, 200), [1, 2])
    dataset = tf.data.Dataset.from_tensors((table, 0)).repeat()
    consumer = consumers.DrainModel(
        dataset, lambda x: tf.matmul(tf.matmul(x, x), x), jit=None, device=CPU
    )
    consumer.trace()
    one, many = consumer.window(1), consumer.window(300)
    pairs = [(seconds(one), seconds(many)) for _ in range(9)]
    assert min(pair[1] for pair in pairs) > 5 * min(pair[0] for pair in pairs)


def test_an_epoch_of_the_model_is_every_batch() -> None:
    """The next epoch starts afresh."""
    called = Counter()
    consumer = consumers.DrainModel(batches(Counter(), 6), called, jit=None, device=CPU)
    consumer.trace()
    called.taken()
    assert (consumer.epoch(), consumer.epoch()) == (6, 6)
    assert called.taken() == 12


def trained(
    dataset: tf.data.Dataset, optimizer: str = "sgd"
) -> tuple[consumers.Consumer, keras.Model]:
    """Return a consumer that trains a small model on batches of two, and the model."""
    features = keras.Input(())
    hidden = keras.layers.Reshape((1,))(features)
    model = keras.Model(features, keras.layers.Dense(1)(hidden))
    model.compile(optimizer=optimizer, loss="mse")
    first = (tf.zeros(2), tf.zeros(2, tf.int64))
    return consumers.Train(dataset, model, first, CPU), model


def test_train_makes_as_many_steps_as_batches() -> None:
    """The optimizer counts the steps; nothing is traced again."""
    pulled = Counter()
    consumer, model = trained(batches(pulled, 100).repeat())
    consumer.trace()
    assert pulled.taken() == 0
    traces, before = consumer.traces(), int(model.optimizer.iterations)
    assert traces > 0
    consumer.step()
    for count in (1, 8):
        consumer.window(count)()
    assert int(model.optimizer.iterations) - before == 10
    assert pulled.taken() == 10
    assert consumer.traces() == traces


def test_an_axis_that_the_dataset_leaves_unknown_is_traced_as_such() -> None:
    """Otherwise the first step on the dataset would trace again."""
    pulled = Counter()
    consumer, _ = trained(batches(pulled, 20).unbatch().batch(2))
    consumer.trace()
    assert pulled.taken() == 0
    traces = consumer.traces()
    consumer.step()
    assert consumer.traces() == traces


def test_a_prebuilt_model_is_traced_once_and_trains_alike() -> None:
    weights = []
    for prebuilt, traced in ((False, 2), (True, 1)):
        keras.utils.set_random_seed(0)
        tf.random.set_seed(None)  # later tests have no global seed
        consumer, model = trained(batches(Counter(), 100).repeat(), "adam")
        if prebuilt:
            consumer.prebuild()
        consumer.trace()
        assert consumer.traces() == traced
        consumer.window(5)()
        weights.append(model.get_weights())
    for once, twice in zip(*weights, strict=True):
        np.testing.assert_array_equal(once, twice)


def test_an_epoch_of_training_is_every_batch() -> None:
    """Each batch has a step, and the weights move.

    The optimizer may count one more: its counter does not wait for the batch that is
    missing at the end.
    """
    consumer, model = trained(batches(Counter(), 5))
    consumer.trace()
    before, weights = int(model.optimizer.iterations), model.get_weights()
    assert consumer.epoch() == 5
    assert int(model.optimizer.iterations) - before in (5, 6)
    assert not np.array_equal(weights[0], model.get_weights()[0])


class Ending:
    """A dataset of two batches that notes when its iterator is freed."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def shard(self, count: int, index: int) -> "Ending":
        return self

    def cardinality(self) -> int:
        return 2

    def __iter__(self) -> "Ending.Iterator":
        return Ending.Iterator(self.events)

    class Iterator:
        def __init__(self, events: list[str]) -> None:
            self.events = events

        def __iter__(self) -> "Ending.Iterator":
            return self

        def __next__(self) -> None:
            raise StopIteration

        def __del__(self) -> None:
            self.events.append("freed")


class Calling(consumers.Stepping):
    """A consumer that calls next."""

    def _call(self) -> object:
        return next(self._iterator)

    def _pull(self, batches: int) -> None:
        pass

    def trace(self) -> None:
        pass


@pytest.mark.parametrize("kind", [consumers.Drain, Calling])
def test_the_iterator_of_an_epoch_is_freed_after_the_clock(kind):
    """Freeing it may wait for AUTOTUNE's thread as long as the epoch took."""
    dataset = Ending()
    consumer = kind(dataset)
    consumer.epoch()
    assert dataset.events == []
    consumer.release()
    assert dataset.events == ["freed"]
