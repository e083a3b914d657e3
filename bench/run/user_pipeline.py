"""This module defines the messages about a user's own input pipeline.

A request's trial names a task file in place of a workload. The task has the source text
to measure, so that an edited source is measured before it is written to the user's
file.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from bench.errors import UsageError, write_atomically
from bench.run.protocol import RUNNERS_PLACE, Executor, Outcome, PendingRequest, Place
from bench.trial import Effort, Failure, Trial

# A pipeline that keeps this part of all processors busy is bound by them. A stage that
# runs alone keeps half of two busy.
BUSY = 0.7
BATCHING = ("batch", "padded_batch", "ragged_batch")

Setting = str | int | float | bool | None


class ModelError(UsageError):
    """This error is about the user's model; its text names the file and function."""


class PipelineTask(msgspec.Struct, kw_only=True):
    """A task states what a measuring process does with a user's pipeline.

    Attributes:
        path: The user's file; the source is compiled under this name.
        call: The expression that makes the dataset, evaluated in the user's module.
        source: The source text of the pipeline that is read or timed.
        against: The source text to compare with; empty for none.
        fill: The number of batches to pull before the clock starts, so that caches are
            full.
        epoch: The number of batches in an epoch; 0 if unknown.
        seconds: How many seconds a read or a comparison may pull batches.
        repeats: Whether the pipeline gives the same examples whenever it is made.
        batched: Whether an element is a batch of examples.
        look: Whether a read pulls batches, or only lists the stages.
        waits_seconds: When a read begins to time no further stage, and then to lift no
            further constraint.
        model_path: The file of the user's model; empty to drain the pipeline.
        model_call: The expression that makes the compiled model. The pipeline is then
            timed by training steps.
    """

    path: str
    call: str
    source: str
    against: str = ""
    fill: int = 0
    epoch: int = 0
    seconds: float = 5.0
    repeats: bool = True
    batched: bool = True
    look: bool = True
    waits_seconds: float = 0.0
    model_path: str = ""
    model_call: str = ""


class Stage(msgspec.Struct, kw_only=True):
    """A stage is one call of a tf.data method, as it was recorded.

    Attributes:
        method: The method or class, such as `map` or `TextLineDataset`.
        settings: The arguments of the call by name; functions and objects in words.
        function: The user's function that the call got, and its line, such as `decode,
            line 12`.
        path: The file that called the method; empty for a dataset of a library.
        line: The line on which the call begins; 0 where it is not known.
        end_line: The line on which the call ends.
        end_column: The column after its closing parenthesis, in UTF-8 bytes.
        calls: How often this place in the source was reached.
        element: The element spec of the resulting dataset, in words.
        cardinality: The number of elements; -1 for endless, -2 for unknown.
        traits: The properties of the function: `random`, `stateful`, `python`, `reads`
            (it reads files).
        inputs: The indices of the stages that this stage reads.
        element_bytes: The mean size of the first elements in bytes; 0 if none was
            examined.
        seconds: Busy seconds a batch, from the executed graph; None if unknown.
        calls_at_a_time: The parallelism with which the runtime ran the stage; 0 if it
            is sequential or unknown.
        fused: Whether the runtime ran the stage together with the map before it.
        wait: The share of the time in which the consumer waits for this stage, 0 to 1;
            None if it was not measured.
        processors: How many processors the pipeline up to this stage keeps busy.
        chosen: What the runtime chose where the call leaves a setting to AUTOTUNE, by
            the name of the setting.
    """

    method: str
    settings: dict[str, Setting] = {}
    function: str = ""
    path: str = ""
    line: int = 0
    end_line: int = 0
    end_column: int = 0
    calls: int = 1
    element: str = ""
    cardinality: int = -2
    traits: list[str] = []
    inputs: list[int] = []
    element_bytes: float = 0.0
    seconds: float | None = None
    calls_at_a_time: int = 0
    fused: bool = False
    wait: float | None = None
    processors: float = 0.0
    chosen: dict[str, int] = {}


class Lift(msgspec.Struct, kw_only=True):
    """A lift is one constraint of a pipeline taken away, with what that gains.

    Attributes:
        constraint: `stage` for the work of a stage, `order` for the order in which
            parallel calls hand on.
        stage: The index of the stage; -1 for the order.
        factor: How many times as fast the pipeline is without the constraint; None if
            it was not measured.
        reason: The reason why there is no factor.
    """

    constraint: str
    stage: int = -1
    factor: float | None = None
    reason: str = ""


class PipelineReading(msgspec.Struct, kw_only=True):
    """A reading has the stages and times of a pipeline as the user wrote it.

    One process measures them.

    Attributes:
        stages: All stages that lead to the dataset, each after its inputs.
        batch_size: The number of examples in the first batch; 1 if examples are not
            batched.
        batched: Whether an element is a batch of examples.
        first_batch_seconds: The time from building the pipeline to its first batch;
            seconds.
        seconds_per_batch: The time of a batch in the steady state; seconds.
        epoch_batches: The number of batches in an epoch; 0 if no epoch was pulled to
            its end.
        ceiling_seconds: The time of a batch if the consumer gets one batch that is held
            in memory; seconds.
        cpu_seconds_per_batch: CPU seconds a batch of the process.
        model_seconds_per_batch: The time of a training step on one batch that is held
            in memory; seconds, 0 without a model.
        training_seconds_per_batch: The time of a training step on the pipeline;
            seconds, 0 without a model.
        repeats: Whether two datasets made with the same seeds give the same examples.
        compared: The number of examples that were compared for `repeats`.
        lifts: What the pipeline gains without a stage's work, or without its order.
        no_waits: The reason why waits were not measured; empty if they were.
        error: Why the pipeline could not be read.
    """

    stages: list[Stage] = []
    batch_size: int = 1
    batched: bool = True
    first_batch_seconds: float = 0.0
    seconds_per_batch: float = 0.0
    epoch_batches: int = 0
    ceiling_seconds: float = 0.0
    cpu_seconds_per_batch: float = 0.0
    model_seconds_per_batch: float = 0.0
    training_seconds_per_batch: float = 0.0
    repeats: bool = True
    compared: int = 0
    lifts: list[Lift] = []
    no_waits: str = ""
    error: Failure | None = None


class PipelineComparison(msgspec.Struct, kw_only=True):
    """A comparison states whether the pipelines of two sources give equal examples.

    Attributes:
        outcome: `same`, `order` (the same examples in another order), `remainder` (one
            side ends earlier), `differs`, or `unknown` where it cannot be judged.
        reason: Why the outcome is not `same`, or what `same` does not cover.
        examples: The number of examples of each side that were compared.
        whole: Whether these examples were a whole epoch.
        ratio: The time of `source` over the time of `against`, roughly, from this one
            process; 0 if not measured.
        error: The reason why nothing was compared, in most cases an error of the new
            source.
    """

    outcome: str = "unknown"
    reason: str = ""
    examples: int = 0
    whole: bool = False
    ratio: float = 0.0
    error: Failure | None = None


class PipelineExecutor:
    """This executor measures users' pipelines in place of workloads.

    It changes requests and passes them on to another executor.
    """

    def __init__(self, executor: Executor) -> None:
        """Wrap an executor."""
        self._executor = executor

    def __getattr__(self, name: str) -> object:
        """Return any other attribute from the wrapped executor."""
        return getattr(self._executor, name)

    def begin(
        self,
        verb: str,
        trial: Trial,
        effort: Effort,
        seed: int,
        place: Place = RUNNERS_PLACE,
    ) -> PendingRequest:
        """Start one request and return at once; `measure` times the user's pipeline."""
        verb = "drain_pipeline" if verb == "measure" else verb
        return self._executor.begin(verb, trial, effort, seed, place)

    def execute(self, verb: str, trial: Trial, effort: Effort, seed: int) -> Outcome:
        """Run one request, wait for its end or its limit, and return how it ended."""
        return self.finish(self.begin(verb, trial, effort, seed), effort)


def write_task(task: PipelineTask, path: Path) -> Trial:
    """Write a task to a file, and return a trial whose workload is the file's path."""
    write_atomically(path, msgspec.json.encode(task))
    return Trial(workload=str(path))


def read_task(trial: Trial) -> PipelineTask:
    """Return the task from the file that a trial has as its workload."""
    return msgspec.json.decode(Path(trial.workload).read_bytes(), type=PipelineTask)
