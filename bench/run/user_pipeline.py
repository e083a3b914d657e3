"""Requests and replies about a user's own input pipeline, typed for both sides.

A request's trial names a task file in place of a workload. The task carries the source
text that is measured, so that an edited source is measured before anybody writes it.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from bench.errors import write_atomically
from bench.run.protocol import RUNNERS_PLACE, Executor, Outcome, PendingRequest, Place
from bench.trial import Effort, Failure, Trial

BATCHING = ("batch", "padded_batch", "ragged_batch")

Setting = str | int | float | bool | None


class PipelineTask(msgspec.Struct, kw_only=True):
    """A task is what a measuring process does with a user's pipeline.

    Attributes:
        path: The user's file; the source is compiled under this name.
        call: The expression that makes the dataset, evaluated in the user's module.
        source: The source text of the pipeline that is read or timed.
        against: The source text to compare with; empty for none.
        fill: Batches to pull before the clock starts, so that caches are full.
        epoch: Batches in an epoch; 0 where the number is not known.
        seconds: How long a read or a comparison may pull batches.
        repeats: Whether the pipeline gives the same examples whenever it is made.
        batched: Whether an element is a batch of examples.
        look: Whether a read pulls batches, or only lists the stages.
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


class Stage(msgspec.Struct, kw_only=True):
    """A stage is one call of a tf.data method, as it was recorded.

    Attributes:
        method: The method or class, such as `map` or `TextLineDataset`.
        settings: Its arguments by name; functions and objects in words.
        function: The user's function and its line, such as `decode, line 12`.
        path: The file that called the method; empty for a dataset of a library.
        line: The line on which the call begins; 0 where it is not known.
        end_line: The line on which the call ends.
        end_column: The column after its closing parenthesis, in UTF-8 bytes.
        calls: How often this place in the source was reached.
        element: The element spec, in words.
        cardinality: Elements; -1 for endless, -2 for unknown.
        traits: What its function is: `random`, `stateful`, `python`.
        inputs: The stages that it reads, by index.
        element_bytes: The mean bytes of its first elements; 0 where not looked at.
        seconds: Busy seconds a batch, from the executed graph; None where unknown.
        calls_at_a_time: As the runtime ran it; 0 where it is sequential or unknown.
        fused: Whether the runtime ran the stage together with the map before it.
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


class PipelineReading(msgspec.Struct, kw_only=True):
    """A reading is what one process learns of a pipeline as it is written.

    Attributes:
        stages: All stages that lead to the dataset, each after its inputs.
        batch_size: Examples in the first batch; 1 where examples are not batched.
        batched: Whether an element is a batch of examples.
        first_batch_seconds: From building to the first batch; seconds.
        seconds_per_batch: Of the steady state, in this one process; seconds.
        epoch_batches: Batches in an epoch; 0 where it was not pulled to its end.
        ceiling_seconds: Seconds a batch of the same consumer on one held batch.
        cpu_seconds_per_batch: CPU seconds a batch of the process.
        repeats: Whether two datasets made with the same seeds give the same examples.
        compared: Examples that were compared for `repeats`.
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
    repeats: bool = True
    compared: int = 0
    error: Failure | None = None


class PipelineComparison(msgspec.Struct, kw_only=True):
    """A comparison says whether two sources give the same examples.

    Attributes:
        outcome: `same`, `order` (the same examples in another order), `remainder` (one
            side ends earlier), `differs`, or `unknown` where it cannot be judged.
        reason: Why the outcome is not `same`, or what `same` does not cover.
        examples: Examples of each side that were compared.
        whole: Whether these were a whole epoch.
        ratio: Head's time over base's, from a first look in this one process.
        error: Why the comparison could not be made; the head failed in most cases.
    """

    outcome: str = "unknown"
    reason: str = ""
    examples: int = 0
    whole: bool = False
    ratio: float = 0.0
    error: Failure | None = None


class PipelineExecutor:
    """An executor whose processes measure users' pipelines in place of workloads."""

    def __init__(self, executor: Executor) -> None:
        """Stand in front of this executor."""
        self._executor = executor

    def __getattr__(self, name: str) -> object:
        """Everything but `begin` is the executor's own."""
        return getattr(self._executor, name)

    def begin(
        self,
        verb: str,
        trial: Trial,
        effort: Effort,
        seed: int,
        place: Place = RUNNERS_PLACE,
    ) -> PendingRequest:
        """Start one request; `measure` takes turns with a user's pipeline."""
        verb = "drain_pipeline" if verb == "measure" else verb
        return self._executor.begin(verb, trial, effort, seed, place)

    def execute(self, verb: str, trial: Trial, effort: Effort, seed: int) -> Outcome:
        """Run one request and wait for its end or its limit."""
        return self.finish(self.begin(verb, trial, effort, seed), effort)


def write_task(task: PipelineTask, path: Path) -> Trial:
    """Write a task file; returns the trial that names it."""
    write_atomically(path, msgspec.json.encode(task))
    return Trial(workload=str(path))


def read_task(trial: Trial) -> PipelineTask:
    """Read the task file that a trial names."""
    return msgspec.json.decode(Path(trial.workload).read_bytes(), type=PipelineTask)
