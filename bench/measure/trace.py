"""This module traces a few training steps: reading, mapping, waiting and training.

The pipeline is built again with clocks in its graph: before and after the source, and
around decoding and the layers. The clocks write to a queue in the runtime. A clock in
Python would have to wait for Python's lock, which the training step holds. Traced steps
are slower than timed steps and are never samples.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import tensorflow as tf

from bench.measure.assembly import Assembly
from bench.pipeline import Pipeline

READ, MAP = 0.0, 1.0
NAMES = {READ: "read", MAP: "map"}
WARM_STEPS = 3
LONGEST_SECONDS = 10.0  # after which no further step is traced
TOUCHING = 0.002  # of the whole time: spans this close are drawn as one
Span = tuple[str, float, float]


class TracedAssembly(Assembly):
    """A traced assembly's pipeline records when it reads and maps."""

    def record(self, queue: tf.queue.QueueBase) -> TracedAssembly:
        """Record spans in a queue, each as `[kind, start, end]` in seconds."""
        self.queue = queue
        if self.entry.decodes:
            decode = self._clocked(self.module.decode)
            self.module = SimpleNamespace(**{**vars(self.module), "decode": decode})
        return self

    def _source(self, p: Pipeline) -> tf.data.Dataset:
        # Zip pulls the timestamp first, so the timestamp is when the record was pulled.
        starts = tf.data.Dataset.range(2**62).map(lambda _: tf.timestamp())
        records = tf.data.Dataset.zip((starts, super()._source(p)))
        return records.map(self._record_read)

    def _record_read(self, start: tf.Tensor, record: tuple) -> tuple:
        with tf.control_dependencies(tf.nest.flatten(record)):
            end = tf.timestamp()
        with tf.control_dependencies([self._put(READ, start, end)]):
            return tf.nest.map_structure(tf.identity, record)

    def _apply_in_map(self, features: tf.Tensor) -> tf.Tensor:
        return self._clocked(super()._apply_in_map)(features)

    def _clocked(self, function: Callable) -> Callable:
        def clocked(*values: tf.Tensor) -> object:
            with tf.control_dependencies(list(values)):
                start = tf.timestamp()
            with tf.control_dependencies([start]):
                output = function(*[tf.identity(value) for value in values])
            with tf.control_dependencies(tf.nest.flatten(output)):
                end = tf.timestamp()
            with tf.control_dependencies([self._put(MAP, start, end)]):
                return tf.nest.map_structure(tf.identity, output)

        return clocked

    def _put(self, kind: float, start: tf.Tensor, end: tf.Tensor) -> tf.Operation:
        return self.queue.enqueue(tf.stack([tf.constant(kind, tf.float64), start, end]))


def traceable(p: Pipeline) -> bool:
    """Whether each step of tf.data reads or maps: no cache, no resampling."""
    stored = p.cache != "none" or p.resample != "none"
    return p.place.maps_layers and not stored and not p.in_grain


def spans(assembly: Assembly, scratch: Path, steps: int) -> list[Span]:
    """Trace some training steps.

    Args:
        assembly: The trial's assembly, after its check, with a traceable pipeline.
        scratch: A folder for files of the traced pipeline.
        steps: The number of steps to trace; fewer if they would take more than 10 s.

    Returns:
        Spans `(name, start, end)` in seconds from the start of the first traced step.
        `read` lasts from the request for a record to its arrival, `map` is one call of
        the map function. `wait` is the consumer's wait for a batch, `train` its step
        until the loss is back. Only `read` spans and `map` spans that almost touch are
        merged; `wait` and `train` stay one a step.
    """
    queue = tf.queue.FIFOQueue(2**31 - 1, [tf.float64], [[3]])
    values = {field.name: getattr(assembly, field.name) for field in fields(assembly)}
    traced = TracedAssembly(**values).record(queue)
    dataset = traced.dataset(scratch, repeat=True)
    iterator = iter(dataset)
    first = next(iterator)
    model = assembly.model(first)
    step = tf.function(model.train_step)

    def train(batch: tuple) -> None:
        with tf.device(assembly.device):
            float(step(batch)["loss"])

    for _ in range(WARM_STEPS):
        train(next(iterator))
    spans: list[Span] = []
    begun = pulled = time.time()  # the clock of the runtime's timestamps
    for _ in range(steps):
        batch = next(iterator)
        received = time.time()
        train(batch)
        done = time.time()
        spans += [("wait", pulled, received), ("train", received, done)]
        pulled = done
        if done - begun > LONGEST_SECONDS:
            break
    ended = spans[-1][2]
    for kind, start, end in queue.dequeue_many(queue.size()).numpy().tolist():
        if end > begun and start < ended:
            spans.append((NAMES[kind], max(start, begun), min(end, ended)))
    return [
        (name, start - begun, end - begun)
        for name, start, end in merge(spans, TOUCHING * (ended - begun))
    ]


def merge(spans: list[Span], gap: float) -> list[Span]:
    """Merge the pipeline's spans of one name that are at most `gap` seconds apart.

    The consumer's spans stay separate, since each belongs to one step.
    """
    merged = [span for span in spans if span[0] not in NAMES.values()]
    for name in NAMES.values():
        own: list[Span] = []
        for _, start, end in sorted(span for span in spans if span[0] == name):
            if own and start - own[-1][2] <= gap:
                own[-1] = (name, own[-1][1], max(end, own[-1][2]))
            else:
                own.append((name, start, end))
        merged += own
    return sorted(merged, key=lambda span: span[1:])
