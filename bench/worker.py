"""The worker builds, checks, warms up and times one trial in a fresh process."""

import os
import shutil
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterable
from dataclasses import fields, replace
from pathlib import Path

import msgspec
import psutil

from bench import catalog, cause, machine
from bench.data import inputs
from bench.errors import UsageError, write_atomically
from bench.measure import (
    import_path,
    measurement,
    nests,
    node_origin,
    page_cache,
    randomness,
    user_pipeline,
    user_records,
)
from bench.measure.assembly import Assembly
from bench.measure.layers import mixing_layer, supports_jit
from bench.measure.phase_recorder import PhaseRecorder
from bench.run.protocol import USER_PIPELINE_VERBS, Prepared, Request
from bench.trial import Failure, Measured, Trial, phases_of

FIRST_STEP = "in the model's first step, with its LOSS and OPTIMIZER"
PROBE_BYTES = 2**18  # of a file that shows whether pages of a folder can be dropped


def main(request_json: bytes) -> None:
    """Carry out a request, and write its result or its error into the result file."""
    entered = time.monotonic()
    request = msgspec.json.decode(request_json, type=Request)
    # The runner removes this folder. This process may be killed, and TensorFlow removes
    # the files of its traced functions only at an orderly exit.
    tempfile.tempdir = str(Path(request.result).parent)
    if request.stands_for:
        sys.path[:] = import_path.reroot(sys.path, request.stands_for, request.folder)
    if request.folder:
        os.chdir(request.folder)
        sys.path.append(request.folder)
    if request.verb in USER_PIPELINE_VERBS:
        result = user_pipeline.answer(request)
    elif request.verb == "prepare":
        result = prepare(request)
    else:
        result = measure(request, entered)
    write_atomically(Path(request.result), msgspec.json.encode(result))


def prepare(request: Request) -> Prepared:
    """Make a workload's inputs, and return facts that only its imported code has.

    The facts include the number of examples, and whether XLA compiles the layers.
    """
    clock = PhaseRecorder(request.result)
    try:
        with clock.time("inputs"):
            entry = catalog.find(request.trial.workload)
            module = catalog.load(entry)
            p = request.trial.pipeline
            data = inputs.prepare(entry, module, p, request.trial.data)
            entry, module = user_records.streamed(entry, module, data.stream)
        layers, _ = measurement.built_layers(clock, entry, module, data)
        with clock.time("prepare"):
            assembly = Assembly(p, entry, module, data, layers, inputs.SEED, "")
            assembly.demand_two_classes()
            apart = entry.reads_files or entry.has_source or entry.decodes
            if not (entry.deterministic or apart):
                record = nests.tensors(data.record)
                subject = record[:2] if entry.takes_labels else record[0]
                randomness.demand_random(layers, subject)
            cold = p.storage == "cold"
            warm = _stays_warm(request.trial, data.features) if cold else ""
            return Prepared(
                supports_jit=supports_jit(layers),
                mixes=mixing_layer(layers),
                examples=data.count,
                warm=warm,
            )
    except Exception as error:
        return Prepared(error=_failure(error, clock))


def _stays_warm(trial: Trial, files: Iterable[str]) -> str:
    """Return why a trial's files cannot be dropped from the page cache.

    The text is empty if they can. The files include those of a cache on disk.
    """
    remedy = "Set {} to a folder on a disk, or leave storage=cold out."
    own = "Copy the data to a disk, or leave storage=cold out."
    inputs_on = own if trial.data else remedy.format("FEEDRATE_CACHE")
    reason = page_cache.reason_not_cold(files, inputs_on)
    if reason or trial.pipeline.cache_storage != "disk":
        return reason
    with tempfile.NamedTemporaryFile() as probe:
        probe.write(bytes(PROBE_BYTES))
        probe.flush()
        return page_cache.reason_not_cold([probe.name], remedy.format("TMPDIR"))


def measure(request: Request, entered: float) -> Measured:
    """Measure one trial in this fresh process, and return its samples or its error.

    Args:
        request: The request.
        entered: When this process began; seconds on the monotonic clock.

    Returns:
        The measurements. A failed run has no samples, but all that it measured before
        its failure.
    """
    clock = PhaseRecorder(request.result)
    clock.set(fork=entered - request.asked)
    parts = [Measured(start_resident_bytes=psutil.Process().memory_info().rss)]
    scratch = Path(tempfile.mkdtemp(prefix="feedrate-"))
    failure = None
    try:
        for part in measurement.parts(measurement.Job(request, clock, scratch)):
            parts.append(part)
        if request.stands_for:
            import_path.demand_base_modules(
                sys.modules, request.stands_for, request.folder
            )
    except Exception as error:
        failure = _failure(error, clock)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    measured = _joined(parts)
    overhead = phases_of("overhead")
    return replace(
        measured,
        samples=[] if failure else measured.samples,
        error=failure,
        phases={k: v for k, v in clock.seconds.items() if k not in overhead},
        phase_work={k: v for k, v in clock.work.items() if k not in overhead},
        overhead={k: v for k, v in clock.seconds.items() if k in overhead},
        process_cpu_seconds=machine.cpu_seconds() + machine.children_cpu_seconds(),
    )


def _joined(parts: Iterable[Measured]) -> Measured:
    """Join the parts of a run's measurements into one record.

    Flags and facts add up; every other field comes from the part that has it.
    """
    joined, nothing = Measured(), Measured()
    for part in parts:
        values = {field.name: getattr(part, field.name) for field in fields(part)}
        known = {k: v for k, v in values.items() if v != getattr(nothing, k)}
        known["flags"] = joined.flags + part.flags
        known["facts"] = joined.facts | part.facts
        joined = replace(joined, **known)
    return joined


def _failure(error: Exception, clock: PhaseRecorder) -> Failure:
    """Return the failure for an error, with the user's own line of code if known."""
    if isinstance(error, UsageError):  # our own sentence, which is shown as it is
        return Failure(type="UsageError", message=str(error), phase=clock.phase)
    reason = cause.innermost(error, clock.layers, node_origin.frames)
    unplaced = FIRST_STEP if clock.phase == "trace" else ""
    message = cause.sentence(reason, otherwise=unplaced)
    return Failure(type=reason.type, message=message, phase=clock.phase)


def _end_with_the_runner() -> None:
    """Exit when standard input closes, as it does when the runner is killed."""
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_the_runner, daemon=True).start()
    try:
        main(Path(sys.argv[1]).read_bytes())
    except BaseException:  # such as sys.exit() in a user's file
        traceback.print_exc()
        sys.stdout.flush()
        os._exit(1)
    os._exit(0)  # the result is on disk; teardown would wait for the thread
