"""A few traced training steps: when records were read, mapped, waited for, trained on.

The pipeline is built once more, with clocks in its graph: in front of and behind the
source, and around decoding and the layers. They write to a queue in the runtime, since
a call into Python for each would wait for Python's lock, which the training step holds.
Traced steps are slower than timed ones and are never samples.
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
LONGEST_SECONDS = 10.0
TOUCHING = 0.002  # of the whole: neighbours this close are drawn as one
Span = tuple[str, float, float]


class Traced(Assembly):
    """Work whose pipeline notes when it reads and maps."""

    def note(self, queue: tf.queue.QueueBase) -> Traced:
        """Note spans in this queue, `[kind, start, end]` in seconds each."""
        self.queue = queue
        if self.entry.decodes:
            clocked = self._clocked(self.module.decode)
            self.module = SimpleNamespace(**{**vars(self.module), "decode": clocked})
        return self

    def _source(self, p: Pipeline) -> tf.data.Dataset:
        # Zip asks for the mark first, so it tells when the record was asked for.
        marks = tf.data.Dataset.range(2**62).map(lambda _: tf.timestamp())
        both = tf.data.Dataset.zip((marks, super()._source(p)))
        return both.map(self._arrived)

    def _arrived(self, start: tf.Tensor, record: tuple) -> tuple:
        with tf.control_dependencies(tf.nest.flatten(record)):
            end = tf.timestamp()
        with tf.control_dependencies([self._put(READ, start, end)]):
            return tf.nest.map_structure(tf.identity, record)

    def _on_any(self, features: tf.Tensor) -> tf.Tensor:
        return self._clocked(super()._on_any)(features)

    def _clocked(self, function: Callable) -> Callable:
        def clocked(*values: tf.Tensor) -> object:
            with tf.control_dependencies(list(values)):
                start = tf.timestamp()
            with tf.control_dependencies([start]):
                made = function(*[tf.identity(value) for value in values])
            with tf.control_dependencies(tf.nest.flatten(made)):
                end = tf.timestamp()
            with tf.control_dependencies([self._put(MAP, start, end)]):
                return tf.nest.map_structure(tf.identity, made)

        return clocked

    def _put(self, kind: float, start: tf.Tensor, end: tf.Tensor) -> tf.Operation:
        return self.queue.enqueue(tf.stack([tf.constant(kind, tf.float64), start, end]))


def traceable(p: Pipeline) -> bool:
    """Whether every step reads and maps: nothing is kept, resampled or done before."""
    return p.cache == "none" and p.resample == "none" and p.place.maps_layers


def spans(work: Assembly, scratch: Path, steps: int) -> list[Span]:
    """Spans `(name, start, end)` of some training steps, in seconds from their start.

    `read` and `map` are the pipeline's, from the asking to the record and around the
    map function; `wait` is the consumer's for a batch, `train` its step until the loss
    has come back. Neighbours of one name that all but touch are one span.

    Args:
        work: The trial's workload, past its gate, with a traceable pipeline.
        scratch: A folder for this.
        steps: How many; fewer where they would take more than 10 s.
    """
    queue = tf.queue.FIFOQueue(2**31 - 1, [tf.float64], [[3]])
    own = {field.name: getattr(work, field.name) for field in fields(work)}
    dataset = Traced(**own).note(queue).dataset(scratch, repeat=True)
    iterator = iter(dataset)
    first = next(iterator)
    model = work.model(first)
    step = tf.function(model.train_step)

    def trained(batch: tuple) -> None:
        with tf.device(work.device):
            float(step(batch)["loss"])

    for _ in range(WARM_STEPS):
        trained(next(iterator))
    found: list[Span] = []
    begun = asked = time.time()  # the runtime's timestamps are of this clock
    for _ in range(steps):
        batch = next(iterator)
        given = time.time()
        trained(batch)
        done = time.time()
        found += [("wait", asked, given), ("train", given, done)]
        asked = done
        if done - begun > LONGEST_SECONDS:
            break
    ended = found[-1][2]
    for kind, start, end in queue.dequeue_many(queue.size()).numpy().tolist():
        if end > begun and start < ended:
            found.append((NAMES[kind], max(start, begun), min(end, ended)))
    whole = ended - begun
    return [
        (name, start - begun, end - begun)
        for name, start, end in merged(found, TOUCHING * whole)
    ]


def merged(found: list[Span], gap: float) -> list[Span]:
    """Pipeline spans of one name that are at most `gap` seconds apart become one.

    The consumer's spans stay as they are: each is one step's.
    """
    kept = [span for span in found if span[0] not in NAMES.values()]
    for name in NAMES.values():
        own: list[Span] = []
        for _, start, end in sorted(span for span in found if span[0] == name):
            if own and start - own[-1][2] <= gap:
                own[-1] = (name, own[-1][1], max(end, own[-1][2]))
            else:
                own.append((name, start, end))
        kept += own
    return sorted(kept, key=lambda span: span[1:])
