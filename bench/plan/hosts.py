"""This module refuses pipelines that a host cannot run, each with its reason."""

import functools
import importlib.util
import sys

from bench.catalog import Entry
from bench.pipeline import Pipeline, differences

# The axes that mean the same in Grain as in tf.data.
SHARED = (
    "placement", "device", "batch_size", "order", "map_parallel_calls",
    "shuffle_buffer", "prefetch", "cpus", "jit", "op_determinism", "image_size",
)  # fmt: skip
OF_GRAIN = ("host", "worker_count")


def refusal(p: Pipeline, entry: Entry) -> str | None:
    """Return why the host cannot run a pipeline; None if it can.

    Args:
        p: The pipeline, which has a meaning in tf.data.
        entry: The workload or layer.
    """
    if not p.in_grain:
        if p.worker_count:
            return "worker_count: tf.data has no worker processes: use host=grain"
        return None
    of_tf_data = [name for name in differences(p) if name not in (*SHARED, *OF_GRAIN)]
    calls = (p.map_parallel_calls, p.prefetch)
    reasons = {
        f"host=grain: placement={p.placement} would leave no layers to Grain: use "
        "placement=dataset, or host=tf.data": not p.place.maps_layers,
        f"host=grain: Grain has no counterpart of {', '.join(of_tf_data)}: leave out, "
        "or use host=tf.data": bool(of_tf_data),
        "host=grain: Grain has no unbatch: use order=map_batch or batch_map": (
            p.order == "batch_map_unbatch"
        ),
        "host=grain: Grain chooses no number of threads or batches by itself: use "
        "numbers in place of autotune": "autotune" in calls,
        f"host=grain: read(), decode() and source() of '{entry.name}' are for tf.data: "
        "use host=tf.data, or examples() in memory": (
            entry.reads_files or entry.decodes or entry.has_source
        ),
        "worker_count: processes whose threads map examples would each make batches of "
        "their own examples only: use order=batch_map, or map_parallel_calls=0": (
            p.worker_count > 0 and p.map_parallel_calls != 0 and p.order == "map_batch"
        ),
        f"host=grain needs Grain: {sys.executable} -m pip install grain": (
            not has_grain()
        ),
    }
    return next((reason for reason, refused in reasons.items() if refused), None)


@functools.cache
def has_grain() -> bool:
    """Return whether Grain is installed."""
    return importlib.util.find_spec("grain") is not None
