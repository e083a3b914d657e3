"""This module defines a trial (one configuration to measure) and a run of a trial."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from bench.pipeline import STRATEGIES, Pipeline, differences

SCHEMA = 1

UNITS = ("window", "epoch")  # of a sample


@dataclass(frozen=True, kw_only=True)
class ConsumerRow:
    """This row has every property of a consumer, which is what pulls the batches.

    Attributes:
        help: What the consumer does, for options and lists.
        meaning: What its results mean, for readers of a report; a sentence.
        margin: The relative difference up to which two of its trials count as equally
            fast.
        has_model: Whether it runs the workload's model.
        trains: Whether a batch is a training step.
        takes_turns: Whether several processes can time its windows alternately.
        pulls: What a window pulls: batches of the `stream` that the pipeline makes, one
            batch that is `held` in memory, or single `requests`. Only a stream has
            epochs; most axes mean nothing to the other two.
    """

    help: str
    meaning: str
    margin: float
    has_model: bool
    trains: bool
    takes_turns: bool
    pulls: Literal["stream", "held", "requests"]


CONSUMER_ROWS = {
    "drain": ConsumerRow(
        help="in the runtime, with no Python in the timed region",
        meaning="batches are pulled as fast as they come and are not used: the speed "
        "of the input pipeline alone.",
        margin=0.03,
        has_model=False,
        trains=False,
        takes_turns=True,
        pulls="stream",
    ),
    "train": ConsumerRow(
        help="training steps of the workload's model",
        meaning="a model is trained on the batches: the speed of pipeline and model "
        "together.",
        margin=0.05,
        has_model=True,
        trains=True,
        takes_turns=True,
        pulls="stream",
    ),
    "model": ConsumerRow(
        help="the same steps on one batch held in memory: the model without its data",
        meaning="a model is trained on one batch in memory: the speed of the model "
        "alone.",
        margin=0.05,
        has_model=True,
        trains=True,
        takes_turns=True,
        pulls="held",
    ),
    "serve": ConsumerRow(
        help="inference calls, one at a time; the layers in the model or at the client",
        meaning="a model answers one request after the other, preprocessing included.",
        margin=0.05,
        has_model=True,
        trains=False,
        takes_turns=False,
        pulls="requests",
    ),
}
CONSUMERS = {name: row.help for name, row in CONSUMER_ROWS.items()}
REQUESTING = tuple(n for n, row in CONSUMER_ROWS.items() if row.pulls == "requests")
HOLDING = tuple(n for n, row in CONSUMER_ROWS.items() if row.pulls == "held")
DEFAULT_CONSUMER = "drain"


@dataclass(frozen=True)
class Phase:
    """A phase is a part of a run that is timed by itself.

    Attributes:
        activity: What the run does, for messages that name a limit.
        kind: `overhead` for work that is not the workload's own; `once` for what comes
            once before any batch; `window` where batches are pulled, in order to time
            them or to warm up; `serving` for what only trials that serve do; `unstored`
            for what no run records.
        guarded: Whether a guard can compare its seconds.
    """

    activity: str
    kind: Literal["overhead", "once", "window", "serving", "unstored"]
    guarded: bool


# In the order of a run.
PHASES = {
    "start": Phase("its process starts", "unstored", guarded=False),
    "fork": Phase("its process starts", "overhead", guarded=False),
    "tensorflow": Phase("TensorFlow starts", "overhead", guarded=False),
    "inputs": Phase(
        "the file is imported and its inputs are made", "overhead", guarded=False
    ),
    "adapt": Phase("build() makes the layers", "once", guarded=True),
    "prepare": Phase("the layers are examined", "unstored", guarded=False),
    "offline": Phase("all examples are preprocessed and stored", "once", guarded=True),
    "build": Phase("the pipeline is built", "once", guarded=True),
    "check": Phase("the first batches are made and checked", "overhead", guarded=False),
    "train": Phase("the model to be served is trained", "serving", guarded=False),
    "export": Phase("the model is exported", "serving", guarded=False),
    "load": Phase("the exported model is loaded", "serving", guarded=False),
    "trace": Phase(
        "the model is built and its first step is traced", "once", guarded=True
    ),
    "first_batch": Phase("the first batch is made", "window", guarded=True),
    "fill": Phase("the cache is filled", "window", guarded=True),
    "calibrate": Phase("batches are timed", "window", guarded=False),
    "ramp": Phase("the pipeline warms up", "window", guarded=False),
    "steady": Phase("batches are timed", "window", guarded=False),
    "graph": Phase("the graph that ran is read", "overhead", guarded=False),
    "rest": Phase("its process ends", "overhead", guarded=False),
}


def phases_of(*kinds: str) -> tuple[str, ...]:
    """Return the phases of these kinds, in the order of a run."""
    return tuple(name for name, phase in PHASES.items() if phase.kind in kinds)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A trial is one configuration to measure: workload, pipeline and consumer.

    Attributes:
        workload: A workload, a layer, `name:variant`, or the path of a user's file.
        pipeline: The value of every axis.
        consumer: The consumer of the batches; see `CONSUMERS`.
        unit: The extent of a sample: a `window` of the steady state on a long-lived
            iterator, or an `epoch` from its first batch to its last.
        data: The user's own data, as a name or a path; empty for the workload's data.
    """

    workload: str
    pipeline: Pipeline = field(default_factory=Pipeline)
    consumer: Literal[*CONSUMER_ROWS] = DEFAULT_CONSUMER
    unit: Literal["window", "epoch"] = "window"
    data: str = ""

    @property
    def key(self) -> str:
        """Return the trial's identifier: its workload and its non-default settings."""
        parts = {}
        if self.consumer != DEFAULT_CONSUMER:
            parts["consumer"] = self.consumer
        if self.unit != "window":
            parts["unit"] = self.unit
        if self.data:
            parts["data"] = self.data
        parts |= differences(self.pipeline)
        spelled = ",".join(f"{name}={_spell(value)}" for name, value in parts.items())
        return f"{self.workload}[{spelled}]" if spelled else self.workload

    @property
    def strategy(self) -> str:
        """Return the name of the strategy with exactly this pipeline; empty if none.

        The batch size is ignored.
        """
        given = differences(self.pipeline)
        given.pop("batch_size", None)
        names = [name for name, settings in STRATEGIES.items() if settings == given]
        return names[0] if names else ""

    @property
    def label(self) -> str:
        """Return a short description of the pipeline: a strategy and further settings.

        The strategy is the one that shares most settings with the pipeline.
        """
        given = differences(self.pipeline)
        nearest, settings = max(
            ((n, s) for n, s in STRATEGIES.items() if s.items() <= given.items()),
            key=lambda named: len(named[1]),
        )
        rest = {name: v for name, v in given.items() if name not in settings}
        plain = not settings and set(rest) - {"batch_size", "device"}
        spelled = [f"{name}={_spell(value)}" for name, value in rest.items()]
        return ",".join(spelled if plain else [nearest, *spelled])


def _spell(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Windows state how a run is divided into parts that are timed.

    Later runs of the same trial are divided in the same way.

    Attributes:
        batches: The number of batches in a window.
        start: The number of batches of the stream before the first window.
        ramp: The number of windows in the ramp, which warms the pipeline up.
        steady: The number of windows after the ramp, which are the samples.
        epoch: The number of batches in one pass over the data.
    """

    batches: int
    start: int
    ramp: int
    steady: int
    epoch: float


@dataclass(frozen=True, kw_only=True)
class Effort:
    """An effort is the amount of measuring that each trial gets.

    Attributes:
        rounds: The number of runs of each trial.
        steady_seconds: The duration of the timed windows of a run; seconds.
        window_seconds: The least duration of a window; seconds.
        warmup_seconds: The longest duration of the ramp (the warm-up); seconds.
        epochs: The number of timed epochs of a run, if a sample is an epoch.
        limit_seconds: A run that takes longer is stopped and becomes a failed run.
        trace_steps: The number of training steps to trace after the timed steps.
        facts: Whether to determine facts that are slow to measure and the same in every
            run: draws of random layers, shares of classes, a step's fixed costs.
        check: Whether processes that take turns check their outputs. Only the first
            processes of a case do, since later ones run the same code on the same
            inputs. A process that measures alone always checks its outputs.
        windows: The windows of an earlier run of the trial; None for the first run.
        phases: Whether a guard tests the phases of processes that take turns. Such
            processes then start one after another, and otherwise all at once.
    """

    rounds: int = 5
    steady_seconds: float = 1.0
    window_seconds: float = 0.05
    warmup_seconds: float = 1.0
    epochs: int = 4
    limit_seconds: float = 120.0
    trace_steps: int = 0
    facts: bool = True
    check: bool = True
    windows: Windows | None = None
    phases: bool = False


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A failure is the reason why a run has no samples.

    Attributes:
        type: The type of the exception, or a type of `failures`, such as `Timeout`.
        message: The text of the failure.
        phase: The phase of the run in which it failed.
    """

    type: str
    message: str
    phase: str = ""


@dataclass(frozen=True, kw_only=True)
class InputPart:
    """An input part identifies the features or the labels of a trial's inputs.

    Attributes:
        dtype: NumPy's name of the type; `file` for files.
        shape: `[count, ...]`.
        digest: A digest of the content; 16 hexadecimal digits.
    """

    dtype: str
    shape: list[int]
    digest: str

    def __str__(self) -> str:
        """Return the type and the shape."""
        return f"{self.dtype}{self.shape}"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The measurements are what a worker returns from its process about one run.

    Attributes:
        samples: Seconds a batch, a number for each window or epoch.
        ramp_samples: Seconds a batch of each window of the ramp.
        batches_per_sample: The number of batches in a window or an epoch.
        start_batches: The number of batches of the stream before the first sample.
        epoch_batches: The number of batches in one pass over the data; 0 if unknown.
        foreign_share: The share of all processors' time that other processes and guests
            took while windows were timed; None if not measured.
        phases: Seconds of `adapt`, `offline`, `build`, `trace`, `first_batch`, `fill`,
            `calibrate`, `ramp`, `steady`; before serving, of `train`, `export`, `load`.
        phase_work: Seconds of the same phases, less the time in which the process only
            waited for a processor.
        overhead: Seconds outside the workload's own work: `fork`, `tensorflow`,
            `inputs`, `check`, `graph`, and the `rest`, such as the process's end.
        cpu_seconds_per_example: CPU time an example in the steady phase.
        process_cpu_seconds: CPU time of the whole run.
        peak_resident_bytes: The most memory of the process while windows were timed.
        start_resident_bytes: The memory of the process before it loaded the workload.
        flags: `ramp_cut` and the names of `bench.flags`. `inputs_changed` is added when
            runs are read.
        facts: Values that only some workloads or axes have; a name ends with its unit.
        graph: The nodes of the tf.data graph that ran, source first.
        spans: Parts of traced training steps as `(name, start, end)`, in seconds from
            the first step; a name is `read`, `map`, `wait` or `train`.
        device: The device of the model, by TensorFlow's name.
        input_fingerprint: A digest of the inputs.
        input_parts: The `features` of the inputs and, if they have some, the `labels`.
        output_fingerprint: A digest of the checked batches; empty for random layers.
    """

    samples: list[float] = field(default_factory=list)
    ramp_samples: list[float] = field(default_factory=list)
    batches_per_sample: int = 0
    start_batches: int = 0
    epoch_batches: float = 0.0
    foreign_share: float | None = None
    phases: dict[str, float] = field(default_factory=dict)
    phase_work: dict[str, float] = field(default_factory=dict)
    overhead: dict[str, float] = field(default_factory=dict)
    cpu_seconds_per_example: float | None = None
    process_cpu_seconds: float = 0.0
    peak_resident_bytes: int | None = None
    start_resident_bytes: int | None = None
    flags: list[str] = field(default_factory=list)
    facts: dict[str, float | str] = field(default_factory=dict)
    graph: list[dict[str, object]] = field(default_factory=list)
    spans: list[tuple[str, float, float]] = field(default_factory=list)
    device: str = ""
    input_fingerprint: str = ""
    input_parts: dict[str, InputPart] = field(default_factory=dict)
    output_fingerprint: str = ""
    error: Failure | None = None


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run is one process that measures one trial: a line of `runs.jsonl`.

    Attributes:
        schema: The version of this record's layout; see results/README.md.
        key: The key of the trial.
        trial: The trial.
        sweep: The name of the sweep.
        round: The number of the round in the sweep, from 0.
        position: The place in the random order of the round, from 0.
        seed: The seed of that order.
        effort: How much was measured.
        started: The start of the run; UTC, ISO 8601.
        seconds: The duration of the run, from the request for a process to its end.
        machine: The facts that identify the machine and the versions.
        conditions: Load and other processes' CPU time around the run.
        measured: The results of the worker.
        repeat: 1 if this run repeats the previous one, which met heavy load from other
            processes; else 0. Both runs are stored.
    """

    schema: int = SCHEMA
    key: str
    trial: Trial
    sweep: str
    round: int
    position: int
    seed: int
    effort: Effort
    started: str
    seconds: float
    machine: dict[str, object]
    conditions: dict[str, float]
    measured: Measured
    repeat: int = 0
