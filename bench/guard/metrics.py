"""What a guard can look at: one row a metric, with everything that depends on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from bench.errors import unknown
from bench.trial import Measured, Trial

GROUP = "phases"  # the name that stands for all metrics of phases
# Below this a phase is not judged: nobody waits for it, and its ratio is chance.
FLOOR_SECONDS = 0.005


@dataclass(frozen=True, kw_only=True)
class GuardMetric:
    """One thing that a guard can look at; more of it is always worse.

    Attributes:
        unit: What its figures are, with the unit.
        short: Its name in a table.
        threshold: The relative change from which a slow-down counts, by default.
        default: Whether a live guard looks at it unless other metrics are named.
        per_example: Whether figures of a batch are divided by its examples.
        turn: The field of a turn that it reads; empty where a process has one figure.
        percentile: Which percentile of a process's turns it is; None for all of them.
        longest: Whether it is the turn that is longest at the same place in most trios.
        measured: The field of `Measured` that it reads; empty for none.
        phases: The phases of a process whose seconds it adds up; none for other
            metrics.
        exists: Whether the pipeline of a trial has it.
    """

    unit: str
    short: str
    threshold: float = 0.03
    default: bool = False
    per_example: bool = False
    turn: str = ""
    percentile: float | None = None
    longest: bool = False
    measured: str = ""
    phases: tuple[str, ...] = ()
    exists: Callable[[Trial], bool] = lambda trial: True

    @property
    def by_place(self) -> bool:
        """Whether it adds up all time, for which places are told apart."""
        return bool(self.turn) and self.percentile is None and not self.longest

    def figure(self, measured: Measured) -> float | None:
        """The figure of one process that has one; None where it was not measured."""
        if self.measured:
            return getattr(measured, self.measured) or None
        return _added(measured.phase_work, self.phases)

    def elapsed(self, measured: Measured) -> float | None:
        """The seconds of its phases by the clock; None where they did not happen."""
        return _added(measured.phases | _first_epoch(measured), self.phases)


def _added(seconds: Mapping[str, float], phases: Iterable[str]) -> float | None:
    known = [seconds[name] for name in phases if name in seconds]
    return sum(known) if known else None


def _first_epoch(measured: Measured) -> dict[str, float]:
    """The seconds of the first sample, which is an epoch where samples are epochs."""
    if not measured.samples:
        return {}
    return {"first_epoch": measured.samples[0] * measured.batches_per_sample}


def _fills(trial: Trial) -> bool:
    return trial.pipeline.cache != "none" or trial.pipeline.resample == "split"


def _windows(trial: Trial) -> bool:
    return trial.unit == "window" and trial.consumer != "serve"


# The ratio of two 95th percentiles of a trio's 25 turns varies by about 6 % from trio
# to trio. Phases vary by 10 to 20 % beside other work; see `phase_watch`.
METRICS = {
    "seconds_per_example": GuardMetric(
        unit="seconds an example",
        short="time",
        default=True,
        per_example=True,
        turn="seconds",
    ),
    "latency_p95": GuardMetric(
        unit="95th percentile of windows, seconds a batch",
        short="p95 of windows",
        threshold=0.20,
        turn="seconds",
        percentile=95,
    ),
    "longest_stall": GuardMetric(
        unit="the longest window that comes at the same place in most trios, "
        "seconds a batch",
        short="longest stall",
        threshold=0.20,
        turn="seconds",
        longest=True,
    ),
    "cpu_seconds_per_example": GuardMetric(
        unit="CPU seconds an example",
        short="CPU",
        per_example=True,
        turn="cpu_seconds",
    ),
    "peak_resident_bytes": GuardMetric(
        unit="peak resident memory, bytes",
        short="memory",
        measured="peak_resident_bytes",
    ),
    "adapt_seconds": GuardMetric(
        unit="seconds to build and adapt the layers",
        short="adapt",
        threshold=0.20,
        default=True,
        phases=("adapt",),
    ),
    "offline_seconds": GuardMetric(
        unit="seconds to preprocess and store all examples",
        short="offline",
        threshold=0.20,
        default=True,
        phases=("offline",),
        exists=lambda trial: trial.pipeline.placement == "offline",
    ),
    "first_batch_seconds": GuardMetric(
        unit="seconds to build the pipeline, trace it and have its first batch",
        short="first batch",
        threshold=0.20,
        default=True,
        phases=("build", "trace", "first_batch"),
        exists=_windows,
    ),
    "fill_seconds": GuardMetric(
        unit="seconds of the rest of the first epoch, which fills the cache",
        short="fill",
        threshold=0.20,
        default=True,
        phases=("fill",),
        exists=lambda trial: _windows(trial) and _fills(trial),
    ),
    "first_epoch_seconds": GuardMetric(
        unit="seconds of the first epoch, where whole epochs are timed",
        short="first epoch",
        threshold=0.20,
        default=True,
        phases=("first_epoch",),
        exists=lambda trial: trial.unit == "epoch",
    ),
}
DEFAULTS = tuple(name for name, metric in METRICS.items() if metric.default)
WITHOUT_PHASES = tuple(name for name in DEFAULTS if not METRICS[name].phases)
PHASES = tuple(name for name, metric in METRICS.items() if metric.phases)


def find(name: str) -> GuardMetric:
    """The metric of this name.

    Raises:
        UsageError: No metric has this name.
    """
    if name not in METRICS:
        raise unknown("metric", name, (*METRICS, GROUP))
    return METRICS[name]


def named(names: Iterable[str]) -> tuple[str, ...]:
    """The metrics of these names, of which `phases` stands for several.

    Raises:
        UsageError: No metric has such a name.
    """
    every = [one for name in names for one in (PHASES if name == GROUP else (name,))]
    for name in every:
        find(name)
    return tuple(dict.fromkeys(every))


def existing(limits: Mapping[str, float], trial: Trial) -> dict[str, float]:
    """Those thresholds whose metrics the pipeline of a trial has."""
    return {name: limits[name] for name in limits if find(name).exists(trial)}


def left_out(trials: Iterable[Trial], looked_at: Iterable[str]) -> list[str]:
    """The metrics that some trial has and a guard does not look at, by short name."""
    trials, looked_at = list(trials), set(looked_at)
    return [
        metric.short
        for name, metric in METRICS.items()
        if name not in looked_at and any(map(metric.exists, trials))
    ]
