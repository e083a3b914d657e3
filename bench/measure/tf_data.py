"""This module builds a pipeline in tf.data, step by step as `pipeline.steps` lists."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from bench.measure.layers import as_written
from bench.pipeline import Calls, Pipeline, steps


def build(
    p: Pipeline,
    source: tf.data.Dataset,
    decode: Callable,
    layers: Callable,
    *,
    decodes: bool = True,
    decodes_batches: bool = False,
    cache_path: str = "",
    seed: int = 0,
    repeat: bool = True,
    drop_remainder: bool = True,
    ragged: Callable[[], bool] = bool,
    resample: Callable | None = None,
) -> tf.data.Dataset:
    """Build the dataset of a pipeline in one loop over its steps.

    Args:
        p: The pipeline.
        source: A dataset of raw records, already interleaved over its files.
        decode: Function from a record to (features[, labels[, weights]]).
        layers: Function from a decoded record to a preprocessed record; the identity
            where the dataset does not map the layers.
        decodes: Whether `decode` does anything.
        decodes_batches: Whether `decode` gets a whole batch of records at a time.
        cache_path: The file prefix of a disk cache; empty for memory.
        seed: The seed of the shuffle.
        repeat: Whether the dataset is endless, as for a steady state, or one epoch.
        drop_remainder: Whether to drop an incomplete last batch, which would retrace a
            model and distort the time of a batch.
        ragged: Whether tensors of unknown shape become ragged batches; called only
            where there are such tensors, after the maps before them are traced.
        resample: Function from a finite dataset to an endless one with equal class
            shares.

    Returns:
        A dataset of batches, (features[, labels[, weights]]).
    """

    @as_written
    def preprocessed(decoded: object) -> tuple:
        return layers(_as_tuple(decoded))

    @as_written
    def of_decoded(*decoded: object) -> tuple:
        return preprocessed(decoded)

    def mapped(function: Callable) -> Callable:
        calls = _calls(p.map_parallel_calls)
        return lambda dataset: dataset.map(function, num_parallel_calls=calls)

    def batched(dataset: tf.data.Dataset, drop: bool = drop_remainder) -> object:
        specs = tf.nest.flatten(dataset.element_spec)
        dense = [spec.shape for spec in specs if isinstance(spec, tf.TensorSpec)]
        defined = all(shape.is_fully_defined() for shape in dense)
        batch = dataset.batch if defined or not ragged() else dataset.ragged_batch
        return batch(p.batch_size, drop_remainder=drop)

    apply = {
        "read": lambda dataset: dataset,
        "decode": mapped(lambda *record: _as_tuple(decode(*record))),
        "layers": mapped(of_decoded),
        "decode_and_layers": mapped(lambda *record: preprocessed(decode(*record))),
        "cache": lambda dataset: dataset.cache(cache_path),
        "shuffle": lambda dataset: dataset.shuffle(p.shuffle_buffer, seed=seed),
        "resample": resample,
        "repeat": lambda dataset: dataset.repeat(),
        "layers_batch": lambda dataset: batched(dataset, drop=False),
        "unbatch": lambda dataset: dataset.unbatch(),
        "batch": batched,
        "prefetch": lambda dataset: dataset.prefetch(_calls(p.prefetch)),
    }
    dataset = source
    listed = steps(p, decodes=decodes, decodes_batches=decodes_batches, repeat=repeat)
    for step in listed:
        dataset = apply[step.name](dataset)
    return dataset.with_options(options(p))


def options(p: Pipeline) -> tf.data.Options:
    """Return the `tf.data.Options` of a pipeline, with no setting left to a default."""
    options = tf.data.Options()
    options.deterministic = p.deterministic
    options.experimental_optimization.apply_default_optimizations = (
        p.rewrites == "default"
    )
    options.experimental_slack = p.slack
    options.experimental_warm_start = False
    if p.threadpool_size:
        options.threading.private_threadpool_size = p.threadpool_size
    return options


def interleave(p: Pipeline, files: tf.data.Dataset, read: Callable) -> tf.data.Dataset:
    """Interleave the records of many files.

    Args:
        p: The pipeline.
        files: A dataset of (path, label).
        read: Function from (path, label) to the dataset of one file.
    """
    calls = _calls(p.interleave_parallel_calls)
    return files.interleave(
        read,
        cycle_length=p.interleave_cycle_length,
        block_length=p.interleave_block_length,
        num_parallel_calls=calls,
        deterministic=p.deterministic if calls else None,  # else TensorFlow warns
    )


def _as_tuple(decoded: object) -> tuple:
    """Return a decoded record as a tuple; without a label it may be bare features."""
    return decoded if isinstance(decoded, tuple) else (decoded,)


def _calls(value: Calls) -> int | None:
    return tf.data.AUTOTUNE if value == "autotune" else value or None
