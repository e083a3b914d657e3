"""The pipeline: every field an axis, and the one function that builds it in tf.data.

To add an axis: one field here, one line in `build`, and, if some combinations mean
nothing, one line in refusal.py. The command line, the sweeps, the keys and the columns
of the results follow from the field.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from typing import Literal

from bench.errors import UsageError, unknown

Calls = int | Literal["autotune"]
PREPARED = 16  # batches; more than AUTOTUNE was seen to buffer for a drain


def _axis(default: object, doc: str) -> Field:
    return field(default=default, metadata={"doc": doc})


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """The transformations between stored examples and their consumer, and settings.

    The defaults are the pipeline as a beginner writes it, with tf.data's own rewrites
    off, so that the graph that runs is the graph that was asked for.
    """

    placement: Literal["dataset", "model", "offline"] = _axis(
        "dataset",
        "where the layers run: in tf.data's map, in the model, or once before",
    )
    device: Literal["auto", "cpu", "gpu"] = _axis(
        "auto", "where the model runs; auto is the GPU where TensorFlow sees one"
    )
    batch_size: int = _axis(32, "examples a batch")
    order: Literal["map_batch", "batch_map"] = _axis(
        "map_batch", "layers on each example, then batch; or batch, then layers"
    )
    map_parallel_calls: Calls = _axis(
        0, "map calls at a time: 0 is the sequential map, n, or autotune"
    )
    cache: Literal["none", "raw", "decoded", "mapped"] = _axis(
        "none",
        "what is kept after the first epoch: records, decoded or mapped examples",
    )
    cache_storage: Literal["memory", "disk"] = _axis(
        "memory", "where the cache is kept; a disk's files may be in the page cache too"
    )
    shuffle_buffer: int = _axis(0, "examples in the shuffle buffer; 0 keeps the order")
    resample: Literal["none", "filter", "rejection", "rejection_known", "split"] = (
        _axis("none", "how two classes are brought to equal shares")
    )
    prefetch: Calls = _axis(0, "batches prepared ahead: 0, n, or autotune")
    interleave_cycle_length: int = _axis(1, "files open at a time")
    interleave_block_length: int = _axis(1, "records taken from a file at a time")
    interleave_parallel_calls: Calls = _axis(
        0, "files read at a time: 0 is the sequential interleave, n, or autotune"
    )
    storage: Literal["warm", "cold"] = _axis(
        "warm",
        "files, a disk cache's too, in the page cache, or dropped before every epoch",
    )
    read_latency_ms: int = _axis(
        0, "latency added to each file's opening; milliseconds"
    )
    deterministic: bool = _axis(True, "whether parallel steps keep the order")
    rewrites: Literal["off", "default"] = _axis("off", "tf.data's own graph rewrites")
    threadpool_size: int = _axis(0, "threads of the pipeline's own; 0 shares the pool")
    cpus: int = _axis(0, "processors that the process may use; 0 is all")
    slack: bool = _axis(False, "whether the last prefetch waits to spare the model")
    jit: Literal["off", "on", "auto"] = _axis("off", "XLA for the model")
    op_determinism: bool = _axis(False, "tf.config.experimental.enable_op_determinism")
    image_size: int = _axis(0, "edge of made images in pixels; 0 is the entry's own")


AXES: dict[str, Field] = {axis.name: axis for axis in fields(Pipeline)}
_TYPES = typing.get_type_hints(Pipeline)

STRATEGIES: dict[str, dict[str, object]] = {
    "naive": {},
    "vectorized": {"order": "batch_map"},
    "parallel": {"map_parallel_calls": 2},
    "prefetched": {"prefetch": 2},
    "cached_raw": {"cache": "raw"},
    "cached_mapped": {"cache": "mapped"},
    "autotuned": {
        "order": "batch_map",
        "map_parallel_calls": "autotune",
        "prefetch": "autotune",
    },
    "in_model": {"placement": "model", "prefetch": 2},
    "offline": {"placement": "offline", "prefetch": 2},
}


def allowed(name: str) -> tuple[tuple, bool]:
    """An axis's words, and whether it takes numbers (whole, not negative) as well."""
    hint = _TYPES[name]
    if hint is bool:
        return (True, False), False
    parts = typing.get_args(hint) or (hint,)
    words: list = []
    for part in parts:
        words += typing.get_args(part) or ([] if part is int else [part])
    return tuple(words), int in parts


def parse(name: str, text: object) -> object:
    """The value of an axis from its spelling on the command line or in TOML.

    Raises:
        UsageError: No such axis, or a value that it does not take.
    """
    if name not in AXES:
        raise unknown("axis", name, AXES)
    words, numbers = allowed(name)
    spelled = str(text).strip().lower()
    if numbers:
        spelled = "0" if spelled == "none" else spelled
        if spelled.isdecimal() and (int(spelled) > 0 or AXES[name].default == 0):
            return int(spelled)
    for word in words:
        if spelled == str(word).lower():
            return word
    lowest = 0 if AXES[name].default == 0 else 1
    choices = [repr(w) if isinstance(w, str) else str(w).lower() for w in words]
    choices += [f"a whole number from {lowest}"] if numbers else []
    listed = " or ".join([", ".join(choices[:-1]), choices[-1]][not choices[:-1] :])
    raise UsageError(f"{name} must be {listed}, got '{text}'.")


def pipeline(settings: Mapping[str, object]) -> Pipeline:
    """A pipeline from axis values as users spell them."""
    return Pipeline(**{name: parse(name, value) for name, value in settings.items()})


def differences(pipeline: Pipeline) -> dict[str, object]:
    """The fields that differ from the defaults, in the order of the fields."""
    return {
        name: getattr(pipeline, name)
        for name, axis in AXES.items()
        if getattr(pipeline, name) != axis.default
    }


def build(
    p: Pipeline,
    source: object,
    decode: Callable,
    layers: Callable,
    *,
    decodes: bool = True,
    cache_path: str = "",
    seed: int = 0,
    repeat: bool = True,
    drop_remainder: bool = True,
    resample: Callable | None = None,
) -> object:
    """The tf.data pipeline, read top to bottom.

    Args:
        p: The pipeline.
        source: A dataset of raw records, already interleaved over its files.
        decode: Record to (features, label), one example at a time.
        layers: Features to preprocessed features; the identity in the model.
        decodes: Whether `decode` does anything.
        cache_path: The file prefix of a disk cache; empty for memory.
        seed: The seed of the shuffle.
        repeat: Endless for a steady state; once for an epoch.
        drop_remainder: A remainder would retrace a model and bend a batch's time.
        resample: Finite dataset to an endless one of equal class shares.

    Returns:
        A `tf.data.Dataset` of (features, label) batches.
    """
    import tensorflow as tf

    from bench.measure.layers import as_written

    calls = _calls(p.map_parallel_calls)
    cache = lambda dataset: dataset.cache(cache_path)  # noqa: E731

    @as_written
    def preprocessed(decoded: object) -> tuple:
        features, *label = _as_tuple(decoded)
        return layers(features), *label

    def decoded(dataset: tf.data.Dataset) -> tf.data.Dataset:
        if not decodes:
            return dataset
        return dataset.map(
            lambda *record: _as_tuple(decode(*record)), num_parallel_calls=calls
        )

    def endless(dataset: tf.data.Dataset) -> tf.data.Dataset:
        if p.shuffle_buffer:
            dataset = dataset.shuffle(p.shuffle_buffer, seed=seed)
        if resample:
            return resample(dataset)
        return dataset.repeat() if repeat else dataset

    def mapped(dataset: tf.data.Dataset) -> tf.data.Dataset:
        return dataset.map(
            as_written(lambda *decoded: preprocessed(decoded)), num_parallel_calls=calls
        )

    def both(dataset: tf.data.Dataset) -> tf.data.Dataset:
        # One map, as users write it: a second one would be a second hand-over.
        return dataset.map(
            lambda *record: preprocessed(decode(*record)), num_parallel_calls=calls
        )

    def batched(dataset: tf.data.Dataset) -> tf.data.Dataset:
        return dataset.batch(p.batch_size, drop_remainder=drop_remainder)

    dataset = cache(source) if p.cache == "raw" else source
    maps = p.placement == "dataset"
    if p.cache == "decoded":
        dataset, decodes = cache(decoded(dataset)), False
    if p.cache == "mapped":
        # Behind an endless repeat a cache is never complete and never serves, so here
        # the repeat comes after it; shuffling comes after too, or it would be frozen.
        if p.order == "map_batch":
            dataset = batched(endless(cache((both if decodes else mapped)(dataset))))
        else:
            dataset = cache(mapped(batched(decoded(dataset))))
            dataset = dataset.repeat() if repeat else dataset
    elif maps and p.order == "map_batch":
        dataset = batched((both if decodes else mapped)(endless(dataset)))
    else:
        dataset = batched(decoded(endless(dataset)))
        dataset = mapped(dataset) if maps else dataset
    if p.prefetch:
        dataset = dataset.prefetch(_calls(p.prefetch))
    return dataset.with_options(options(p))


def _as_tuple(decoded: object) -> tuple:
    """What `decode` returned: a record without a label may be its features alone."""
    return decoded if isinstance(decoded, tuple) else (decoded,)


def options(p: Pipeline) -> object:
    """The `tf.data.Options` of a pipeline; nothing is left to a default that moves."""
    import tensorflow as tf

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


def interleave(p: Pipeline, files: object, read: Callable) -> object:
    """Records of many files: `read(path, label)` gives one file's dataset."""
    calls = _calls(p.interleave_parallel_calls)
    return files.interleave(
        read,
        cycle_length=p.interleave_cycle_length,
        block_length=p.interleave_block_length,
        num_parallel_calls=calls,
        deterministic=p.deterministic if calls else None,  # else TensorFlow warns
    )


def prepared(p: Pipeline) -> int:
    """Batches that the pipeline may have ready, or goes on preparing, when idle.

    Nothing without a thread of its own: then a turn need not be flushed. What AUTOTUNE
    buffers for a drain was seen to be fewer than 16 batches.
    """
    calls = (p.map_parallel_calls, p.interleave_parallel_calls, p.prefetch)
    if p.rewrites == "default" or "autotune" in calls:
        return PREPARED
    in_maps = p.map_parallel_calls
    if p.order == "map_batch" or p.placement != "dataset":
        in_maps = -(-in_maps // p.batch_size)
    return p.prefetch + in_maps + (1 if p.interleave_parallel_calls else 0)


def with_axes(pipeline: Pipeline, settings: Mapping[str, object]) -> Pipeline:
    """The pipeline with some axes set."""
    return replace(pipeline, **settings)


def _calls(value: Calls) -> int | None:
    import tensorflow as tf

    return tf.data.AUTOTUNE if value == "autotune" else value or None
