"""A stored baseline: runs of each trial in one file, compared where they may be.

Two times are compared that did not take turns, so whatever changed on the machine in
between is in the ratio: the live guard sees far smaller changes. The interval is
Welch's over runs, on the log scale (Welch 1947). It holds how runs differ within each
of the two times, and nothing of what changed from one to the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import msgspec
import numpy as np

from bench import failures, store
from bench.analysis import stats, table, verdicts
from bench.analysis.intervals import as_ratio, between
from bench.data import identity as input_identity
from bench.data.identity import InputIdentity
from bench.errors import UsageError, write_whole
from bench.guard.metrics import METRICS, PHASES, existing, find
from bench.guard.record import Row, Verdict, differ, figure, without_figures
from bench.machine import identity
from bench.run.progress import plural
from bench.trial import InputPart, Run, Trial

SCHEMA = 1
P95 = 95
# Of few windows the 95th percentile is too low, and windows of more batches have a
# lower one. Within this factor that is 1 to 2 % at 8 to 25 windows (simulated).
MOST_UNLIKE = 1.5


@dataclass(frozen=True, kw_only=True)
class BaselineTrial:
    """One trial of a baseline.

    Attributes:
        trial: The whole trial.
        inputs: Fingerprint of its inputs.
        outputs: Fingerprint of its checked first batches; empty if random.
        runs: By metric, one figure a run.
        windows: Of each run, how many windows it has and how many batches are in one;
            empty in files written before it was kept.
        parts: What identifies the features and the labels; empty in older files.
        changed: In what the inputs of its runs differ; empty if they are the same.
    """

    trial: Trial
    inputs: str
    outputs: str
    runs: dict[str, list[float]]
    windows: list[tuple[int, int]] = field(default_factory=list)
    parts: dict[str, InputPart] = field(default_factory=dict)
    changed: str = ""


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """What a baseline file holds.

    Attributes:
        schema: The number of this record's form.
        started: When its first run began; UTC, ISO 8601.
        machine: What identifies the machine and the versions.
        trials: By key.
    """

    schema: int = SCHEMA
    started: str
    machine: dict[str, object]
    trials: dict[str, BaselineTrial] = field(default_factory=dict)


def from_runs(runs: Iterable[Run]) -> tuple[Baseline, dict[str, str]]:
    """The baseline of some runs, and by key why a trial has none.

    A trial with a failed run has none: what fails now and then is not kept as good.

    Raises:
        UsageError: There are no runs, or they are of more than one machine.
    """
    alike = input_identity.alike(store.one_a_round(runs))
    runs = alike.runs
    if not runs:
        raise UsageError("No runs were made, so there is nothing to compare or save.")
    if len({identity(run.machine) for run in runs}) > 1:
        raise UsageError(
            "The runs are of more than one machine or version: guard a folder each."
        )
    found: dict[str, BaselineTrial] = {}
    failed: dict[str, str] = {}
    seconds = stats.runs(table.from_runs(runs))["seconds_per_batch"]
    for number, run in enumerate(runs):
        if run.measured.error:
            failed[run.key] = failures.sentence(run.measured.error)
            continue
        kept = found.setdefault(
            run.key,
            BaselineTrial(
                trial=run.trial,
                inputs=run.measured.input_fingerprint,
                outputs=run.measured.output_fingerprint,
                runs={},
                parts=run.measured.input_parts,
                changed=alike.changes.get(run.key, ""),
            ),
        )
        for metric, value in figures(run, seconds[number]).items():
            kept.runs.setdefault(metric, []).append(value)
        measured = run.measured
        kept.windows.append((len(measured.samples), measured.batches_per_sample))
    good = {key: kept for key, kept in found.items() if key not in failed}
    made = Baseline(started=runs[0].started, machine=runs[0].machine, trials=good)
    return made, failed


def figures(run: Run, seconds_per_batch: float) -> dict[str, float]:
    """One run's figure for each metric that it has.

    Args:
        run: A run that went well.
        seconds_per_batch: The mean of its samples, less what neighbours took: as in
            `stats.runs`.
    """
    measured, size = run.measured, run.trial.pipeline.batch_size
    found = {
        "seconds_per_example": float(seconds_per_batch) / size,
        "latency_p95": float(np.percentile(measured.samples, P95)),
        "longest_stall": max(measured.samples),
        "cpu_seconds_per_example": measured.cpu_seconds_per_example,
        "peak_resident_bytes": measured.peak_resident_bytes,
        **{
            name: METRICS[name].elapsed(measured)
            for name in existing(dict.fromkeys(PHASES, 0.0), run.trial)
        },
    }
    return {name: value for name, value in found.items() if value}


def save(baseline: Baseline, path: Path) -> None:
    """Write a baseline, whole or not at all.

    Raises:
        UsageError: The place cannot be written.
    """
    write_whole(path, msgspec.json.format(msgspec.json.encode(baseline)) + b"\n")


def load(path: Path) -> Baseline:
    """Read a baseline.

    Raises:
        UsageError: There is none, or it is not a baseline of this schema.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"No baseline at '{path}': {error.strerror}. Make one on this machine with "
            f"guard --save-baseline {path}."
        ) from error
    try:
        found = msgspec.json.decode(content, type=Baseline)
    except msgspec.MsgspecError as error:
        raise UsageError(f"'{path}' is not a baseline: {error}.") from error
    if found.schema != SCHEMA:
        raise UsageError(
            f"'{path}' has schema {found.schema}, and this version reads {SCHEMA}: "
            "save it anew."
        )
    return found


def judge(
    baseline: Baseline,
    now: Baseline,
    failed: Mapping[str, str],
    thresholds: Callable[[str], Mapping[str, float]],
    *,
    alpha: float,
    failed_in_base: Mapping[str, str] = MappingProxyType({}),
    asked: Iterable[str] = (),
) -> list[Row]:
    """Each trial of either side, or asked for, against the same trial of the other.

    Args:
        baseline: What is compared with.
        now: The same trials, measured now.
        failed: By key, why a trial that was run now has no figures.
        thresholds: A trial's key to its thresholds by metric.
        alpha: What all intervals together may miss.
        failed_in_base: By key, why a trial of the base has no figures.
        asked: What was asked for besides, and may be on neither side.

    Returns:
        A row a trial and metric.
    """
    same = identity(baseline.machine) == identity(now.machine)
    sides = (*baseline.trials, *failed_in_base, *now.trials, *failed)
    every = dict.fromkeys((*sides, *asked))
    limits = {key: thresholds(key) for key in every}
    for key, one in {**baseline.trials, **now.trials}.items():
        limits[key] = existing(limits.get(key, {}), one.trial)
    share = alpha / max(1, sum(len(limits[key]) for key in baseline.trials))
    rows = []
    for key in every:
        absent = _absent(key, baseline, now, failed_in_base, failed)
        if absent:
            rows += without_figures(key, limits[key], *absent).values()
            continue
        for metric, threshold in limits[key].items():
            about = {"key": key, "metric": metric, "threshold": threshold}
            kept, fresh = baseline.trials[key], now.trials[key]
            why = _unlike(kept, fresh, metric, same=same)
            if why:
                rows.append(Row(**about, verdict="not_comparable", cause=why))
                continue
            rows.append(_row(about, kept, fresh, share))
    return rows


def _absent(
    key: str,
    baseline: Baseline,
    now: Baseline,
    failed_in_base: Mapping[str, str],
    failed: Mapping[str, str],
) -> tuple[Verdict, str] | None:
    """Verdict and cause of a trial that has no figures on one side, or on none."""
    if key in failed:
        return "failed", failed[key]
    if key in failed_in_base:
        return "not_comparable", f"base failed: {failed_in_base[key]}"
    if key not in baseline.trials:
        return "not_comparable", "it is not in base"
    if key not in now.trials:
        return "missing", "it is in base and was not run now"
    return None


def _row(
    about: dict,
    kept: BaselineTrial,
    fresh: BaselineTrial,
    alpha: float,
) -> Row:
    metric = about["metric"]
    sides = fresh.runs[metric], kept.runs[metric]
    found = as_ratio(between(*sides), min(map(len, sides)), alpha)
    few = found.count < verdicts.FEWEST_ROUNDS
    verdict = verdicts.verdict(found, about["threshold"])
    if verdict == "unknown" and find(metric).phases:  # only a slow-down is asked for
        verdict = "unchanged" if found.high <= 1 + about["threshold"] else verdict
    return Row(
        **about,
        verdict="unknown" if few else verdict,
        cause=f"{plural(found.count, 'run')} of a side: too few to tell" if few else "",
        ratio=found.estimate,
        low=figure(found.low),
        high=figure(found.high),
        count=found.count,
        output_changed=differ(kept.outputs, fresh.outputs),
    )


def _unlike(
    kept: BaselineTrial, fresh: BaselineTrial, metric: str, *, same: bool
) -> str:
    """Why two runs of a trial cannot be compared, or empty."""
    if not same:
        return "the baseline is from another machine or other versions"
    if kept.trial != fresh.trial:
        return "the whole pipeline behind this key differs"
    for side in (kept, fresh):
        if side.changed:
            return f"its data changed between rounds. {side.changed}"
    inputs = (InputIdentity(side.inputs, side.parts) for side in (kept, fresh))
    if differing := input_identity.difference(*inputs):
        return differing
    if metric not in kept.runs or metric not in fresh.runs:
        return f"one side has no {metric}"
    if metric in ("latency_p95", "longest_stall"):
        return _unlike_windows(kept, fresh, find(metric).short)
    return ""


def _unlike_windows(kept: BaselineTrial, fresh: BaselineTrial, name: str) -> str:
    """Why what is far out in two sides' windows cannot be compared, or empty."""
    if not kept.windows:
        return "the baseline does not say how many windows it rests on: save it anew"
    base, head = (np.median(side.windows, axis=0) for side in (kept, fresh))
    for a, b, what in zip(base, head, ("windows", "batches in a window"), strict=True):
        if max(a, b) > MOST_UNLIKE * min(a, b):
            return (
                f"a run has {a:g} {what} in base and {b:g} in head, and the "
                f"{name} depends on that number"
            )
    return ""
