"""This module compares stored figures: those of baseline files or of result folders.

Base and head were measured at different times. A change of the machine between these
times changes the ratio, and the interval does not show it. So the live guard detects
far smaller changes. `bench.analysis.decisions` gives the verdicts, as it does for
`compare A B`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench import store
from bench.analysis import decisions, stats, table, verdicts
from bench.analysis.decisions import Comparison, Obstacle, Side
from bench.data.identity import CHANGED, InputIdentity, runs_with_equal_inputs
from bench.errors import UsageError
from bench.guard.metrics import METRICS, applicable, find
from bench.guard.record import Row, outputs_differ, ratio_figures
from bench.machine import identity
from bench.trial import InputPart, Run, Trial

P95 = 95
# The 95th percentile of few windows is too low, and windows of more batches have a
# lower one. Within this factor the error is 1 to 2 % at 8 to 25 windows (simulated).
MOST_UNLIKE = 1.5

# The thresholds by metric of a trial, from its key and the margin of its consumer; the
# margin is None where the trial is unknown.
Thresholds = Callable[[str, float | None], Mapping[str, float]]


@dataclass(frozen=True, kw_only=True)
class BaselineTrial:
    """A baseline trial is one trial of a baseline with its figures.

    Attributes:
        trial: The whole trial.
        inputs: The fingerprint of its inputs.
        outputs: The fingerprint of its checked first batches; empty if random.
        runs: By metric, one figure a run.
        windows: For each run, the number of windows and the batches in a window.
        parts: What identifies the features and the labels; empty if unknown.
        changed: How the inputs of its runs differ; empty if they are equal.
    """

    trial: Trial
    inputs: str
    outputs: str
    runs: dict[str, list[float]]
    windows: list[tuple[int, int]]
    parts: dict[str, InputPart]
    changed: str


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A baseline is the content of a baseline file: trials with their figures.

    Attributes:
        schema: The number of this record's form.
        started: When its first run began; UTC, ISO 8601.
        machine: What identifies the machine and the versions.
        trials: The trials by key.
    """

    schema: int = 1
    started: str
    machine: dict[str, object]
    trials: dict[str, BaselineTrial] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A stored side is a baseline, with facts that decide which trials can be compared.

    Attributes:
        baseline: The figures of those trials whose runs all succeeded.
        sides: The facts on each trial, by key; failed trials are included.
    """

    baseline: Baseline
    sides: dict[str, Side]

    @property
    def failures(self) -> dict[str, str]:
        """Why a run failed, by key of the trials that failed."""
        return {key: one.failure for key, one in self.sides.items() if one.failure}


def from_runs(runs: Iterable[Run]) -> Stored:
    """Return the stored side that consists of these runs.

    A trial with a failed run has no figures in the baseline, because it may fail again.

    Raises:
        UsageError: There are no runs, or the runs are of more than one machine.
    """
    known = runs_with_equal_inputs(store.without_repeats(runs))
    if not known.runs:
        raise UsageError("There are no runs, so there is nothing to compare or save.")
    if len({identity(run.machine) for run in known.runs}) > 1:
        raise UsageError(
            "The runs are of more than one machine or version: guard a folder each."
        )
    seconds = stats.runs(table.from_runs(known.runs))["seconds_per_batch"]
    numbers: dict[str, list[int]] = {}
    for number, run in enumerate(known.runs):
        numbers.setdefault(run.key, []).append(number)
    trials, sides = {}, {}
    for key, own in numbers.items():
        trial_runs = [known.runs[number] for number in own]
        sides[key] = decisions.side(trial_runs, known.changes.get(key, ""))
        if not sides[key].failure:
            trials[key] = _trial(trial_runs, list(seconds[own]), sides[key])
    first = known.runs[0]
    baseline = Baseline(started=first.started, machine=first.machine, trials=trials)
    return Stored(baseline=baseline, sides=sides)


def _trial(runs: list[Run], seconds: list[float], side: Side) -> BaselineTrial:
    """Return one trial's record for the baseline: its runs' figures, and its inputs.

    Args:
        runs: The trial's runs, all of which went well.
        seconds: The mean seconds a batch of each run, in the order of `runs`.
        side: The trial, what identifies its inputs, and what changed between its runs.
    """
    by_metric: dict[str, list[float]] = {}
    for run, own in zip(runs, seconds, strict=True):
        for metric, value in figures(run, own).items():
            by_metric.setdefault(metric, []).append(value)
    return BaselineTrial(
        trial=side.trial,
        inputs=side.inputs.fingerprint,
        outputs=runs[0].measured.output_fingerprint,
        runs=by_metric,
        windows=[
            (len(run.measured.samples), run.measured.batches_per_sample) for run in runs
        ],
        parts=dict(side.inputs.parts),
        changed=side.change,
    )


def figures(run: Run, seconds_per_batch: float) -> dict[str, float]:
    """Return one run's figure for each metric that it has.

    Args:
        run: A run that went well.
        seconds_per_batch: The mean of its samples without what neighbours took, as in
            `stats.runs`.
    """
    seconds = float(seconds_per_batch) / run.trial.pipeline.batch_size
    values = {
        name: METRICS[name].stored_figure(run.measured, seconds)
        for name in applicable(dict.fromkeys(METRICS, 0.0), run.trial)
    }
    return {name: value for name, value in values.items() if value}


def save(baseline: Baseline, path: Path) -> None:
    """Write a baseline, whole or not at all.

    Raises:
        UsageError: The file cannot be written.
    """
    store.write(path, baseline)


def load(path: Path) -> Stored:
    """Read a baseline file.

    Raises:
        UsageError: There is no such file, or it is not a baseline of this schema.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"No baseline at '{path}': {error.strerror}. Make one on this machine with "
            f"guard --save-baseline {path}."
        ) from error
    where, remedy = f"'{path}'", "save it again"
    baseline = store.decode(content, Baseline, where, "a baseline", remedy)
    sides = {
        key: Side(
            trial=one.trial,
            machine=identity(baseline.machine),
            inputs=InputIdentity(one.inputs, one.parts),
            flags=(CHANGED,) if one.changed else (),
            change=one.changed,
        )
        for key, one in baseline.trials.items()
    }
    return Stored(baseline=baseline, sides=sides)


def judge(
    base: Stored, head: Stored, thresholds: Thresholds, *, named: Iterable[str] = ()
) -> list[Row]:
    """Compare each trial of either side with the same trial of the other side.

    Args:
        base: The side to compare with.
        head: The side that is judged.
        thresholds: The thresholds of each trial.
        named: Keys that the user named and that may be on neither side.

    Returns:
        A row for each trial and metric.
    """
    pairs, comparisons = [], []
    for key in dict.fromkeys((*base.sides, *head.sides, *named)):
        sides = [stored.sides.get(key) for stored in (base, head)]
        trials = [stored.baseline.trials.get(key) for stored in (base, head)]
        obstacle = decisions.obstacle(*sides)
        for metric, threshold in _limits(key, sides, trials, thresholds).items():
            pairs.append((key, metric, trials))
            comparisons.append(_comparison(trials, metric, threshold, obstacle))
    judged = decisions.judge(comparisons)
    rows = []
    for pair, comparison, decision in zip(pairs, comparisons, judged, strict=True):
        (key, metric, trials), ratio = pair, decision.ratio
        compared = decision.verdict in verdicts.VERDICTS
        rows.append(
            Row(
                key=key,
                metric=metric,
                threshold=comparison.margin,
                verdict=decision.verdict,
                cause=decision.reason,
                **ratio_figures(ratio),
                count=ratio.count,
                output_changed=compared
                and outputs_differ(*(one.outputs for one in trials)),
            )
        )
    return rows


def _limits(
    key: str,
    sides: list[Side | None],
    trials: list[BaselineTrial | None],
    thresholds: Thresholds,
) -> Mapping[str, float]:
    """Return a trial's thresholds, for those metrics that its pipeline has."""
    trial = next((one.trial for one in reversed(sides) if one), None)
    limits = thresholds(key, trial and decisions.MARGINS[trial.consumer])
    return applicable(limits, trial) if any(trials) else limits


def _comparison(
    trials: list[BaselineTrial | None],
    metric: str,
    threshold: float,
    obstacle: Obstacle | None,
) -> Comparison:
    """Return one metric of both sides, without figures where these do not compare."""
    if obstacle is None or obstacle.verdict in verdicts.VERDICTS:
        reason = _unlike(*trials, metric)
        obstacle = Obstacle("not_comparable", reason) if reason else obstacle
    if obstacle is not None and obstacle.verdict in verdicts.STATES:
        return Comparison(base=[], head=[], margin=threshold, obstacle=obstacle)
    base, head = (one.runs[metric] for one in trials)
    return Comparison(
        base=base,
        head=head,
        margin=threshold,
        obstacle=obstacle,
        only_slower=bool(find(metric).phases),
    )


def _unlike(base: BaselineTrial, head: BaselineTrial, metric: str) -> str:
    """Return why a metric of two sides cannot be compared; empty if it can."""
    if metric not in base.runs or metric not in head.runs:
        return f"one side has no {metric}"
    if find(metric).depends_on_windows:
        return _unlike_windows(base, head, find(metric).short)
    return ""


def _unlike_windows(base: BaselineTrial, head: BaselineTrial, name: str) -> str:
    """Return why the extremes of two sides' windows cannot be compared, or empty."""
    sizes = (np.median(side.windows, axis=0) for side in (base, head))
    nouns = ("windows", "batches in a window")
    for ours, theirs, noun in zip(*sizes, nouns, strict=True):
        if max(ours, theirs) > MOST_UNLIKE * min(ours, theirs):
            return (
                f"a run has {ours:g} {noun} in base and {theirs:g} in head, and the "
                f"{name} depends on that number"
            )
    return ""
