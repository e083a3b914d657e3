"""This module builds a pipeline in Grain, step by step as `pipeline.steps` lists.

Grain calls the layers eagerly, on NumPy arrays, from Python threads or processes. The
functions import Grain when they are called, since it is an optional package.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import keras
import numpy as np
import tensorflow as tf

from bench import catalog
from bench.catalog import Entry
from bench.data.components import NAMES, Ragged, Sparse, named
from bench.errors import UsageError
from bench.measure.consumers import Stepping
from bench.measure.layers import apply_layers
from bench.pipeline import WORKER_BUFFER, Pipeline, steps

if TYPE_CHECKING:
    import grain


class Records:
    """Records are examples in memory, as Grain's source: they have indices.

    A number or a string of an example is an array without axes, as in tf.data.
    """

    def __init__(self, record: tuple) -> None:
        """Take `(features[, labels[, weights]])`, nests of arrays of one length.

        Raises:
            UsageError: A component is ragged or sparse.
        """
        pairs = zip(NAMES, record, strict=False)
        parts = {
            k: part for name, nest in pairs for k, part in named(nest, name).items()
        }
        for path, part in parts.items():
            if isinstance(part, (Ragged, Sparse)):
                kind = type(part).__name__.lower()
                raise UsageError(
                    f"host=grain: the component {path} is {kind}, and Grain makes "
                    "batches of dense arrays only. Use host=tf.data."
                )
        self._record = record
        self._count = len(next(iter(parts.values())))

    def __len__(self) -> int:
        """Return the number of examples."""
        return self._count

    def __getitem__(self, index: int) -> tuple:
        """Return one example."""
        return keras.tree.map_structure(partial(_row, index), self._record)


def _row(index: int, part: np.ndarray) -> np.ndarray:
    return part[index] if part.ndim > 1 else part[index : index + 1].reshape(())


@dataclass(frozen=True)
class LayersOnRecord:
    """This function applies layers to a record; it can be sent to another process.

    Attributes:
        layers: Layers, applied in order.
        ranks: The rank of each component of the output for a bare example; None where
            records are batches.
        takes_labels: Whether the layers get and return `(features, labels)`.
    """

    layers: list
    ranks: object | None = None
    takes_labels: bool = False

    def __call__(self, record: tuple) -> tuple:
        """Return the record with the output of the layers."""
        ranks = None if self.ranks is None else lambda example: self.ranks
        if self.takes_labels:
            return *apply_layers(self.layers, record[:2], ranks=ranks), *record[2:]
        return apply_layers(self.layers, record[0], ranks=ranks), *record[1:]


def build(
    p: Pipeline,
    record: tuple,
    layers: Callable[[tuple], tuple],
    *,
    entry: Entry | None = None,
    seed: int = 0,
    repeat: bool = True,
    drop_remainder: bool = True,
) -> grain.IterDataset:
    """Build Grain's dataset of a pipeline in one loop over its steps.

    Args:
        p: The pipeline, with `host="grain"`.
        record: All examples, `(features[, labels[, weights]])`: nests of arrays.
        layers: Function from a record to a preprocessed record.
        entry: The workload, whose file worker processes import before they get the
            layers; None where no file is needed.
        seed: The seed of the shuffle.
        repeat: Whether the dataset is endless, or one epoch.
        drop_remainder: Whether to drop an incomplete last batch.

    Returns:
        A dataset of batches, (features[, labels[, weights]]).

    Raises:
        UsageError: A component is ragged or sparse, or the shuffle is smaller than the
            data.
    """
    import grain

    records = Records(record)
    if p.shuffle_buffer and p.shuffle_buffer < len(records):
        raise UsageError(
            f"host=grain: shuffle_buffer={p.shuffle_buffer} is less than the "
            f"{len(records)} examples, and Grain shuffles all of them. Use a larger "
            "shuffle_buffer, or host=tf.data."
        )

    def read(dataset: grain.MapDataset) -> grain.IterDataset:
        # Without threads no buffer: each element is made when it is asked for.
        calls = p.map_parallel_calls
        options = grain.ReadOptions(num_threads=calls, prefetch_buffer_size=calls)
        return dataset.to_iter_dataset(options)

    def mapped(dataset: grain.MapDataset) -> grain.MapDataset | grain.IterDataset:
        in_threads = p.order == "map_batch" and p.map_parallel_calls
        dataset = dataset.map(layers)
        return read(dataset) if in_threads else dataset

    def with_workers(dataset: grain.IterDataset) -> grain.IterDataset:
        options = grain.MultiprocessingOptions(
            num_workers=p.worker_count, per_worker_buffer_size=WORKER_BUFFER
        )
        return dataset.mp_prefetch(
            options, worker_init_fn=partial(_begin_worker, entry)
        )

    def prefetched(dataset: grain.IterDataset) -> grain.IterDataset:
        ahead = grain.experimental.ThreadPrefetchIterDataset
        return ahead(dataset, prefetch_buffer_size=p.prefetch)

    apply = {
        "read": lambda dataset: dataset,
        "shuffle": lambda dataset: dataset.shuffle(seed=seed),
        "repeat": lambda dataset: dataset.repeat(),
        "layers": mapped,
        "batch": lambda dataset: dataset.batch(
            p.batch_size, drop_remainder=drop_remainder
        ),
        "workers": with_workers,
        "prefetch": prefetched,
    }
    dataset = grain.MapDataset.source(records)
    for step in steps(p, decodes=False, repeat=repeat):
        if step.name in ("workers", "prefetch"):
            dataset = _read_once(dataset, read)
        dataset = apply[step.name](dataset)
    return _read_once(dataset, read)


def _read_once(dataset: object, read: Callable) -> grain.IterDataset:
    """Read a dataset of indices as a stream; a stream stays as it is."""
    import grain

    return read(dataset) if isinstance(dataset, grain.MapDataset) else dataset


def _begin_worker(entry: Entry | None, worker: int, workers: int) -> None:
    """Prepare a worker process: it has no GPU, and the file registers its classes."""
    tf.config.set_visible_devices([], "GPU")
    if entry:
        catalog.load(entry)


def first_batches(dataset: grain.IterDataset, batches: int) -> list[tuple]:
    """Return the first batches of Grain's dataset, as nests of tensors."""
    iterator = iter(dataset)
    try:
        return [_tensors(batch) for batch in itertools.islice(iterator, batches)]
    finally:
        iterator.close()  # and with it threads and processes


def first_example(record: tuple) -> tuple:
    """Return the first example of `(features, ...)`, as nests of tensors."""
    return _tensors(Records(record)[0])


def _tensors(record: tuple) -> tuple:
    return tf.nest.map_structure(tf.convert_to_tensor, record)


def for_keras(dataset: grain.IterDataset) -> tf.data.Dataset:
    """Return the dataset that Keras's `fit` makes of Grain's on TensorFlow."""
    from keras.src.trainers.data_adapters.grain_dataset_adapter import (
        GrainDatasetAdapter,
    )

    return GrainDatasetAdapter(dataset).get_tf_dataset()


class DrainGrain(Stepping):
    """Python pulls batches of Grain's dataset, one call each, and drops them."""

    def trace(self) -> None:
        """Do nothing: the layers run eagerly."""

    def epoch(self) -> int:
        """Pull every batch of a fresh iterator, and return their number."""
        self._iterator = None
        batches = sum(1 for _ in self._dataset)
        tf.test.experimental.sync_devices()
        return batches

    def _call(self) -> object:
        return next(self._iterator)

    def _pull(self, batches: int) -> None:
        if self._iterator is None:
            self._begin()
        for _ in range(batches):
            self._call()
        self._pulled += batches
        tf.test.experimental.sync_devices()  # a GPU's work is asynchronous
