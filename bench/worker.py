"""In the fresh process: build, check, warm up, time, write one result."""

import gc
import importlib
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterable
from pathlib import Path

import keras
import msgspec
import psutil
import tensorflow as tf

from bench import catalog, cause, machine
from bench.data import inputs
from bench.errors import UsageError, write_whole
from bench.measure import (
    activity,
    check,
    energy,
    import_path,
    origin,
    page_cache,
    randomness,
    resampling,
    resources,
    serving,
    trace,
    user_pipeline,
)
from bench.measure import facts as traits
from bench.measure.assembly import Assembly
from bench.measure.consumers import Consumer, step_facts
from bench.measure.course import Course
from bench.measure.graph import cache_facts, executed_graph
from bench.measure.layers import supports_jit
from bench.measure.phases import take_turns, time_epochs, time_windows
from bench.pipeline import Pipeline
from bench.trial import Effort, Failure, Measured, Trial

KEPT: list[Consumer] = []  # freed by the process's end, and not one by one before it
FIRST_STEP = "in the model's first step, with its LOSS and OPTIMIZER"
PROBE_BYTES = 2**18  # of a file that shows whether pages of a folder can be dropped
OVERHEAD = ("fork", "tensorflow", "inputs", "check", "graph")


class Request(msgspec.Struct, kw_only=True):
    """What the runner asks of a fresh process.

    Attributes:
        verb: `prepare` makes the inputs and tells traits; `measure` makes one run.
        trial: What to measure.
        effort: How much.
        seed: Of the layers' own randomness.
        asked: When the runner asked, on the system-wide monotonic clock; seconds.
        result: Where to write what was measured; never a standard stream.
        channel: The socket at which to wait for turns; empty to measure alone.
        folder: To work in, and to import from; empty to stay.
        stands_for: The tree, head's, of which `folder` is another revision; empty on
            head.
    """

    verb: str
    trial: Trial
    effort: Effort
    seed: int
    asked: float
    result: str
    channel: str = ""
    folder: str = ""
    stands_for: str = ""


class Prepared(msgspec.Struct, kw_only=True):
    """What only the imported workload can tell.

    Attributes:
        supports_jit: Whether every layer compiles with XLA.
        examples: Examples in an epoch.
        warm: Why the trial's files cannot be cold; empty where they can, or need not.
        error: Why its inputs or layers cannot be made.
    """

    supports_jit: bool = False
    examples: int = 0
    warm: str = ""
    error: Failure | None = None


def main(request_json: bytes) -> None:
    """Do what the request asks and write the result file, whatever happens."""
    entered = time.monotonic()
    request = msgspec.json.decode(request_json, type=Request)
    # What is left there goes with the runner: this process may be killed, and
    # TensorFlow removes the files of its traced functions only at an orderly exit.
    tempfile.tempdir = str(Path(request.result).parent)
    if request.stands_for:
        sys.path[:] = import_path.rerooted(sys.path, request.stands_for, request.folder)
    if request.folder:
        os.chdir(request.folder)
        sys.path.append(request.folder)
    if request.verb in user_pipeline.VERBS:
        result: object = _of_user_pipeline(request)
    elif request.verb == "prepare":
        result = prepare(request)
    else:
        result = measure(request, entered)
    write_whole(Path(request.result), msgspec.json.encode(result))


def _of_user_pipeline(request: Request) -> object:
    """Do what `advise` asks about a user's own pipeline."""
    trial = request.trial
    if request.verb == "read_pipeline":
        return user_pipeline.read_pipeline(trial)
    if request.verb == "compare_pipelines":
        return user_pipeline.compare_pipelines(trial)
    seconds = request.effort.window_seconds
    return user_pipeline.drain_pipeline(trial, request.channel, seconds)


def prepare(request: Request) -> Prepared:
    """Make the inputs once, and tell what the plan needs to know."""
    clock = Course(request.result)
    try:
        with clock.time("inputs"):
            entry = catalog.find(request.trial.workload)
            module = catalog.load(entry)
            p = request.trial.pipeline
            made = inputs.prepare(entry, module, p, request.trial.data)
        with clock.time("adapt"):
            layers = clock.built(module.build(made.features, **entry.variant))
        with clock.time("prepare"):
            Assembly(
                p, entry, module, made, layers, inputs.SEED, ""
            ).demand_two_classes()
            if not (entry.deterministic or entry.reads_files or entry.decodes):
                randomness.demand(layers, made.features)
            cold = p.storage == "cold"
            warm = _stays_warm(request.trial, made.features) if cold else ""
            jit = supports_jit(layers)
            return Prepared(supports_jit=jit, examples=made.count, warm=warm)
    except Exception as error:
        return Prepared(error=_failure(error, clock))


def _stays_warm(trial: Trial, files: Iterable[str]) -> str:
    """Why the pages of a trial's files cannot be dropped; those of a disk cache too."""
    remedy = "Set {} to a folder on a disk, or leave storage=cold out."
    own = "Copy the data to a disk, or leave storage=cold out."
    inputs_on = own if trial.data else remedy.format("FEEDRATE_CACHE")
    reason = page_cache.stays(files, inputs_on)
    if reason or trial.pipeline.cache_storage != "disk":
        return reason
    with tempfile.NamedTemporaryFile() as probe:
        probe.write(bytes(PROBE_BYTES))
        probe.flush()
        return page_cache.stays([probe.name], remedy.format("TMPDIR"))


def measure(request: Request, entered: float) -> Measured:
    """One run of one trial, from a fresh process to its samples or its error."""
    clock = Course(request.result)
    clock.seconds["fork"] = entered - request.asked
    found: dict[str, object] = {
        "start_resident_bytes": psutil.Process().memory_info().rss
    }
    scratch = Path(tempfile.mkdtemp(prefix="feedrate-"))
    try:
        _measure(request, clock, scratch, found)
        if request.stands_for:
            import_path.demand(sys.modules, request.stands_for, request.folder)
    except Exception as error:
        found |= {"samples": [], "error": _failure(error, clock)}
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return Measured(
        phases={k: v for k, v in clock.seconds.items() if k not in OVERHEAD},
        phase_work={k: v for k, v in clock.work.items() if k not in OVERHEAD},
        overhead={k: v for k, v in clock.seconds.items() if k in OVERHEAD},
        process_cpu_seconds=machine.cpu_seconds() + machine.children_cpu_seconds(),
        **found,
    )


def _measure(
    request: Request, clock: Course, scratch: Path, found: dict[str, object]
) -> None:
    trial, effort = request.trial, request.effort
    p = trial.pipeline
    flags: list[str] = []
    facts: dict[str, float | str] = {}
    found |= {"flags": flags, "facts": facts}
    with clock.time("tensorflow"):
        device = _start_tensorflow(p, request.seed)
        found["device"] = device
    with clock.time("inputs"):
        entry = catalog.find(trial.workload)
        import_ahead(entry)
        module = catalog.load(entry)
        made = inputs.prepare(entry, module, p, trial.data)
        found["input_fingerprint"] = made.fingerprint
        found["input_parts"] = made.parts
    with clock.time("adapt"):
        layers = clock.built(module.build(made.features, **entry.variant))
    # The same in every run, so that what is costly stands at the same place in all.
    work = Assembly(p, entry, module, made, layers, inputs.SEED, device)
    with clock.time("check"):
        work.demand_two_classes()
    if p.placement == "offline":
        with clock.time("offline"):
            work.store(scratch, facts)
    dataset = None
    if trial.consumer != "serve":
        with clock.time("build"):
            dataset = work.dataset(scratch, repeat=trial.unit == "window")
    with clock.time("check"):
        asks_facts = effort.facts and not request.channel
        if effort.check or not request.channel:
            _demand_compiled(work)
            timed = dataset if trial.unit == "window" else None
            pairs = work.witness(timed)
            found["output_fingerprint"] = check.check(
                entry, module, p, pairs, work.alone, work.raw_again
            )
            if asks_facts:
                facts |= traits.facts(work, trial.consumer, pairs)
                flags += traits.flags(facts)
    if not entry.deterministic and (p.placement == "offline" or p.cache == "mapped"):
        flags.append("frozen_random")
    if trial.consumer == "serve":
        serving.measure(work, scratch, effort, clock, found)
        found["peak_resident_bytes"] = resources.peak_resident_bytes()
        return
    with clock.time("trace"):
        consumer = work.consumer(dataset, trial.consumer)
        KEPT.append(consumer)
        if request.channel:
            consumer.prebuild()
        consumer.trace()
    with clock.time("check"):
        resources.forget_peak()
        _collect_garbage(dataset)
    if trial.consumer == "model" and asks_facts:
        with clock.time("check"):
            optimizer = entry.constants.get("OPTIMIZER", "adam")
            facts |= step_facts(next(iter(dataset)), device, optimizer)
    compiles = bool(tf.config.list_physical_devices("GPU"))  # else Keras never does
    auto = p.placement == "model" and p.jit == "auto"
    if auto and compiles and not supports_jit(layers):
        flags.append("xla_off")
    if request.channel:
        take_turns(consumer, work, effort, request.channel, clock, found)
    elif trial.unit == "epoch":
        time_epochs(consumer, work, effort, clock, found)
    else:
        held = trial.consumer == "model"
        time_windows(consumer, work, effort, clock, found, held=held)
    # Now: what follows holds graphs, and pipelines of its own.
    found["peak_resident_bytes"] = resources.peak_resident_bytes()
    if request.channel:  # nobody reads the graph of one that took turns
        return
    with clock.time("graph"):
        found["graph"] = executed_graph(consumer.iterator())
        facts |= cache_facts(p, found["graph"], scratch, dataset)
    if p.cache != "none" and facts["cache_filled"] == "no":
        flags.append("cache_not_filled")
    if trial.consumer == "train" and effort.trace_steps and trace.traceable(p):
        with clock.time("graph"):
            found["spans"] = trace.spans(work, scratch / "traced", effort.trace_steps)
    if asks_facts and (trial.consumer, trial.unit) == ("drain", "window"):
        with clock.time("graph"):
            seconds = statistics.fmean(found["samples"])
            most = found["batches_per_sample"]
            few = max(1, min(most, int(activity.LEAST_SECONDS / seconds)))
            facts |= activity.shares(p, consumer.window(few), few, dataset)
    if asks_facts and trial.unit == "window" and energy.counters():
        with clock.time("graph"):
            window = consumer.window(found["batches_per_sample"])
            facts |= energy.facts(window, found["batches_per_sample"] * p.batch_size)
    if "GPU" in device:
        facts["peak_gpu_bytes"] = tf.config.experimental.get_memory_info(device)["peak"]
    if entry.constants.get("BINARY_LABELS") and asks_facts:
        with clock.time("check"):
            facts |= _class_facts(work)


def _collect_garbage(dataset: tf.data.Dataset) -> None:
    """Let Python collect garbage while a pipeline is timed, as it does in any script.

    The server's children do not, and what the server had imported is left out. Where a
    pipeline runs Python, a collection walks through that as well.
    """
    gc.enable()
    if activity.runs_python(dataset):
        gc.unfreeze()
        gc.collect()


def _class_facts(work: Assembly) -> dict[str, float | str]:
    """The shares of two classes in the stream; nothing where the labels are others."""
    p, labels = work.pipeline, work.class_labels
    if resampling.wrong(labels):
        return {}
    # Ten batches as they are; rejection takes half a minute for 512 examples.
    counted = {"none": 10 * p.batch_size, "filter": 1024, "split": 1024}
    return resampling.shares(p.resample, labels, counted.get(p.resample, 512))


def _demand_compiled(work: Assembly) -> None:
    """Refuse jit=on for layers that XLA does not compile.

    Raises:
        UsageError: What XLA lacks, and what to do.
    """
    p = work.pipeline
    if not (p.placement == "model" and work.jit()):
        return
    reason = traits.refusal(work)
    if reason:
        raise UsageError(
            f"jit={p.jit}, placement=model: the layers cannot be compiled, {reason}. "
            "Use jit=off, or placement=dataset."
        )


def import_ahead(entry: catalog.Entry) -> None:
    """Import what Keras would import while it builds a layer: that is no adapting."""
    if entry.kind == "audio":
        importlib.import_module("scipy.signal")  # STFTSpectrogram's; 0.7 s


def _start_tensorflow(p: Pipeline, seed: int) -> str:
    """Settings that are global to the process, the first op, and the model's device."""
    machine.confine(p.cpus)  # before the first op, which sizes TensorFlow's pools
    # Whatever ~/.keras/keras.json says: results are merged with those of others.
    keras.config.set_floatx("float32")
    keras.config.set_image_data_format("channels_last")
    if p.device == "cpu":
        tf.config.set_visible_devices([], "GPU")
    for gpu in tf.config.get_visible_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)
    _seed(seed, of_tensorflow=p.op_determinism)
    if p.op_determinism:
        tf.config.experimental.enable_op_determinism()
    found = [device.name for device in tf.config.list_logical_devices("GPU")]
    if p.device == "gpu" and not found:
        raise UsageError("device=gpu: TensorFlow sees no GPU here; see doctor.")
    with tf.device(found[0] if found else "/CPU:0"):
        return (tf.constant(1) + 1).device


def _seed(seed: int, *, of_tensorflow: bool) -> None:
    """Seed Python, NumPy and Keras, whose layers draw their seeds from Python's.

    Args:
        seed: The seed.
        of_tensorflow: Whether TensorFlow gets it as its global seed, which reproducible
            operations demand. Without it the seed stays unset: a global seed makes
            `tf.random` operations in a map draw the same in every epoch (tensorflow
            #35682), and only the user's own file may choose that.
    """
    keras.utils.set_random_seed(seed)
    if not of_tensorflow:
        tf.random.set_seed(None)


def _failure(error: Exception, clock: Course) -> Failure:
    if isinstance(error, UsageError):  # a sentence of ours, to be shown as it is
        return Failure(type="UsageError", message=str(error), phase=clock.phase)
    found = cause.innermost(error, clock.layers, origin.frames)
    unplaced = FIRST_STEP if clock.phase == "trace" else ""
    message = cause.sentence(found, otherwise=unplaced)
    return Failure(type=found.type, message=message, phase=clock.phase)


def _end_with_the_runner() -> None:
    """Leave when standard input closes, as it does when the runner is killed."""
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_the_runner, daemon=True).start()
    try:
        main(Path(sys.argv[1]).read_bytes())
    except BaseException:  # as of sys.exit() in a user's file
        traceback.print_exc()
        sys.stdout.flush()
        os._exit(1)
    os._exit(0)  # the result is on disk; teardown would wait for the thread
