"""This module refuses meaningless combinations of axes, each with its reason."""

from bench.catalog import Entry
from bench.machine import PROCESSORS
from bench.pipeline import Pipeline, differences
from bench.plan import hosts
from bench.trial import CONSUMER_ROWS

# The axes of an inference call; every other axis belongs to a dataset.
SERVED = (
    "placement", "device", "batch_size", "cpus", "jit", "op_determinism", "image_size"
)  # fmt: skip

# The axes that a step on one batch in memory depends on; others prepare batches.
HELD = SERVED


def refusal(p: Pipeline, consumer: str, unit: str, entry: Entry) -> str | None:
    """Return why a combination of settings has no meaning; None if it has one.

    Args:
        p: The pipeline.
        consumer: The name of the consumer, such as `train`.
        unit: The extent of a sample, `window` or `epoch`.
        entry: The workload or layer.
    """
    changed = differences(p)
    in_model = p.placement == "model"
    has_model = in_model or consumer != "drain"
    interleaves = any(name.startswith("interleave") for name in changed)
    maps = not in_model and p.placement != "offline"
    not_served = [name for name in changed if name not in SERVED]
    not_held = [name for name in changed if name not in HELD]
    reasons = {
        f"'{entry.name}' has no model to train: use --consumer drain": (
            consumer != "drain" and not entry.trains
        ),
        "jit needs a model: --consumer train, or placement=model": (
            p.jit != "off" and not has_model
        ),
        "device needs a model: --consumer train, or placement=model": (
            p.device != "auto" and not has_model
        ),
        f"order: with placement={p.placement} nothing is mapped in the dataset": (
            p.order != "map_batch" and not maps
        ),
        f"cache=mapped: with placement={p.placement} nothing is mapped here": (
            p.cache == "mapped" and not maps
        ),
        f"map_parallel_calls: with placement={p.placement} nothing is mapped": (
            p.map_parallel_calls != 0 and not (maps or (entry.decodes and in_model))
        ),
        f"placement=model: '{entry.name}' has ON = \"example\", and a model cannot "
        "change its labels: use placement=dataset or offline": (
            entry.takes_labels and in_model
        ),
        f"serve: '{entry.name}' has ON = \"example\", and requests have no labels: use "
        "--consumer drain or train": entry.takes_labels and consumer == "serve",
        f"order=map_batch: decode() of '{entry.name}' gets whole batches (DECODE = "
        '"batch"), and so do its layers: use order=batch_map or batch_map_unbatch': (
            entry.decodes_batches
            and maps
            and p.order == "map_batch"
            and CONSUMER_ROWS[consumer].pulls == "stream"
        ),
        f"cache=decoded: decode() of '{entry.name}' gets whole batches (DECODE = "
        '"batch"): use cache=raw, or cache=mapped with order=batch_map_unbatch': (
            entry.decodes_batches and p.cache == "decoded"
        ),
        f"resample: the labels of '{entry.name}' are known only after decode(), which "
        'gets whole batches (DECODE = "batch"): leave resample out': (
            entry.decodes_batches and p.resample != "none"
        ),
        "slack needs a prefetch, which it delays": p.slack and p.prefetch == 0,
        f"cache=decoded: '{entry.name}' decodes nothing: use raw or mapped": (
            p.cache == "decoded" and (not entry.decodes or p.placement == "offline")
        ),
        "cache_storage needs a cache: add cache=raw, decoded or mapped": (
            p.cache_storage != "memory" and p.cache == "none"
        ),
        f"interleave needs files, and '{entry.name}' is made of arrays": (
            interleaves and not entry.reads_files
        ),
        "interleave: with placement=offline the files are read once, before timing": (
            interleaves and p.placement == "offline"
        ),
        "interleave_block_length needs interleave_cycle_length above 1": (
            p.interleave_block_length > 1 and p.interleave_cycle_length == 1
        ),
        f"interleave_parallel_calls={p.interleave_parallel_calls} is more than "
        f"interleave_cycle_length={p.interleave_cycle_length} files open": (
            isinstance(p.interleave_parallel_calls, int)
            and p.interleave_parallel_calls > p.interleave_cycle_length
        ),
        f"storage and read_latency_ms need files, and '{entry.name}' has arrays": (
            (p.storage != "warm" or p.read_latency_ms > 0)
            and (not entry.reads_files or p.placement == "offline")
        ),
        "storage=cold needs unit=epoch: the pages are dropped before each epoch": (
            p.storage == "cold" and unit != "epoch"
        ),
        "resample streams have no epochs: use unit=window": (
            p.resample != "none" and unit == "epoch"
        ),
        "deterministic=false needs a parallel step, whose order it frees": (
            not p.deterministic
            and p.map_parallel_calls == 0
            and p.interleave_parallel_calls == 0
        ),
        f"resample needs two classes, and '{entry.name}' has no BINARY_LABELS": (
            p.resample != "none" and not entry.constants.get("BINARY_LABELS")
        ),
        "resample: with cache=mapped the resampled stream would be frozen": (
            p.resample != "none" and p.cache == "mapped"
        ),
        "shuffle_buffer: with order=batch_map and cache=mapped the cache holds whole "
        "batches; use order=map_batch or batch_map_unbatch": (
            p.shuffle_buffer > 0 and p.cache == "mapped" and p.order == "batch_map"
        ),
        f"cpus={p.cpus} is more than the {len(PROCESSORS)} processors that can be used "
        "here": p.cpus > len(PROCESSORS),
        f"image_size: the examples of '{entry.name}' come in one size": (
            p.image_size > 0 and not entry.sized
        ),
        "serve: a request comes raw, so its layers cannot have run before: use "
        "placement=dataset (in the client) or placement=model": (
            consumer == "serve" and p.placement == "offline"
        ),
        f"serve: requests come from clients, not from a dataset: leave out "
        f"{', '.join(not_served)}": consumer == "serve" and bool(not_served),
        "serve has no epochs: use unit=window": (
            consumer == "serve" and unit == "epoch"
        ),
        f"model: its one batch is held in memory, whatever prepared it; leave out "
        f"{', '.join(not_held)}": consumer == "model" and bool(not_held),
        "model: its one batch is the same from any dataset: use placement=dataset": (
            consumer == "model" and p.placement == "offline"
        ),
        "model has no epochs: its one batch repeats: use unit=window": (
            consumer == "model" and unit == "epoch"
        ),
    }
    first = next((reason for reason, refused in reasons.items() if refused), None)
    return first or hosts.refusal(p, entry)


def mixing_refusal(p: Pipeline, layer: str) -> str:
    """Return why a layer that mixes examples has no other example to mix with.

    Args:
        p: The pipeline.
        layer: The class of the layer, such as `MixUp`; empty if no layer mixes.

    Returns:
        A sentence without a full stop; empty if the layer gets several examples.
    """
    alone = f"{layer} cannot mix a single example: it needs a batch"
    if layer and p.batch_size == 1:
        return f"batch_size=1: {alone}; use a larger batch_size"
    if layer and p.order == "map_batch" and p.place.maps_layers:
        return f"order=map_batch: {alone}; use order=batch_map"
    return ""
