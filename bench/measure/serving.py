"""Serving: an exported model answers single calls, from raw input, one at a time."""

from __future__ import annotations

import gc
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np
import tensorflow as tf

from bench.data.inputs import CHECKED_EXAMPLES
from bench.measure import export_model, resources, timing
from bench.measure.assembly import Assembly
from bench.measure.clean_interpreter import CleanInterpreter
from bench.measure.export_model import Exported
from bench.measure.layers import apply_layers, supports_jit, to_numpy
from bench.trial import Effort

if TYPE_CHECKING:
    from bench.measure.phases import Stopwatch

CALLS = 2000  # settle a 99th percentile; more would only fill the record
PERCENTILES = (50, 95, 99)


def measure(
    work: Assembly, scratch: Path, effort: Effort, clock: Stopwatch, found: dict
) -> None:
    """Train, export, load in a clean process and here, check, then time single calls.

    Args:
        work: The trial's workload, past its gate.
        scratch: A folder for this run.
        effort: How much measuring.
        clock: Seconds by phase.
        found: Fields of `Measured`, to be added to; a sample is one call.

    Raises:
        AssertionError: A loaded model predicts other than the training-time pipeline.
        RuntimeError: A clean process cannot load the SavedModel.
    """
    facts = found["facts"]
    with CleanInterpreter(scratch, work.device) as fresh:
        with clock.time("train"):
            model = export_model.trained(work, scratch)
        with clock.time("export"):
            exported = export_model.save(work, model, scratch / "export")
        with clock.time("check"):
            facts |= export_model.sizes(exported)
            requests = [to_numpy(batch) for batch in work.raw_batches(CHECKED_EXAMPLES)]
            expected = export_model.training_predictions(work, model, len(requests))
            facts |= export_model.fresh_facts(
                fresh, exported, requests, expected, export_model.tolerance(work)
            )
    with clock.time("load"):
        call = loaded(work, exported, facts)
    with clock.time("first_batch"):
        call(requests[0])
    with clock.time("check"):
        answers = np.concatenate([call(batch) for batch in requests])
        here = export_model.demand_same(
            expected, answers, export_model.tolerance(work), "the loaded model"
        )
        facts["export_max_difference"] = max(
            here, float(facts.get("export_max_difference", 0.0))
        )
        resources.forget_peak()
    _time_calls(work, call, requests, effort, clock, found)


def loaded(
    work: Assembly, exported: Exported, facts: dict[str, float | str]
) -> Callable[[np.ndarray], np.ndarray]:
    """What answers one request: raw batch in, predictions out, both NumPy arrays.

    The fact `client_layers` says whether a client's layers are `remade` from their
    file, or had to be `the training code's own`.
    """
    model = tf.saved_model.load(exported.folder / "saved_model")
    served = model.serve
    if _jit(work, exported):
        served = tf.function(served, jit_compile=True)
    prepare = _identity if exported.in_front else _client(work, exported, facts)

    def call(batch: np.ndarray, held: object = model) -> np.ndarray:
        with tf.device("/CPU:0"):
            features = prepare(tf.constant(batch))
        with tf.device(work.device):
            return served(features).numpy()

    return call


def _time_calls(
    work: Assembly,
    call: Callable[[np.ndarray], np.ndarray],
    requests: list[np.ndarray],
    effort: Effort,
    clock: Stopwatch,
    found: dict,
) -> None:
    following = itertools.cycle(requests)
    start = time.perf_counter()
    for batch in itertools.islice(following, 20):
        call(batch)
    enough = CALLS * (time.perf_counter() - start) / 20
    mark = {}

    def between() -> None:
        gc.disable()
        mark["cpu"] = time.process_time()

    series = timing.measure(
        lambda: call(next(following)),
        1,
        time.perf_counter,
        timing.Extent(
            warmup_seconds=effort.warmup_seconds,
            steady_seconds=min(effort.steady_seconds, enough),
        ),
        between,
    )
    examples = len(series.steady) * work.pipeline.batch_size
    found["cpu_seconds_per_example"] = (time.process_time() - mark["cpu"]) / examples
    gc.enable()
    if not series.settled:
        found["flags"].append("ramp_cut")
    clock.seconds |= {"ramp": series.ramp_seconds, "steady": series.steady_seconds}
    found |= {
        "samples": series.steady,
        "ramp_samples": series.ramp,
        "batches_per_sample": 1,
    }
    for percent in PERCENTILES:
        latency = float(np.percentile(series.steady, percent))
        found["facts"][f"latency_p{percent}_seconds"] = latency


def _client(
    work: Assembly, exported: Exported, facts: dict[str, float | str]
) -> Callable[[tf.Tensor], tf.Tensor]:
    """The client's layers in a graph, re-made if their class says how it is made."""
    known = {
        name: made
        for name, made in vars(work.module).items()
        if isinstance(made, type) and issubclass(made, keras.layers.Layer)
    }
    try:
        front = keras.saving.load_model(
            exported.folder / "client.keras", compile=False, custom_objects=known
        )
    except (TypeError, ValueError):  # no such file, or no `get_config` to make it from
        facts["client_layers"] = "the training code's own"
        layers = work.layers
        return tf.function(lambda raw: apply_layers(layers, raw, training=False))
    facts["client_layers"] = "remade"
    return tf.function(lambda raw: front(raw, training=False))


def _jit(work: Assembly, exported: Exported) -> bool:
    if work.pipeline.jit == "auto":  # as Keras does: all or nothing, never on CPU
        compiles = not exported.in_front or supports_jit(work.layers)
        return compiles and "GPU" in work.device
    return work.pipeline.jit == "on"


def _identity(features: tf.Tensor) -> tf.Tensor:
    return features
