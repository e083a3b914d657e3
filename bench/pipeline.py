"""This module defines the pipeline: its axes, its strategies, and its steps in order.

Each field of `Pipeline` is an axis. An axis needs one field here and one line where it
takes effect, in `steps` or in `measure/tf_data.py`. `plan/refusals.py` refuses
combinations without a meaning. The command line, the sweeps, the keys and the columns
of the results follow from the field.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields, replace
from typing import Literal

from bench.errors import UsageError, unknown

Calls = int | Literal["autotune"]
WORKER_BUFFER = 1  # batches that a worker process of Grain keeps; Grain's own default


@dataclass(frozen=True, kw_only=True)
class Placement:
    """A placement is the part of a pipeline in which the layers run.

    Attributes:
        where: The place in words, for the description of the axis.
        maps_layers: Whether the timed dataset maps the layers. Only then do `order` and
            `cache=mapped` have a meaning.
        in_model: Whether the layers are part of the model. Then `jit` and `device`
            concern them, and a drain also calls them.
        stores_outputs: Whether the layers run once before timing and the timed dataset
            reads their stored outputs. Then that dataset opens no source file, decodes
            nothing, and cannot serve a raw request.
        server: The part of a served model that applies the layers, `client` or
            `model`; empty where nothing can be served.
        columns: The headings of the report's table of layers, by the name of the
            column.
    """

    where: str
    maps_layers: bool
    in_model: bool
    stores_outputs: bool
    server: str
    columns: Mapping[str, str]


PLACEMENTS = {
    "dataset": Placement(
        where="in tf.data's map",
        maps_layers=True,
        in_model=False,
        stores_outputs=False,
        server="client",
        columns={
            "map_batch": "dataset, map then batch",
            "batch_map": "dataset, batch then map",
            "batch_map_unbatch": "dataset, batch, map, unbatch",
        },
    ),
    "model": Placement(
        where="in the model",
        maps_layers=False,
        in_model=True,
        stores_outputs=False,
        server="model",
        columns={"model": "model", "model_xla": "model with XLA"},
    ),
    "offline": Placement(
        where="once before",
        maps_layers=False,
        in_model=False,
        stores_outputs=True,
        server="",
        columns={"offline": "offline"},
    ),
}
IN_MODEL = tuple(name for name, place in PLACEMENTS.items() if place.in_model)


def _places() -> str:
    *first, last = (placement.where for placement in PLACEMENTS.values())
    return f"where the layers run: {', '.join(first)}, or {last}"


def _axis(default: object, doc: str) -> Field:
    return field(default=default, metadata={"doc": doc})


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """A pipeline is the transformations between stored examples and their consumer.

    The defaults are the pipeline of a beginner. tf.data's own rewrites are off by
    default, so that the graph runs as it was built.
    """

    placement: Literal[*PLACEMENTS] = _axis("dataset", _places())
    host: Literal["tf.data", "grain"] = _axis(
        "tf.data", "what runs the pipeline: tf.data, or Grain, which runs Python"
    )
    worker_count: int = _axis(
        0, "processes of Grain that make batches; 0 makes them in the run's own process"
    )
    device: Literal["auto", "cpu", "gpu"] = _axis(
        "auto", "where the model runs; auto is the GPU where TensorFlow sees one"
    )
    batch_size: int = _axis(32, "examples a batch")
    order: Literal["map_batch", "batch_map", "batch_map_unbatch"] = _axis(
        "map_batch",
        "layers on each example, then batch; batch, then layers; or batch, layers, "
        "unbatch, and batch again after the shuffle",
    )
    map_parallel_calls: Calls = _axis(
        0, "map calls at a time: 0 is the sequential map, n, or autotune"
    )
    cache: Literal["none", "raw", "decoded", "mapped"] = _axis(
        "none",
        "what the first epoch caches: records, decoded or mapped examples",
    )
    cache_storage: Literal["memory", "disk"] = _axis(
        "memory", "where the cache is; files on disk may be in the page cache too"
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
    image_size: int = _axis(
        0, "edge of generated images in pixels; 0 is the entry's own"
    )

    @property
    def in_grain(self) -> bool:
        """Return whether Grain runs the pipeline, and not tf.data."""
        return self.host == "grain"

    @property
    def place(self) -> Placement:
        """Return the row of `PLACEMENTS` for this pipeline's placement."""
        return PLACEMENTS[self.placement]


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
    """Return the words that an axis allows, and whether it allows whole numbers too."""
    hint = _TYPES[name]
    if hint is bool:
        return (True, False), False
    parts = typing.get_args(hint) or (hint,)
    words: list = []
    for part in parts:
        words += typing.get_args(part) or ([] if part is int else [part])
    return tuple(words), int in parts


def parse(name: str, text: object) -> object:
    """Return the value of an axis from its text on the command line or in TOML.

    Raises:
        UsageError: The axis does not exist, or does not take this value.
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
    """Return the pipeline with these values of axes, spelled as users write them."""
    return Pipeline(**{name: parse(name, value) for name, value in settings.items()})


def differences(pipeline: Pipeline) -> dict[str, object]:
    """Return the values of all axes that differ from their defaults, by axis.

    They are in the order of the fields of `Pipeline`.
    """
    return {
        name: getattr(pipeline, name)
        for name, axis in AXES.items()
        if getattr(pipeline, name) != axis.default
    }


@dataclass(frozen=True)
class Step:
    """A step is one transformation of a pipeline.

    Attributes:
        name: `read`, `decode`, `layers`, `decode_and_layers` (one map, as users write
            it, since a second map would hand examples over twice), `cache`, `shuffle`,
            `resample`, `repeat`, `layers_batch` (which `unbatch` takes apart again),
            `unbatch`, `batch`, `workers` (the processes that run all steps before it)
            or `prefetch`.
        setting: The setting of the step, as text for a reader; empty without a setting.
    """

    name: str
    setting: str = ""

    def __str__(self) -> str:
        """Return the step as the report shows it."""
        return f"{self.name} ({self.setting})" if self.setting else self.name


def steps(
    p: Pipeline,
    *,
    decodes: bool = True,
    decodes_batches: bool = False,
    repeat: bool = True,
) -> list[Step]:
    """Return the steps of a pipeline in its host, in the order of the data's flow.

    Args:
        p: The pipeline.
        decodes: Whether records must be decoded.
        decodes_batches: Whether a whole batch of records is decoded at a time. Then
            the layers get batches too.
        repeat: Whether the stream is endless.
    """
    decode = [Step("decode", _parallel(p.map_parallel_calls))] if decodes else []
    layers = [Step("layers", _parallel(p.map_parallel_calls))]
    both = [Step("decode_and_layers", layers[0].setting)] if decodes else layers
    layers = layers if p.place.maps_layers else []
    cache = [Step("cache", p.cache_storage)]
    batch = [Step("batch", str(p.batch_size))]
    endless = [Step("repeat")] if repeat else []
    drawn = [Step("resample", p.resample)] if p.resample != "none" else endless
    if p.shuffle_buffer:
        drawn = [Step("shuffle", str(p.shuffle_buffer)), *drawn]
    grouped = [Step("layers_batch", str(p.batch_size))]
    if decodes and decodes_batches:
        whole = both if layers else decode
        prepared, grouped = [*batch, *whole], [*grouped, *whole]
    else:
        prepared, grouped = [*decode, *batch, *layers], [*decode, *grouped, *layers]
    order = [Step("read", _files(p))]
    if p.cache == "raw":
        order += cache
    if p.cache == "decoded":
        order += [*decode, *cache]
        both, prepared = layers, [*batch, *layers]
        grouped = [step for step in grouped if step not in decode]
    # The repeat follows the cache, since a cache after an endless repeat is never
    # complete. The shuffle follows the cache too, or the cache would store one order.
    if p.place.maps_layers and p.order == "batch_map_unbatch":
        stored = cache if p.cache == "mapped" else []
        order += [*grouped, Step("unbatch"), *stored, *drawn, *batch]
    elif p.cache == "mapped" and p.order == "map_batch":
        order += [*both, *cache, *drawn, *batch]
    elif p.cache == "mapped":
        order += [*prepared, *cache, *endless]
    elif p.place.maps_layers and p.order == "map_batch":
        order += [*drawn, *both, *batch]
    else:
        order += [*drawn, *prepared]
    if p.worker_count:
        order += [Step("workers", str(p.worker_count))]
    return order + ([Step("prefetch", str(p.prefetch))] if p.prefetch else [])


def _parallel(calls: Calls) -> str:
    return f"{calls} at a time" if calls else ""


def _files(p: Pipeline) -> str:
    """Return how many files are open and read at a time, as text.

    The text is empty if files are read one after another.
    """
    if p.interleave_cycle_length == 1 and not p.interleave_parallel_calls:
        return ""
    calls = _parallel(p.interleave_parallel_calls)
    return f"{p.interleave_cycle_length} files open" + (f", {calls}" if calls else "")


def prepares_ahead(p: Pipeline) -> bool:
    """Return whether threads or processes work while no consumer pulls."""
    calls = (p.map_parallel_calls, p.interleave_parallel_calls, p.prefetch)
    return p.rewrites == "default" or any(calls) or p.worker_count > 0


def with_axes(pipeline: Pipeline, settings: Mapping[str, object]) -> Pipeline:
    """Return the pipeline with some axes changed."""
    return replace(pipeline, **settings)
