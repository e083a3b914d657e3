"""What a measuring process does with a user's own pipeline: read, compare, take turns.

Each function takes the worker's request, whose trial names a `PipelineTask`.
"""

from __future__ import annotations

import functools
import math
import statistics
import time
from collections.abc import Callable

import keras
import tensorflow as tf

from bench import cause, machine, stages
from bench.errors import UsageError
from bench.machine import cpu_seconds
from bench.measure import (
    binding,
    consumers,
    graph,
    node_origin,
    recorder,
    stage_times,
    user_examples,
    user_model,
)
from bench.measure.phase_recorder import Stopwatch
from bench.measure.resources import peak_resident_bytes
from bench.measure.user_function import make_dataset
from bench.run import turns
from bench.run.protocol import Request
from bench.run.user_pipeline import (
    BATCHING,
    PipelineComparison,
    PipelineReading,
    PipelineTask,
    Stage,
    read_task,
)
from bench.trial import Failure, Measured, Trial

LOOK_SECONDS = 0.6  # of a steady state that is only looked at
WARM_SECONDS = 0.6  # AUTOTUNE starts afresh with every iterator
SHORT_WINDOW_SECONDS = 0.05
LOOKS = 3  # windows of each side in a first look
TRAINING_LOOKS = 5  # windows of the model alone or of training, one after another
TRAINING_LOOK_SECONDS = 0.2
FEW_ELEMENTS = 16
SHORT_EPOCH_SECONDS = 0.5  # an epoch that can be drained whole, again and again
EPOCHS_OF_WINDOWS = 4  # a window is made of whole epochs where one is that short


def answer(request: Request) -> PipelineReading | PipelineComparison | Measured:
    """Do what a request with one of `USER_PIPELINE_VERBS` asks for."""
    for gpu in tf.config.get_visible_devices("GPU"):  # which several processes share
        tf.config.experimental.set_memory_growth(gpu, True)
    if request.verb == "read_pipeline":
        return read_pipeline(request.trial)
    if request.verb == "compare_pipelines":
        return compare_pipelines(request.trial)
    seconds = request.effort.window_seconds
    return drain_pipeline(request.trial, request.channel, seconds)


def read_pipeline(trial: Trial) -> PipelineReading:
    """Read a user's pipeline as it is written, and look at where its time goes."""
    task = read_task(trial)
    try:
        return _read(task)
    except Exception as error:
        return PipelineReading(error=failure(error))


def _read(task: PipelineTask) -> PipelineReading:
    start = time.perf_counter()
    with recorder.recorded() as calls:
        dataset = make_dataset(task.path, task.source, task.call)
    listed = recorder.stages(calls, dataset)
    datasets = recorder.outputs(calls, listed)
    if not task.look:
        _add_bytes(listed, datasets, task.seconds / 5)
        return PipelineReading(stages=listed)
    batched = _is_batched(listed, dataset.element_spec)
    drained = _Drain(dataset)
    size = drained.first() if batched else 1
    first_batch = time.perf_counter() - start
    sides = _model_and_training(dataset, task) if task.model_call else ()
    pair = [make_dataset(task.path, task.source, task.call) for _ in range(2)]
    base, _ = user_examples.examples(pair[0], batched, task.seconds / 5)
    second, _ = user_examples.examples(pair[1], batched, task.seconds, len(base))
    count = min(len(base), len(second))
    epoch = _count_epoch(dataset, task.seconds) if drained.finite else 0
    seconds, spent = drained.steady(LOOK_SECONDS, epoch)
    alone, training = _seconds_in_turn(*sides, epoch) if sides else (0.0, 0.0)
    stage_times.add_seconds(listed, datasets, epoch, size)
    _add_bytes(listed, datasets, task.seconds / 5)
    steady = functools.partial(_steady, by_epoch=epoch * seconds < SHORT_EPOCH_SECONDS)
    lifts, no_waits = binding.add_waits(
        calls,
        listed,
        dataset,
        epoch,
        steady,
        lambda error: failure(error).message,
        task.waits_seconds,
    )
    return PipelineReading(
        stages=listed,
        lifts=lifts,
        no_waits=no_waits,
        batch_size=size,
        batched=batched,
        first_batch_seconds=first_batch,
        seconds_per_batch=seconds,
        epoch_batches=epoch,
        ceiling_seconds=_Drain(dataset.take(1).cache()).steady(LOOK_SECONDS / 5)[0],
        cpu_seconds_per_batch=spent,
        model_seconds_per_batch=alone,
        training_seconds_per_batch=training,
        repeats=user_examples.same(base[:count], second[:count]),
        compared=count,
    )


def compare_pipelines(trial: Trial) -> PipelineComparison:
    """Compare the examples of a task's two sources, and look at both rates."""
    task = read_task(trial)
    try:
        base = make_dataset(task.path, task.against, task.call)
        ours, ours_whole = user_examples.examples(base, task.batched, task.seconds)
        again = None
        if not task.repeats:
            twin = make_dataset(task.path, task.against, task.call)
            again, _ = user_examples.examples(
                twin, task.batched, task.seconds, len(ours)
            )
    except Exception as error:  # it could be read a moment ago
        return PipelineComparison(reason="the pipeline as it was", error=failure(error))
    try:
        head = make_dataset(task.path, task.source, task.call)
        # A head that is slower may take three times as long to the same example.
        theirs, theirs_whole = user_examples.examples(
            head, task.batched, 3 * task.seconds, len(ours) if not ours_whole else 2**31
        )
        comparison = user_examples.compare(
            ours, theirs, (ours_whole, theirs_whole), again
        )
        if comparison.outcome == "same" and comparison.whole and task.fill:
            comparison = _compare_later_epoch(base, head, task)
        if comparison.outcome in ("same", "order", "remainder"):
            comparison.ratio = _first_look(_side(base, task), _side(head, task), task)
        return comparison
    except Exception as error:
        return PipelineComparison(error=failure(error))


def _compare_later_epoch(
    base: tf.data.Dataset, head: tf.data.Dataset, task: PipelineTask
) -> PipelineComparison:
    """Compare the second epochs, as a cache freezes what the first one was."""
    sides = [
        user_examples.examples(one, task.batched, 3 * task.seconds)
        for one in (base, head)
    ]
    (ours, ours_whole), (theirs, theirs_whole) = sides
    comparison = user_examples.compare(ours, theirs, (ours_whole, theirs_whole))
    if comparison.outcome != "same":
        comparison.reason = f"in the second epoch {comparison.reason}"
    return comparison


def drain_pipeline(trial: Trial, channel: str, window_seconds: float) -> Measured:
    """Take turns with other processes: windows of a pipeline, drained or trained on.

    Args:
        trial: Names the task.
        channel: The path of the socket at which to wait.
        window_seconds: The least length of a window.
    """
    task = read_task(trial)
    try:
        clock = Stopwatch()
        with clock.time("build"):
            drained = _side(make_dataset(task.path, task.source, task.call), task)
        with clock.time("first_batch"):
            drained.first()
        worker = turns.TurnWorker(channel)
        example = worker.example()
        with clock.time("fill"):
            drained.fill(task.fill)
        with clock.time("calibrate"):
            if example:
                batches = example.batches
            else:
                batches = drained.window_batches(window_seconds, task.epoch)
            window = drained.window(batches)
        with clock.time("ramp"):
            pulls = _warm(window, int(example.pulled[0][1]) if example else 0)
        in_work = stages.batches_in_work(graph.executed_graph(drained.iterator()))
        lead_in = max(1, math.ceil(in_work / batches))
        work = turns.TurnWork(window, batches, lead_in, [(batches, pulls)])
        rounds = worker.serve(work, time.perf_counter)
        return Measured(
            samples=[turn.seconds for turn in rounds],
            phases=clock.seconds,
            batches_per_sample=batches,
            epoch_batches=task.epoch,
            peak_resident_bytes=peak_resident_bytes(),
            process_cpu_seconds=machine.cpu_seconds(),
        )
    except Exception as error:
        return Measured(error=failure(error))


class _Drain:
    """A pipeline that the runtime drains, for ever: an epoch follows an epoch.

    TensorFlow ends a pipeline with a prefetch of its own. Behind the harness's shard
    that prefetch would prepare whole windows, so it is put where a user's loop has it:
    behind the user's last stage.
    """

    def __init__(self, dataset: tf.data.Dataset) -> None:
        self.finite = int(dataset.cardinality()) != tf.data.INFINITE_CARDINALITY
        chosen = dataset.options().experimental_optimization
        injects = chosen.inject_prefetch is not False
        injects = injects and chosen.apply_default_optimizations is not False
        options = tf.data.Options()
        options.experimental_optimization.inject_prefetch = False
        if injects and "Prefetch" not in _last(dataset):
            dataset = dataset.prefetch(tf.data.AUTOTUNE)
        endless = dataset.repeat() if self.finite else dataset
        self._endless = endless.with_options(options)
        self._consumer: consumers.Drain | consumers.Stepping
        self._consumer = consumers.Drain(self._endless)
        self._dataset = endless

    def first(self) -> int:
        """Pull the first element; returns the length of its first component.

        Raises:
            UsageError: The dataset is empty.
        """
        for element in self._dataset.take(1):
            part = tf.nest.flatten(element)[0]
            if isinstance(part, tf.RaggedTensor):
                return int(part.nrows())
            return int(part.shape[0]) if part.shape.rank else 1
        raise UsageError("The dataset has no elements.")

    def fill(self, batches: int) -> None:
        """Pull so many batches by one iterator, so that caches are full."""
        if batches:
            consumers.Drain(self._endless).window(max(2, batches))()

    def window(self, batches: int) -> Callable[[], None]:
        return self._consumer.window(batches)

    def rest(self) -> None:
        """Free the iterator, whose threads then end; a window begins a fresh one."""
        self._consumer.rest()

    def iterator(self) -> object:
        return self._consumer.iterator()

    def window_batches(self, seconds: float, epoch: int = 0, least: int = 1) -> int:
        """Batches of a window of this length at least; whole epochs if short."""
        batches = least
        while True:
            window = self.window(batches)
            window()
            spent = min(_seconds(window), _seconds(window))  # the first may be slow
            if spent >= seconds:
                break
            # A slow batch may come behind many that stood ready, so growth has a bound.
            growth = min(10.0, 1.2 * seconds / max(spent, 1e-7))
            batches = max(batches + 1, int(batches * growth))
        if 1 < epoch <= EPOCHS_OF_WINDOWS * batches:
            batches = -(-batches // epoch) * epoch
        return batches

    def warm_window(
        self, seconds: float, epoch: int = 0, least: int = 1
    ) -> tuple[Callable[[], None], int]:
        """Return a window in the steady state, and how many batches it pulls."""
        batches = self.window_batches(SHORT_WINDOW_SECONDS, epoch, least)
        window = self.window(batches)
        _warm(window, 0, seconds / 2)
        return window, batches

    def steady(self, seconds: float, epoch: int = 0) -> tuple[float, float]:
        """Seconds and CPU seconds a batch in the steady state."""
        window, batches = self.warm_window(seconds, epoch)
        start, cpu, count = time.perf_counter(), cpu_seconds(), 0
        while time.perf_counter() - start < seconds or count < 2:
            window()
            count += 1
        spent, total = cpu_seconds() - cpu, count * batches
        return (time.perf_counter() - start) / total, spent / total


def _steady(
    dataset: tf.data.Dataset, epoch: int, *, by_epoch: bool
) -> binding.waits.Timing:
    """Drain a dataset and time its elements; see `waits.Steady`.

    Args:
        dataset: The dataset.
        epoch: Its elements in an epoch; 0 if unknown.
        by_epoch: Whether a window is whole epochs, as where a shuffle's buffer makes
            the first element the slow one.
    """
    least = max(1, epoch) if by_epoch else 1
    seconds = binding.waits.LOOK_SECONDS
    window, elements = _Drain(dataset).warm_window(seconds, epoch, least)
    return binding.waits.time_window(window, elements, seconds)


def _last(dataset: tf.data.Dataset) -> str:
    """The class of the last dataset that is more than options."""
    while "Options" in type(dataset).__name__:
        (dataset,) = dataset._inputs()
    return type(dataset).__name__


class _Training(_Drain):
    """A pipeline on whose batches a user's model makes training steps, for ever."""

    def __init__(
        self, dataset: tf.data.Dataset, model: keras.Model, task: PipelineTask
    ) -> None:
        super().__init__(dataset)
        first = next(iter(self._dataset))
        self._consumer = user_model.traced(self._endless, model, first, task)

    def window_batches(self, seconds: float, epoch: int = 0, least: int = 1) -> int:
        """Batches of a window as of a drain, rounded up to whole calls of Keras."""
        a_call = self._consumer.batches_a_call
        return -(-super().window_batches(seconds, epoch, least) // a_call) * a_call


def _side(dataset: tf.data.Dataset, task: PipelineTask) -> _Drain:
    """The pipeline as the task's consumer pulls it: a drain, or the user's model."""
    if not task.model_call:
        return _Drain(dataset)
    return _Training(dataset, user_model.make_model(task), task)


def _model_and_training(
    dataset: tf.data.Dataset, task: PipelineTask
) -> tuple[_Training, _Training]:
    """One model that trains on a batch held in memory, and on the whole pipeline."""
    model = user_model.make_model(task)
    held = dataset.take(1).cache()
    return _Training(held, model, task), _Training(dataset, model, task)


def _seconds_in_turn(
    alone: _Training, training: _Training, epoch: int
) -> tuple[float, float]:
    """The seconds a batch of both in the steady state, by several looks.

    Disturbances only add time. So of the model alone the least time counts, and of
    training the median: noise never makes a pipeline look hidden. The model alone is
    timed before and after, so that training goes on without a pause. In a pause the
    buffers would fill, and a slow pipeline would look as fast as these.
    """
    held, trained = (
        side.window_batches(TRAINING_LOOK_SECONDS, of_epoch)
        for side, of_epoch in ((alone, 0), (training, epoch))
    )
    how = TRAINING_LOOKS, WARM_SECONDS
    before, between = _looks(alone, held, *how), _looks(training, trained, *how)
    after = _looks(alone, held, *how)
    return min(*before, *after), statistics.median(between)


def _looks(side: _Drain, batches: int, count: int, warm_seconds: float) -> list[float]:
    """The seconds a batch of windows that follow one another without a pause.

    In a pause the pipeline would prepare batches, and whole windows would be ready.
    """
    window = side.window(batches)
    _warm(window, 0, warm_seconds)
    return [_seconds(window) / batches for _ in range(count)]


def failure(error: Exception) -> Failure:
    """The failure of a user's pipeline, with the file and the line of the cause."""
    if isinstance(error, UsageError):  # or its kind, ModelError
        return Failure(type=type(error).__name__, message=str(error))
    innermost = cause.innermost(error, (), node_origin.frames)
    return Failure(type=innermost.type, message=cause.sentence(innermost))


def _warm(window: Callable[[], None], pulls: int, seconds: float = WARM_SECONDS) -> int:
    """Pull windows until AUTOTUNE has had its time, or as often as another process."""
    for _ in range(pulls):
        window()
    if pulls:
        return pulls
    deadline, count = time.perf_counter() + seconds, 0
    while time.perf_counter() < deadline or not count:
        window()
        count += 1
    return count


def _first_look(base: _Drain, head: _Drain, task: PipelineTask) -> float:
    """Head's time over base's in this process, to order proposals by.

    Short epochs are timed whole: a shuffle fills its buffer when an epoch begins.
    """
    medians = []
    for side in (base, head):
        side.first()
        side.fill(task.fill)
        batches = side.window_batches(SHORT_WINDOW_SECONDS, task.epoch)
        looks = _looks(side, batches, LOOKS, WARM_SECONDS / 4)
        medians.append(statistics.median(looks))
        side.rest()  # or its threads would work beside the other side
    return medians[1] / medians[0]


def _count_epoch(dataset: tf.data.Dataset, seconds: float) -> int:
    """The batches of an epoch; 0 if pulling one takes longer than this."""
    deadline, count = time.perf_counter() + seconds, 0
    for _ in dataset:
        count += 1
        if time.perf_counter() > deadline:
            return 0
    return count


def _add_bytes(
    listed: list[Stage], datasets: list[tf.data.Dataset | None], seconds: float
) -> None:
    """Look at the first elements of each stage up to the first shuffle."""
    deadline = time.monotonic() + seconds
    for stage, dataset in zip(listed, datasets, strict=True):
        if stage.method in ("shuffle", "repeat") or time.monotonic() > deadline:
            return
        if dataset is None:
            continue
        few = dataset.take(FEW_ELEMENTS)
        specs = tf.nest.flatten(dataset.element_spec)
        if not any(isinstance(spec, tf.data.DatasetSpec) for spec in specs):
            count = consumers.Drain(few).batches()
            stage.element_bytes = graph.elements_bytes(few) / max(1, count)


def _is_batched(listed: list[Stage], spec: object) -> bool:
    """Whether an element is a batch; of what a library made the shapes say so."""
    for stage in reversed(listed):
        if stage.method == "unbatch":
            return False
        if stage.method in BATCHING:
            return True
    shapes = [getattr(part, "shape", None) for part in tf.nest.flatten(spec)]
    ranked = all(shape is not None and shape.rank for shape in shapes)
    library = any(stage.method == "library" for stage in listed)
    return library and ranked and len({shape[0] for shape in shapes}) == 1


def _seconds(window: Callable[[], None]) -> float:
    start = time.perf_counter()
    window()
    return time.perf_counter() - start
