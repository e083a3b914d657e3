"""This module times an exported model that answers single calls with raw input."""

import gc
import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from bench.data.inputs import CHECKED_EXAMPLES
from bench.errors import UsageError
from bench.measure import export_model, resources, timing
from bench.measure.assembly import Assembly
from bench.measure.clean_interpreter import CleanInterpreter
from bench.measure.export_model import Exported
from bench.measure.layers import apply_layers, supports_jit
from bench.measure.load_export import predictions
from bench.measure.phase_recorder import Stopwatch
from bench.trial import Effort, Measured

CALLS = 2000  # settle a 99th percentile; more would only fill the record
PERCENTILES = (50, 95, 99)
Call = Callable[[object], np.ndarray]


def measure(
    assembly: Assembly, scratch: Path, effort: Effort, clock: Stopwatch
) -> Iterator[Measured]:
    """Train, export, load in a clean process and here, check, then time single calls.

    Args:
        assembly: The trial's workload, past its check.
        scratch: A folder for this run.
        effort: How much to measure.
        clock: Takes the phases' seconds.

    Yields:
        Parts of `Measured`, as soon as they are known; a sample is one call.

    Raises:
        UsageError: A request of a client has a ragged or sparse component.
        AssertionError: The predictions of a loaded model differ from those of the
            training-time pipeline.
        RuntimeError: A clean process cannot load the SavedModel.
    """
    tolerance = export_model.tolerance(assembly)
    with clock.time("check"):
        raw = assembly.raw_batches(CHECKED_EXAMPLES)
        requests = [tf.nest.map_structure(_request, batch) for batch in raw]
        if not assembly.pipeline.place.in_model:
            _demand_dense_output(assembly.reference_output(raw[0]))
    with CleanInterpreter(scratch, assembly.device) as fresh:
        with clock.time("train"):
            model = export_model.train_model(assembly, scratch)
        with clock.time("export"):
            exported = export_model.save(assembly, model, scratch / "export")
        with clock.time("check"):
            sizes = export_model.size_facts(exported)
        yield Measured(facts=sizes)
        with clock.time("check"):
            expected = export_model.training_predictions(assembly, model, len(requests))
            fresh_facts = export_model.clean_process_facts(
                fresh, exported, requests, expected, tolerance
            )
        yield Measured(facts=fresh_facts)
    with clock.time("load"):
        call, client_facts = loaded(assembly, exported)
    yield Measured(facts=client_facts)
    with clock.time("first_batch"):
        call(requests[0])
    with clock.time("check"):
        answers = np.concatenate([call(batch) for batch in requests])
        difference = export_model.demand_same_predictions(
            expected, answers, tolerance, "the loaded model"
        )
        elsewhere = float(fresh_facts.get("export_max_difference", 0.0))
        resources.forget_peak()
    yield Measured(facts={"export_max_difference": max(difference, elsewhere)})
    yield _time_calls(assembly, call, requests, effort, clock)


def loaded(assembly: Assembly, exported: Exported) -> tuple[Call, dict[str, str]]:
    """Load the exported model, with the client's layers in front where it has none.

    Returns:
        A function from a raw batch, a nest of arrays, to predictions; and the fact
        `client_layers`: whether the client's layers are `remade` from their file, or
        had to be `the training code's own`. There is no such fact if the layers are in
        the model.
    """
    model = tf.saved_model.load(exported.folder / "saved_model")
    served = model.serve
    if _jit(assembly, exported):
        served = tf.function(served, jit_compile=True)
    prepare, facts = _identity, {}
    if not exported.in_front:
        prepare, origin = _client(assembly, exported)
        facts = {"client_layers": origin}

    def call(batch: object, model: object = model) -> np.ndarray:  # keeps it alive
        with tf.device("/CPU:0"):
            features = prepare(tf.nest.map_structure(tf.constant, batch))
        with tf.device(assembly.device):
            return predictions(served(features))

    return call, facts


def _time_calls(
    assembly: Assembly,
    call: Call,
    requests: list[object],
    effort: Effort,
    clock: Stopwatch,
) -> Measured:
    """Time single calls, without Python's garbage collection in the steady phase."""
    following = itertools.cycle(requests)
    start = time.perf_counter()
    for batch in itertools.islice(following, 20):
        call(batch)
    enough = CALLS * (time.perf_counter() - start) / 20
    cpu_at_start: list[float] = []

    def between() -> None:
        gc.disable()
        cpu_at_start.append(time.process_time())

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
    cpu = time.process_time() - cpu_at_start[0]
    gc.enable()
    clock.set(ramp=series.ramp_seconds, steady=series.steady_seconds)
    return Measured(
        samples=series.steady,
        ramp_samples=series.ramp,
        batches_per_sample=1,
        cpu_seconds_per_example=cpu
        / (len(series.steady) * assembly.pipeline.batch_size),
        flags=[] if series.settled else ["ramp_cut"],
        facts={
            f"latency_p{percent}_seconds": float(np.percentile(series.steady, percent))
            for percent in PERCENTILES
        },
    )


def _client(
    assembly: Assembly, exported: Exported
) -> tuple[Callable[[object], object], str]:
    """Return a function that applies the client's layers, and their origin.

    The layers are loaded from `client.keras` (`remade`). If there is no such file, or a
    class cannot be loaded, they are those in memory (`the training code's own`).
    """
    own_layers = {
        name: value
        for name, value in vars(assembly.module).items()
        if isinstance(value, type) and issubclass(value, keras.layers.Layer)
    }
    try:
        front = keras.saving.load_model(
            exported.folder / "client.keras", compile=False, custom_objects=own_layers
        )
    except Exception:  # no such file, or a layer that raises any error without its code
        layers = assembly.layers
        apply = tf.function(lambda raw: apply_layers(layers, raw, training=False))
        return apply, "the training code's own"
    return tf.function(lambda raw: front(raw, training=False)), "remade"


def _jit(assembly: Assembly, exported: Exported) -> bool:
    if assembly.pipeline.jit == "auto":  # as in Keras: all or nothing, never on a CPU
        compiles = not exported.in_front or supports_jit(assembly.layers)
        return compiles and "GPU" in assembly.device
    return assembly.pipeline.jit == "on"


def _identity(features: object) -> object:
    return features


def _request(part: tf.Tensor) -> np.ndarray:
    """Return a component of a request as a client has it.

    Raises:
        UsageError: The component is ragged or sparse.
    """
    if not isinstance(part, tf.Tensor):
        raise UsageError(
            f"serve: requests are dense, and a component of the features is a "
            f"{type(part).__name__}. Use --consumer drain or train."
        )
    return part.numpy()


def _demand_dense_output(output: object) -> None:
    """Refuse client's layers whose output no exported model takes.

    Raises:
        UsageError: A component is ragged or sparse.
    """
    for part in tf.nest.flatten(output):
        if not isinstance(part, tf.Tensor):
            raise UsageError(
                "serve: requests are dense, and the layers make a "
                f"{type(part).__name__}. Use placement=model, where the layers are in "
                "the served model, or --consumer drain or train."
            )
