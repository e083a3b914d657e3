"""Consumers pull batches: the runtime alone, a model's training step, the layers.

All consumers have one interface, so that the worker and the timed loop depend on none
of them.
"""

import statistics
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from functools import partial

import keras
import tensorflow as tf


class Consumer(ABC):
    """A consumer pulls the batches of one dataset."""

    _ended: Iterator | None = None  # the iterator of the last epoch

    @abstractmethod
    def trace(self) -> None:
        """Trace, compile and start the device; called once, before the first `step`."""

    @abstractmethod
    def step(self) -> None:
        """Pull one batch from Python, for the first batch, filling and calibrating."""

    @abstractmethod
    def window(self, batches: int, start: int = 0) -> Callable[[], None]:
        """Return a function that pulls batches, and returns when the last has come.

        Args:
            batches: The number of batches in a window.
            start: The batch of the stream with which the first window begins, at the
                earliest.
        """

    @abstractmethod
    def epoch(self) -> int:
        """Pull from a fresh iterator to its end; the next `step` starts afresh.

        An iterator at its end has lost its graph. Call `release` after the clock.

        Returns:
            The number of batches; 0 where only counting them would determine it.
        """

    @abstractmethod
    def iterator(self) -> object:
        """Return the last iterator, whose graph is the one that ran."""

    @abstractmethod
    def pulled(self) -> int:
        """Return the number of batches that were pulled of the last iterator."""

    def release(self) -> None:
        """Free the iterator of the last epoch.

        This is no work of the pipeline, and may take as long as the epoch: it can wait
        until AUTOTUNE's thread wakes up, 10, 30, 70, 150, 310, 630 ... ms after the
        iterator began.
        """
        self._ended = None

    def traces(self) -> int:
        """Return how often the consumer's function has been traced."""
        return 0

    def batches(self) -> int:
        """Count the batches of an epoch."""
        return 0

    def prebuild(self) -> None:  # noqa: B027  most consumers have no variables
        """Create the variables that tracing would create, as `fit` does.

        This saves a second trace, and is for runs whose trace is not recorded.
        """


class Drain(Consumer):
    """The runtime pulls: `shard(n, n - 1)` skips n - 1 batches and returns the last.

    One Python call costs 50 to 120 microseconds, so a window makes only one. Skipped
    batches are made in full: `tests/measure/test_consumers.py` counts the map calls.
    """

    def __init__(self, dataset: tf.data.Dataset) -> None:
        """Pull from this dataset."""
        self._dataset = dataset
        self._iterator: Iterator | None = None
        self._single: Iterator | None = None  # the iterator of single batches
        self._pulled = 0
        self._batches = 1  # of one element of the last iterator

    def trace(self) -> None:
        """Do nothing: the runtime has nothing to trace."""

    def step(self) -> None:
        """Pull one element of the last iterator."""
        next(self._single_batches() if self._iterator is None else self._iterator)
        self._pulled += self._batches

    def window(self, batches: int, start: int = 0) -> Callable[[], None]:
        """Return a function that makes one call to pull all these batches.

        For several batches it makes a new iterator.
        """
        if batches > 1:
            self._single = None
            later = self._dataset.skip(start) if start else self._dataset
            iterator = self._iterator = iter(later.shard(batches, batches - 1))
            self._pulled, self._batches = start, batches
        else:
            iterator = self._single_batches()
            while self._pulled < start:
                self.step()

        def pull() -> None:
            next(iterator)
            self._pulled += batches

        return pull

    def epoch(self) -> int:
        """Pull every batch in the runtime, without handing any to Python."""
        # No element has this index, which the kernel keeps in 32 bits.
        beyond = 2**31 - 1
        self._ended = iter(self._dataset.shard(beyond, beyond - 1))
        for _ in self._ended:
            raise RuntimeError(f"an epoch of more than {beyond} batches")
        self._iterator = self._single = None
        return max(0, int(self._dataset.cardinality()))

    def rest(self) -> None:
        """Free the iterator; a new window makes another."""
        self._iterator = self._single = None

    def iterator(self) -> Iterator | None:
        """Return the last iterator."""
        return self._iterator

    def pulled(self) -> int:
        """Return the number of batches that were pulled of the last iterator."""
        return self._pulled

    def batches(self) -> int:
        """Count the batches of an epoch in the runtime."""
        zero = tf.constant(0, tf.int64)
        return int(self._dataset.reduce(zero, lambda count, *_: count + 1))

    def _single_batches(self) -> Iterator:
        if self._single is None:
            self._single = self._iterator = iter(self._dataset)
            self._pulled, self._batches = 0, 1
        return self._single


class Stepping(Consumer):
    """A stepping consumer pulls all its batches from one iterator, which it keeps."""

    def __init__(self, dataset: tf.data.Dataset) -> None:
        """Pull from this dataset."""
        self._dataset = dataset
        self._iterator: Iterator | None = None
        self._pulled = 0

    @abstractmethod
    def _call(self) -> tf.Tensor:
        """Consume one batch of the iterator, and return a value without waiting."""

    @abstractmethod
    def _pull(self, batches: int) -> None:
        """Consume batches of the iterator, and wait for the last value."""

    def step(self) -> None:
        """Pull one batch."""
        self._pull(1)

    def window(self, batches: int, start: int = 0) -> Callable[[], None]:
        """Return a function that pulls the next batches of the one iterator."""
        if self._pulled < start:
            self._pull(start - self._pulled)
        return partial(self._pull, batches)

    def epoch(self) -> int:
        """Make a call for each batch, and wait for the last value only."""
        self._iterator = iter(self._dataset)
        batches = 0
        while True:
            try:
                last = self._call()
            except (StopIteration, tf.errors.OutOfRangeError):
                self._ended, self._iterator = self._iterator, None
                if batches:
                    last.numpy()
                return batches
            batches += 1

    def iterator(self) -> Iterator | None:
        """Return the iterator."""
        return self._iterator

    def pulled(self) -> int:
        """Return the number of batches that were pulled of the iterator."""
        return self._pulled

    def rest(self) -> None:
        """Free the iterator; the next call begins another."""
        self._iterator = None

    def _begin(self) -> None:
        self._iterator, self._pulled = iter(self._dataset), 0


class DrainModel(Stepping):
    """The runtime pulls and calls the layers on the model's device, in one graph."""

    def __init__(
        self,
        dataset: tf.data.Dataset,
        call: Callable,
        *,
        jit: bool | None,
        device: str,
    ) -> None:
        """Compile nothing yet.

        Args:
            dataset: Batches of (features[, labels[, weights]]).
            call: The layers, from a batch of features to a batch, both nests.
            jit: Whether XLA compiles the layers.
            device: The device of the layers.
        """
        super().__init__(dataset)
        self._loop = _loop(tf.function(call, jit_compile=jit or None), device)

    def trace(self) -> None:
        """Trace the loop, with a first batch."""
        self._pull(1)

    def traces(self) -> int:
        """Return how often the loop has been traced."""
        return self._loop.experimental_get_tracing_count()

    def _call(self) -> tf.Tensor:
        return self._loop(self._iterator, tf.constant(1))

    def _pull(self, batches: int) -> None:
        if self._iterator is None:
            self._begin()
        self._loop(self._iterator, tf.constant(batches)).numpy()
        self._pulled += batches


def _loop(compiled: Callable, device: str) -> Callable:
    """Return a graph function that calls the layers on so many batches.

    The last output is carried through the loop, so that no call can be pruned away.
    """

    def parts(output: object) -> list[tf.Tensor]:
        return tf.nest.flatten(output, expand_composites=True)

    @tf.function
    def loop(iterator: object, batches: tf.Tensor) -> tf.Tensor:
        with tf.device(device):
            output = parts(compiled(next(iterator)[0]))
            shapes = [tf.TensorShape([None] * part.shape.rank) for part in output]
            for _ in tf.range(batches - 1):
                tf.autograph.experimental.set_loop_options(
                    shape_invariants=[(output, shapes)]
                )
                output = parts(compiled(next(iterator)[0]))
            # At most one value, so that waiting moves no batch between devices.
            return tf.reshape(output[0], [-1])[:1]

    return loop


class Train(Stepping):
    """A compiled model makes training steps, one Python call each, as in `fit`."""

    def __init__(
        self,
        dataset: tf.data.Dataset,
        model: keras.Model,
        first: object,
        device: str | None,
    ) -> None:
        """Begin to count the traces of the model.

        Args:
            dataset: Batches of (features, labels[, weights]).
            model: The compiled model.
            first: A batch to trace with, so that tracing is apart from the pipeline.
            device: The device of the model; None leaves it to Keras.
        """
        super().__init__(dataset)
        self._model, self._first, self._device = model, first, device
        self._traces = 0
        train_step = model.train_step

        def counted(data: object) -> object:
            self._traces += 1  # runs only while tracing
            return train_step(data)

        model.train_step = counted

    def trace(self) -> None:
        """Let `fit` make one step on the first batch, by the shapes of the dataset.

        The layers may leave an axis unknown that each batch has. A trace by the batch
        alone would be followed by another, in the first step on the dataset.
        """
        nothing = self._dataset.take(0)
        first = tf.data.Dataset.from_tensors(self._first).concatenate(nothing)
        with tf.device(self._device):
            self._model.fit(first, shuffle=False, verbose=0)

    def traces(self) -> int:
        """Return how often the training step has been traced."""
        return self._traces

    def prebuild(self) -> None:
        """Create the optimizer's variables."""
        with tf.device(self._device):
            self._model.optimizer.build(self._model.trainable_variables)

    def _call(self) -> tf.Tensor:
        with tf.device(self._device):
            return self._model.train_function(self._iterator)["loss"]

    def _pull(self, batches: int) -> None:
        if self._iterator is None:
            self._begin()
        for _ in range(batches):
            loss = self._call()
        self._pulled += batches
        float(loss)  # device work is asynchronous until a value comes back


def step_facts(
    batch: tuple,
    device: str,
    optimizer: str | keras.optimizers.Optimizer = "adam",
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Measure what a training step costs besides the model's own work.

    Args:
        batch: Features and label, on the CPU.
        device: The device of the model.
        optimizer: The workload's optimizer, of no model yet, or its name.
        clock: Returns seconds; monotonic.

    Returns:
        Medians in seconds a batch. `empty_step_seconds_per_batch` is the step of a
        model with one weight: the time that Python and Keras take before a model does
        anything. On a GPU `transfer_seconds_per_batch` is the features' way there.
    """
    held = (tf.ones([1, 1]), tf.ones([1, 1]))
    with tf.device(device):
        empty = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        empty.compile(optimizer=optimizer, loss="mse", jit_compile=False)
    steps = Train(tf.data.Dataset.from_tensors(held).repeat(), empty, held, device)
    steps.trace()
    facts = {"empty_step_seconds_per_batch": _median(steps.window(20), clock) / 20}
    parts = tf.nest.flatten(batch[0], expand_composites=True)
    numbers = [part for part in parts if part.dtype != tf.string]
    if "GPU" in device and numbers:

        def transfer() -> None:
            with tf.device(device):
                copies = [tf.identity(part) for part in numbers]
                for copy in copies:
                    tf.reshape(copy, [-1])[:1].numpy()  # comes back when it has arrived

        facts["transfer_seconds_per_batch"] = _median(transfer, clock)
    return facts


def _median(function: Callable[[], object], clock: Callable[[], float]) -> float:
    """Return the median seconds of 15 calls, after five that do not count."""
    seconds = []
    for _ in range(20):
        start = clock()
        function()
        seconds.append(clock() - start)
    return statistics.median(seconds[5:])
