"""What pulls batches: the runtime itself, a model's training step, an inference call.

Every consumer has the same four verbs, so that the worker and the timed loop know none
of them: `trace` pays the one-time costs, `step` pulls one batch, `window(n)` makes a
function that pulls n batches and returns when the last one has come back.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import keras
import tensorflow as tf


@dataclass
class Consumer:
    """What pulls the batches of one dataset.

    Attributes:
        trace: Trace, compile, start the device; called once, before `step`.
        step: Pull one batch, from Python; for the first batch, filling, calibrating.
        window: Batches to a function that pulls so many; with `start`, it begins no
            earlier than at this batch of the stream.
        epoch: Pull from a fresh iterator to its end; the number of batches, 0 where
            only counting them would tell. The next `step` starts afresh: an iterator
            at its end has lost its graph.
        iterator: The iterator that was made last, whose graph is the one that ran.
        traces: How often the consumer's function has been traced.
        batches: Count the batches of an epoch.
        prebuild: Make the variables that tracing makes on its way, as `fit` does it,
            at the price of a second trace; where nobody reads how long that takes.
        pulled: Batches that have been pulled of the iterator made last.
    """

    trace: Callable[[], None]
    step: Callable[[], None]
    window: Callable[..., Callable[[], None]]
    epoch: Callable[[], int]
    iterator: Callable[[], object]
    traces: Callable[[], int] = lambda: 0
    batches: Callable[[], int] = lambda: 0
    prebuild: Callable[[], None] = lambda: None
    pulled: Callable[[], int] = lambda: 0


def drain(dataset: tf.data.Dataset) -> Consumer:
    """The runtime pulls: `shard(n, n - 1)` skips n - 1 batches and returns the last.

    One Python call costs 50 to 120 microseconds, so a window makes only one. Skipped
    batches are made in full: `tests/test_consumers.py` counts the map calls.
    """
    state = {"pulled": 0, "each": 1}

    def single() -> Iterator:
        if "single" not in state:
            state["single"] = state["iterator"] = iter(dataset)
            state.update(pulled=0, each=1)
        return state["single"]

    def step() -> None:
        next(state["iterator"] if "iterator" in state else single())
        state["pulled"] += state["each"]

    def window(batches: int, start: int = 0) -> Callable[[], None]:
        if batches > 1:
            state.pop("single", None)
            later = dataset.skip(start) if start else dataset
            several = later.shard(batches, batches - 1)
            state["iterator"] = iter(several)
            state.update(pulled=start, each=batches)
            iterator = state["iterator"]
        else:
            iterator = single()
            while state["pulled"] < start:
                step()

        def pull() -> None:
            next(iterator)
            state["pulled"] += batches

        return pull

    def epoch() -> int:
        # No element has this index: everything is made, nothing handed to Python. The
        # kernel keeps it in 32 bits.
        beyond = 2**31 - 1
        for _ in dataset.shard(beyond, beyond - 1):
            raise RuntimeError(f"an epoch of more than {beyond} batches")
        for name in ("iterator", "single"):
            state.pop(name, None)
        return max(0, int(dataset.cardinality()))

    def batches() -> int:
        return int(dataset.reduce(tf.constant(0, tf.int64), lambda n, *_: n + 1))

    return Consumer(
        lambda: None,
        step,
        window,
        epoch,
        lambda: state["iterator"],
        batches=batches,
        pulled=lambda: state["pulled"],
    )


def drain_model(
    dataset: tf.data.Dataset, call: Callable, *, jit: bool | None, device: str
) -> Consumer:
    """The runtime pulls and calls the layers on the model's device, in one graph.

    The last output is carried through the loop, so that no call can be pruned away.
    """
    state = {"pulled": 0}
    compiled = tf.function(call, jit_compile=jit or None)

    @tf.function
    def loop(iterator: object, batches: tf.Tensor) -> tf.Tensor:
        with tf.device(device):
            output = compiled(next(iterator)[0])
            shape = tf.TensorShape([None] * output.shape.rank)
            for _ in tf.range(batches - 1):
                tf.autograph.experimental.set_loop_options(
                    shape_invariants=[(output, shape)]
                )
                output = compiled(next(iterator)[0])
            # One value, so that waiting for it moves no batch between devices.
            return tf.reshape(output, [-1])[0]

    def pull(batches: int) -> None:
        if "iterator" not in state:
            state.update(iterator=iter(dataset), pulled=0)
        loop(state["iterator"], tf.constant(batches)).numpy()
        state["pulled"] += batches

    def step() -> tf.Tensor:
        return loop(state["iterator"], tf.constant(1))

    return Consumer(
        trace=lambda: pull(1),
        step=lambda: pull(1),
        window=partial(_window, pull, state),
        epoch=lambda: _python_epoch(dataset, state, step),
        iterator=lambda: state["iterator"],
        traces=loop.experimental_get_tracing_count,
        pulled=lambda: state["pulled"],
    )


def train(
    dataset: tf.data.Dataset, model: keras.Model, first: tuple, device: str
) -> Consumer:
    """Training steps of a compiled model, one Python call each, as `fit` makes them.

    Args:
        dataset: Batches of (features, label).
        model: Compiled.
        first: A batch to trace with, so that tracing is apart from the pipeline.
        device: Where the model runs.
    """
    state = {"traces": 0, "pulled": 0}
    train_step = model.train_step

    def counted(data: object) -> object:
        state["traces"] += 1  # runs only while tracing
        return train_step(data)

    model.train_step = counted

    def prebuild() -> None:
        with tf.device(device):
            model.optimizer.build(model.trainable_variables)

    def trace() -> None:
        with tf.device(device):
            model.fit(tf.data.Dataset.from_tensors(first), shuffle=False, verbose=0)

    def step() -> tf.Tensor:
        with tf.device(device):
            return model.train_function(state["iterator"])["loss"]

    def pull(batches: int) -> None:
        if "iterator" not in state:
            state.update(iterator=iter(dataset), pulled=0)
        for _ in range(batches):
            loss = step()
        state["pulled"] += batches
        float(loss)  # device work is asynchronous until a value comes back

    return Consumer(
        trace=trace,
        step=lambda: pull(1),
        window=partial(_window, pull, state),
        epoch=lambda: _python_epoch(dataset, state, step),
        iterator=lambda: state["iterator"],
        traces=lambda: state["traces"],
        prebuild=prebuild,
        pulled=lambda: state["pulled"],
    )


def _window(
    pull: Callable[[int], None], state: dict, batches: int, start: int = 0
) -> Callable[[], None]:
    """A function that pulls so many batches, of an iterator that goes on."""
    if state["pulled"] < start:
        pull(start - state["pulled"])
    return partial(pull, batches)


def step_facts(
    batch: tuple,
    device: str,
    optimizer: str = "adam",
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """What a training step costs besides the model's own work; seconds a batch.

    Args:
        batch: Features and label, on the CPU.
        device: Where the model runs.
        optimizer: The workload's.
        clock: Seconds, monotonic.

    Returns:
        `empty_step_seconds_per_batch`, a step of a model with one weight, which is
        what Python and Keras take before a model does anything, and on a GPU
        `transfer_seconds_per_batch`, the features' way there; medians.
    """
    held = (tf.ones([1, 1]), tf.ones([1, 1]))
    with tf.device(device):
        empty = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        empty.compile(optimizer=optimizer, loss="mse", jit_compile=False)
    steps = train(tf.data.Dataset.from_tensors(held).repeat(), empty, held, device)
    steps.trace()
    found = {"empty_step_seconds_per_batch": _median(steps.window(20), clock) / 20}
    if "GPU" in device and batch[0].dtype != tf.string:

        def moved() -> None:
            with tf.device(device):
                there = tf.identity(batch[0])
                tf.reshape(there, [-1])[0].numpy()  # comes back when all is there

        found["transfer_seconds_per_batch"] = _median(moved, clock)
    return found


def _median(function: Callable[[], object], clock: Callable[[], float]) -> float:
    """Median seconds of 15 calls, after some that are not counted."""
    seconds = []
    for _ in range(20):
        start = clock()
        function()
        seconds.append(clock() - start)
    return statistics.median(seconds[5:])


def _python_epoch(
    dataset: tf.data.Dataset, state: dict, step: Callable[[], tf.Tensor]
) -> int:
    """One epoch, a call a batch; as in a window, only the last value is waited for."""
    state["iterator"] = iter(dataset)
    batches = 0
    while True:
        try:
            last = step()
        except (StopIteration, tf.errors.OutOfRangeError):
            del state["iterator"]
            if batches:
                last.numpy()
            return batches
        batches += 1
