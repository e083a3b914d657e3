"""This module holds the metrics of the guard: one row a metric, all its properties."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.errors import unknown
from bench.trial import CONSUMER_ROWS, Measured, Trial

GROUP = "phases"  # the name that stands for all metrics of phases
# Nobody waits for a shorter phase, and its ratio is chance.
FLOOR_SECONDS = 0.005


@dataclass(frozen=True, kw_only=True)
class GuardMetric:
    """A metric is one quantity that a guard compares; more of it is always worse.

    Each metric has exactly one source: `turn`, `measured` or `phases`.

    Attributes:
        unit: What a figure of the metric is, with its unit.
        short: The name of the metric in a table.
        threshold: The relative change from which a slow-down counts, by default.
        default: Whether a live guard compares the metric unless others are named.
        per_example: Whether the figure of a batch is divided by its examples.
        turn: The field of `Turn` that holds the metric.
        percentile: The percentile of a process's turns that is the figure of the
            process; None if all its turns are compared.
        longest: Whether the figure is the turn that is longest at one place of the
            stream in most trios.
        measured: The field of `Measured` that holds the one figure of a process.
        phases: The phases of a process whose seconds are added up.
        stored: The figure of a stored run, from its record and its seconds an example;
            None for phases, whose seconds by the clock are the figure.
        exists: Whether the pipeline of a trial has the metric.
        needs: What a trial must have, with the option that gives it; empty if every
            trial has the metric.
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
    stored: Callable[[Measured, float], float | None] | None = None
    exists: Callable[[Trial], bool] = lambda trial: True
    needs: str = ""

    @property
    def by_place(self) -> bool:
        """Whether the metric counts all time, so that places are compared."""
        return bool(self.turn) and self.percentile is None and not self.longest

    @property
    def depends_on_windows(self) -> bool:
        """Whether the number and the size of windows affect the figure of a run."""
        return self.percentile is not None or self.longest

    def figure(self, measured: Measured) -> float | None:
        """Return the one figure of a live process; None if it was not measured.

        Metrics of turns have no such figure. A phase is counted less the time in which
        the process only waited for a processor.
        """
        if self.measured:
            return getattr(measured, self.measured) or None
        return _sum_of(measured.phase_work, self.phases)

    def elapsed(self, measured: Measured) -> float | None:
        """Return the phases' seconds by the clock; None if they did not happen."""
        return _sum_of(measured.phases | _first_epoch(measured), self.phases)

    def stored_figure(
        self, measured: Measured, seconds_per_example: float
    ) -> float | None:
        """Return the figure of a stored run; None if it was not measured.

        Args:
            measured: The record of a run that went well.
            seconds_per_example: The mean of its samples, less what neighbours took.
        """
        if self.stored is None:
            return self.elapsed(measured)
        return self.stored(measured, seconds_per_example)


def _sum_of(seconds: Mapping[str, float], phases: Iterable[str]) -> float | None:
    present = [seconds[name] for name in phases if name in seconds]
    return sum(present) if present else None


def _first_epoch(measured: Measured) -> dict[str, float]:
    """Return the seconds of the first sample: an epoch if samples are epochs."""
    if not measured.samples:
        return {}
    return {"first_epoch": measured.samples[0] * measured.batches_per_sample}


def _percentile(samples: Sequence[float], percentile: float) -> float:
    import numpy as np  # late: a live guard starts its servers before it loads NumPy

    return float(np.percentile(samples, percentile))


def _fills_cache(trial: Trial) -> bool:
    return trial.pipeline.cache != "none" or trial.pipeline.resample == "split"


def _has_windows(trial: Trial) -> bool:
    return trial.unit == "window" and CONSUMER_ROWS[trial.consumer].takes_turns


# The thresholds of 20 % follow the scatter from trio to trio: see
# results/method/README.md.
METRICS = {
    "seconds_per_example": GuardMetric(
        unit="seconds an example",
        short="time",
        default=True,
        per_example=True,
        turn="seconds",
        stored=lambda measured, seconds_per_example: seconds_per_example,
    ),
    "latency_p95": GuardMetric(
        unit="95th percentile of windows, seconds a batch",
        short="p95 of windows",
        threshold=0.20,
        turn="seconds",
        percentile=95,
        stored=lambda measured, _: _percentile(measured.samples, 95),
    ),
    "longest_stall": GuardMetric(
        unit="the longest window that comes at the same place in most trios, "
        "seconds a batch",
        short="longest stall",
        threshold=0.20,
        turn="seconds",
        longest=True,
        stored=lambda measured, _: max(measured.samples),
    ),
    "cpu_seconds_per_example": GuardMetric(
        unit="CPU seconds an example",
        short="CPU",
        per_example=True,
        turn="cpu_seconds",
        stored=lambda measured, _: measured.cpu_seconds_per_example,
    ),
    "peak_resident_bytes": GuardMetric(
        unit="peak resident memory, bytes",
        short="memory",
        measured="peak_resident_bytes",
        stored=lambda measured, _: measured.peak_resident_bytes,
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
        needs="offline preprocessing (--axis placement=offline)",
    ),
    "first_batch_seconds": GuardMetric(
        unit="seconds to build the pipeline, trace it and produce its first batch",
        short="first batch",
        threshold=0.20,
        default=True,
        phases=("build", "trace", "first_batch"),
        exists=_has_windows,
        needs="timed windows: no whole epochs and no serving",
    ),
    "fill_seconds": GuardMetric(
        unit="seconds of the rest of the first epoch, which fills the cache",
        short="fill",
        threshold=0.20,
        default=True,
        phases=("fill",),
        exists=lambda trial: _has_windows(trial) and _fills_cache(trial),
        needs="a cache (--axis cache=mapped)",
    ),
    "first_epoch_seconds": GuardMetric(
        unit="seconds of the first epoch, where whole epochs are timed",
        short="first epoch",
        threshold=0.20,
        default=True,
        phases=("first_epoch",),
        exists=lambda trial: trial.unit == "epoch",
        needs="whole epochs, which only stored runs have",
    ),
}
TIME, *_ = METRICS  # the name of the metric that stands for speed
DEFAULTS = tuple(name for name, metric in METRICS.items() if metric.default)
WITHOUT_PHASES = tuple(name for name in DEFAULTS if not METRICS[name].phases)
PHASES = tuple(name for name, metric in METRICS.items() if metric.phases)


def find(name: str) -> GuardMetric:
    """Return the metric of this name.

    Raises:
        UsageError: No metric has this name.
    """
    if name not in METRICS:
        raise unknown("metric", name, (*METRICS, GROUP))
    return METRICS[name]


def expanded(names: Iterable[str]) -> tuple[str, ...]:
    """Return each name once, with the names of all phases in place of `phases`.

    Raises:
        UsageError: No metric has such a name.
    """
    metrics = [
        metric for name in names for metric in (PHASES if name == GROUP else (name,))
    ]
    for name in metrics:
        find(name)
    return tuple(dict.fromkeys(metrics))


def applicable(limits: Mapping[str, float], trial: Trial) -> dict[str, float]:
    """Return the thresholds of those metrics that the pipeline of a trial has."""
    return {name: limits[name] for name in limits if find(name).exists(trial)}


def not_compared(trials: Iterable[Trial], compared: Iterable[str]) -> list[str]:
    """Return the short names of metrics that some trial has and no guard compared."""
    trials, compared = list(trials), set(compared)
    return [
        metric.short
        for name, metric in METRICS.items()
        if name not in compared and any(map(metric.exists, trials))
    ]
