"""A measurement is the work of one run, stage by stage, from TensorFlow's start on.

Each stage yields records `Measured`. In each record it sets only the fields that it has
measured.
"""

import gc
import importlib
import statistics
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from types import ModuleType

import keras
import tensorflow as tf

from bench import catalog, machine
from bench.data import inputs
from bench.errors import UsageError
from bench.measure import (
    activity,
    adapted_state,
    capacity,
    check,
    resampling,
    resources,
    serving,
    trace,
    user_records,
)
from bench.measure import layer_facts as trial_facts
from bench.measure.assembly import Assembly, build_result
from bench.measure.consumers import Consumer, step_facts
from bench.measure.graph import cache_facts, cached_dataset, executed_graph
from bench.measure.layers import demand_labels_mixed, mixing_layer, supports_jit
from bench.measure.phase_recorder import PhaseRecorder
from bench.measure.phases import time_epochs, time_windows
from bench.measure.take_turns import take_epoch_turns, take_turns
from bench.pipeline import Pipeline, steps
from bench.plan.refusals import mixing_refusal
from bench.run.protocol import Request
from bench.trial import CONSUMER_ROWS, Measured

CONSUMERS_IN_USE: list[Consumer] = []  # the end of the process frees them all at once


@dataclass(frozen=True)
class Job:
    """A job is one request to measure.

    Attributes:
        request: The request.
        clock: Takes the phases' seconds.
        scratch: A folder for this run.
    """

    request: Request
    clock: PhaseRecorder
    scratch: Path

    @property
    def seeks_facts(self) -> bool:
        """Whether to determine slow facts, which all runs of a trial share."""
        return self.request.effort.facts and not self.request.channel


def parts(job: Job) -> Iterator[Measured]:
    """Yield the parts of a run's measurements, each as soon as it is known.

    A run that fails keeps the parts that came before.
    """
    trial = job.request.trial
    assembly = yield from _build(job)
    if CONSUMER_ROWS[trial.consumer].pulls == "requests":
        yield from _check(job, assembly, None)
        yield from serving.measure(assembly, job.scratch, job.request.effort, job.clock)
        yield Measured(peak_resident_bytes=resources.peak_resident_bytes())
        return
    with job.clock.time("build"):
        dataset = assembly.dataset(job.scratch, repeat=trial.unit == "window")
    if assembly.pipeline.cache != "none":
        with job.clock.time("check"):
            _demand_cache_fits(assembly, dataset, job.scratch)
    yield from _check(job, assembly, dataset)
    consumer = _trace(job, assembly, dataset)
    timed = yield from _time(job, assembly, dataset, consumer)
    if not job.request.channel:  # nobody reads the graph of a process that took turns
        yield from _inspect(job, assembly, dataset, consumer, timed)


def _build(job: Job) -> Generator[Measured, None, Assembly]:
    """Start TensorFlow, make the inputs, and build and adapt the layers."""
    request, clock = job.request, job.clock
    trial, p = request.trial, request.trial.pipeline
    with clock.time("tensorflow"):
        device = _start_tensorflow(p, request.seed)
    yield Measured(device=device)
    with clock.time("inputs"):
        entry = catalog.find(trial.workload)
        import_ahead(entry)
        module = catalog.load(entry)
        data = inputs.prepare(entry, module, p, trial.data)
        entry, module = user_records.streamed(entry, module, data.stream)
    stream = CONSUMER_ROWS[trial.consumer].pulls == "stream"
    if entry.decodes_batches and p.place.maps_layers and not stream:
        p = replace(p, order="batch_map")  # what is held or sent is a batch
    yield Measured(input_fingerprint=data.fingerprint, input_parts=data.parts)
    keep = None  # a guard that judges adapting needs it in each process
    if not request.effort.phases:
        keep = adapted_state.folder(entry, data, trial.data, request.seed)
    if (policy := keras.config.dtype_policy().name) != "float32":
        yield Measured(facts={"dtype_policy": policy})  # the user's file has set it
    if p.in_grain:
        yield Measured(facts={"grain_version": metadata.version("grain")})
    layers, shared = built_layers(clock, entry, module, data, keep)
    if shared:
        yield Measured(facts={"adapted": "once a round"})
    # The seed is the same in every run, so that costs stand at the same place in all.
    assembly = Assembly(p, entry, module, data, layers, inputs.SEED, device)
    with clock.time("check"):
        assembly.demand_two_classes()
        assembly.demand_one_size(trial.consumer)
        if reason := mixing_refusal(p, mixing_layer(layers)):
            raise UsageError(f"{reason}.")
    if p.placement == "offline":
        facts: dict[str, float | str] = {}
        with clock.time("offline"):
            assembly.store(job.scratch, facts)
        yield Measured(facts=facts)
    return assembly


def built_layers(
    clock: PhaseRecorder,
    entry: catalog.Entry,
    module: ModuleType,
    data: inputs.Inputs,
    keep: Path | None = None,
) -> tuple[list[keras.Layer], bool]:
    """Call `build` with the raw features, and return its layers.

    Args:
        clock: Takes the seconds. Where another process has adapted the layers, `adapt`
            has the seconds of that process.
        entry: The workload or layer.
        module: Its imported file.
        data: Its inputs.
        keep: The folder for what `adapt` learns; None to adapt in any case.

    Returns:
        The layers, and whether another process has adapted them.
    """
    kept = adapted_state.load(keep) if keep else None
    phase = "inputs" if kept else "adapt"
    with adapted_state.adapting(kept) as adapted, clock.time(phase):
        built = build_result(entry, module, data)
    if kept:
        clock.seconds["adapt"], clock.work["adapt"] = kept.seconds, kept.work
    elif keep and adapted and clock.seconds["adapt"] >= adapted_state.LEAST_SECONDS:
        with clock.time("inputs"):
            times = clock.seconds["adapt"], clock.work["adapt"]
            adapted_state.save(keep, adapted, *times)
    layers = clock.built(built, with_labels=entry.takes_labels)
    if data.labels is not None:
        demand_labels_mixed(layers, data.features)
    return layers, kept is not None


def _demand_cache_fits(
    assembly: Assembly, dataset: tf.data.Dataset, scratch: Path
) -> None:
    """Refuse a cache that is larger than the memory or the disk.

    Raises:
        UsageError: The bytes that it needs, and those that are available.
    """
    p, entry = assembly.pipeline, assembly.entry
    (kept,) = cached_dataset(dataset)._inputs()
    listed = steps(p, decodes=entry.decodes, decodes_batches=entry.decodes_batches)
    names = [step.name for step in listed]
    batched = "batch" in names[: names.index("cache")]
    elements = assembly.inputs.count / (p.batch_size if batched else 1)
    folder = scratch if p.cache_storage == "disk" else None
    capacity.demand_room(kept, elements, f"cache={p.cache}", folder)


def _check(
    job: Job, assembly: Assembly, dataset: tf.data.Dataset | None
) -> Iterator[Measured]:
    """Check the first batches before any clock starts, and determine their facts."""
    trial, entry, p = job.request.trial, assembly.entry, assembly.pipeline
    facts: dict[str, float | str] = {}
    if job.request.effort.check or not job.request.channel:
        with job.clock.time("check"):
            _demand_compiled(assembly)
            with check.naming_shapes("The outputs"):
                pairs = assembly.raw_and_outputs(
                    dataset if trial.unit == "window" else None
                )
            fingerprint = check.check(
                entry,
                assembly.module,
                p,
                pairs,
                assembly.reference_output,
                assembly.reread_raw_batches,
            )
        yield Measured(output_fingerprint=fingerprint)
        if job.seeks_facts:
            with job.clock.time("check"):
                folder = Path(job.request.result).parent
                facts = trial_facts.facts(assembly, trial.consumer, pairs, folder)
    flags = trial_facts.flags(facts)
    if not entry.deterministic and (p.placement == "offline" or p.cache == "mapped"):
        flags.append("frozen_random")
    yield Measured(facts=facts, flags=flags)


def _trace(job: Job, assembly: Assembly, dataset: tf.data.Dataset) -> Consumer:
    """Make and trace the consumer; the peak and garbage collection begin after it."""
    with job.clock.time("trace"):
        consumer = assembly.consumer(dataset, job.request.trial.consumer)
        CONSUMERS_IN_USE.append(consumer)
        if job.request.channel:
            consumer.prebuild()
        consumer.trace()
    with job.clock.time("check"):
        resources.forget_peak()
        _collect_garbage(assembly.pipeline.in_grain or activity.runs_python(dataset))
    return consumer


def _time(
    job: Job, assembly: Assembly, dataset: tf.data.Dataset, consumer: Consumer
) -> Generator[Measured, None, Measured]:
    """Time windows, epochs or turns, read the peak of memory, and return the times."""
    request, clock, p = job.request, job.clock, assembly.pipeline
    effort, row = request.effort, CONSUMER_ROWS[request.trial.consumer]
    held = row.pulls == "held"
    if held and job.seeks_facts:
        with clock.time("check"):
            batch = next(iter(dataset))
            facts = step_facts(batch, assembly.device, assembly.optimizer())
        yield Measured(facts=facts)
    compiles = bool(tf.config.list_physical_devices("GPU"))  # else Keras never does
    auto = p.placement == "model" and p.jit == "auto"
    if auto and compiles and not supports_jit(assembly.layers):
        yield Measured(flags=["xla_off"])
    if request.channel:
        common = consumer, assembly, effort, request.channel, clock
        if request.trial.unit == "epoch":
            timed = take_epoch_turns(*common)
        else:
            timed = take_turns(*common, held=held)
    elif request.trial.unit == "epoch":
        timed = time_epochs(consumer, assembly, effort, clock)
    else:
        timed = time_windows(consumer, assembly, effort, clock, held=held)
    yield timed
    # Now, as the steps that follow hold graphs and pipelines of their own.
    yield Measured(peak_resident_bytes=resources.peak_resident_bytes())
    return timed


def _inspect(
    job: Job,
    assembly: Assembly,
    dataset: tf.data.Dataset,
    consumer: Consumer,
    timed: Measured,
) -> Iterator[Measured]:
    """Read the graph that ran, then measure what would have disturbed the times."""
    trial, effort, clock = job.request.trial, job.request.effort, job.clock
    row, p, batches = (
        CONSUMER_ROWS[trial.consumer],
        assembly.pipeline,
        timed.batches_per_sample,
    )
    graph = []
    if not p.in_grain:
        with clock.time("graph"):
            graph = executed_graph(consumer.iterator())
    yield Measured(graph=graph)
    with clock.time("graph"):
        facts = cache_facts(p, graph, job.scratch, dataset)
    unfilled = p.cache != "none" and facts["cache_filled"] == "no"
    yield Measured(facts=facts, flags=["cache_not_filled"] if unfilled else [])
    steps = effort.trace_steps if row.trains and row.pulls == "stream" else 0
    if steps and trace.traceable(p):
        with clock.time("graph"):
            spans = trace.spans(assembly, job.scratch / "traced", steps)
        yield Measured(spans=spans)
    seeks_facts = job.seeks_facts and trial.unit == "window"
    if seeks_facts and not row.has_model and not p.in_grain:
        with clock.time("graph"):
            seconds = statistics.fmean(timed.samples)
            few = max(1, min(batches, int(activity.LEAST_SECONDS / seconds)))
            facts = activity.shares(p, consumer.window(few), few, dataset)
        yield Measured(facts=facts)
    if seeks_facts and resources.energy_counters():
        with clock.time("graph"):
            window = consumer.window(batches)
            facts = resources.energy_facts(window, batches * p.batch_size)
        yield Measured(facts=facts)
    if "GPU" in assembly.device:
        memory = tf.config.experimental.get_memory_info(assembly.device)
        yield Measured(facts={"peak_gpu_bytes": memory["peak"]})
    lines = assembly.inputs.stream is not None  # whose labels are not decoded yet
    binary = assembly.entry.constants.get("BINARY_LABELS") and not lines
    if binary and job.seeks_facts:
        with clock.time("check"):
            facts = _class_facts(assembly)
        yield Measured(facts=facts)


def _collect_garbage(runs_python: bool) -> None:
    """Let Python collect garbage while a pipeline is timed, as it does in any script.

    The server's children do not collect. Objects that the server had imported are left
    out, but where a pipeline runs Python, a collection walks through them as well.
    """
    gc.enable()
    if runs_python:
        gc.unfreeze()
        gc.collect()


def _class_facts(assembly: Assembly) -> dict[str, float | str]:
    """Return the shares of two classes in the stream; empty for other labels."""
    p, labels = assembly.pipeline, assembly.class_labels
    if resampling.label_fault(labels):
        return {}
    # Ten batches as they are; rejection takes half a minute for 512 examples.
    counts = {"none": 10 * p.batch_size, "filter": 1024, "split": 1024}
    return resampling.stream_facts(p.resample, labels, counts.get(p.resample, 512))


def _demand_compiled(assembly: Assembly) -> None:
    """Refuse jit=on for layers that XLA does not compile.

    Raises:
        UsageError: What XLA lacks, and what to do.
    """
    p = assembly.pipeline
    if not (p.placement == "model" and assembly.jit()):
        return
    reason = trial_facts.jit_refusal(assembly)
    if reason:
        raise UsageError(
            f"jit={p.jit}, placement=model: the layers cannot be compiled, {reason}. "
            "Use jit=off, or placement=dataset."
        )


def import_ahead(entry: catalog.Entry) -> None:
    """Import modules that Keras would import while `build` is timed."""
    if entry.kind == "audio":
        importlib.import_module("scipy.signal")  # for STFTSpectrogram; 0.7 s


def _start_tensorflow(p: Pipeline, seed: int) -> str:
    """Apply global settings, run the first operation, and return the model's device."""
    machine.confine(p.cpus)  # before the first operation, which sizes thread pools
    # Whatever ~/.keras/keras.json states: results are merged with those of others.
    keras.config.set_floatx("float32")
    keras.config.set_image_data_format("channels_last")
    if p.device == "cpu":
        tf.config.set_visible_devices([], "GPU")
    for gpu in tf.config.get_visible_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)
    _seed(seed, of_tensorflow=p.op_determinism)
    if p.op_determinism:
        tf.config.experimental.enable_op_determinism()
    gpus = [device.name for device in tf.config.list_logical_devices("GPU")]
    if p.device == "gpu" and not gpus:
        raise UsageError("device=gpu: TensorFlow sees no GPU here; see doctor.")
    with tf.device(gpus[0] if gpus else "/CPU:0"):
        return (tf.constant(1) + 1).device


def _seed(seed: int, *, of_tensorflow: bool) -> None:
    """Seed Python, NumPy and Keras, whose layers draw their seeds from Python's.

    Args:
        seed: The seed.
        of_tensorflow: Whether TensorFlow gets it as its global seed, which reproducible
            operations demand. Otherwise the seed stays unset: a global seed makes
            `tf.random` operations in a map draw the same in every epoch (tensorflow
            #35682), and only the user's own file may choose that.
    """
    keras.utils.set_random_seed(seed)
    if not of_tensorflow:
        tf.random.set_seed(None)
