"""This module makes datasets of raw records: arrays, files, stored outputs."""

import time
from pathlib import Path
from types import ModuleType

import tensorflow as tf
from tensorflow.python.data.experimental.ops import testing

from bench.catalog import Entry
from bench.data.inputs import Inputs
from bench.measure import nests
from bench.measure.tf_data import interleave
from bench.pipeline import Pipeline

COUNTED = 16  # records that are counted at a time


def raw_records(
    p: Pipeline, entry: Entry, module: ModuleType, inputs: Inputs
) -> tf.data.Dataset:
    """Return raw records in order, as (features[, labels[, weights]])."""
    if inputs.source:
        dataset = inputs.source()
        if isinstance(dataset.element_spec, tuple):
            return dataset
        return dataset.map(lambda features: (features,))
    dataset = tf.data.Dataset.from_tensor_slices(nests.tensors(inputs.record))
    if not entry.reads_files:
        return dataset
    if not p.read_latency_ms:
        return interleave(p, dataset, module.read)

    def slow(path: tf.Tensor, label: tf.Tensor) -> tf.data.Dataset:
        # tf.data's own sleeping dataset waits outside Python, as a disk would.
        opened = tf.data.Dataset.from_tensors(0)
        opened = opened.apply(testing.sleep(1000 * p.read_latency_ms))
        opened = opened.take(1)  # or it would sleep once more before it ends
        return opened.flat_map(lambda _: module.read(path, label))

    return interleave(p, dataset, slow)


def count_records(dataset: tf.data.Dataset, seconds: float) -> int:
    """Count the records of one pass in the runtime; 0 where counting takes too long.

    TensorFlow knows the number of some datasets without counting.

    Args:
        dataset: Raw records, finite.
        seconds: The time that counting may take.
    """
    if (known := int(dataset.cardinality())) > 0:
        return known
    count, deadline = 0, time.monotonic() + seconds
    for group in dataset.map(lambda *_: 0).batch(COUNTED):
        count += int(group.shape[0])
        if time.monotonic() > deadline:
            return 0
    return count


def several_shapes(records: tf.data.Dataset) -> list[list[int]]:
    """Return the shapes of a component of the features, if records have several.

    Args:
        records: A finite dataset of (features, ...) or of bare features. Nothing is
            read where TensorFlow knows all shapes.
    """
    spec = records.element_spec
    parts = tf.nest.flatten(spec[0] if isinstance(spec, tuple) else spec)
    if all(part.shape.is_fully_defined() for part in parts):
        return []

    def shapes(features: object, *_: object) -> tuple:
        dense = tf.nest.flatten(features)
        return tuple(tf.shape(part) for part in dense if isinstance(part, tf.Tensor))

    seen = records.map(shapes).as_numpy_iterator()
    for component in zip(*seen, strict=True):
        different = sorted({tuple(shape.tolist()) for shape in component})
        if len(different) > 1:
            return [*map(list, different)]
    return []


def example_bytes(records: tf.data.Dataset) -> int:
    """Return the bytes of the features of one record, without strings.

    Args:
        records: A finite dataset of (features, ...) or of bare features. One record is
            read, unless TensorFlow knows all shapes.

    Raises:
        tf.errors.OpError: A record cannot be read or decoded.
    """
    spec = records.element_spec
    features = spec[0] if isinstance(spec, tuple) else spec
    parts = tf.nest.flatten(features)
    if not all(part.shape.is_fully_defined() for part in parts):
        record = next(iter(records.take(1)))
        parts = tf.nest.flatten(record[0] if isinstance(spec, tuple) else record)
    dense = [part for part in parts if isinstance(part, (tf.Tensor, tf.TensorSpec))]
    return sum(part.dtype.size * part.shape.num_elements() for part in dense)


def store(dataset: tf.data.Dataset, folder: Path) -> tuple[tf.data.Dataset, int]:
    """Write a dataset to disk; return the dataset that reads it, and its bytes."""
    dataset.save(str(folder))
    # One file, read in order: the default reader would interleave as AUTOTUNE likes.
    stored = tf.data.Dataset.load(
        str(folder), reader_func=lambda files: files.flat_map(lambda file: file)
    )
    return stored, folder_bytes(folder)


def folder_bytes(folder: Path) -> int:
    """Return the size of all files of a folder, in bytes."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
