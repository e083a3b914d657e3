"""The guard on stored figures: a baseline file, or two result folders."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bench import baseline, machine, plan, progress, runner, store
from bench.baseline import Baseline
from bench.errors import UsageError, check_writable
from bench.guard import FALSE_ALARMS
from bench.guarded import Guarded
from bench.live import Wanted
from bench.processes import executor
from bench.trial import Run, Trial

LEAST_ROUNDS = 3


def save(path: Path, wanted: Wanted) -> Baseline:
    """Measure the wanted trials and write them as a baseline.

    Raises:
        UsageError: A trial failed, or the file cannot be written.
    """
    check_writable(path)
    made = plan.make(
        wanted.sweep, wanted.sweep.effort, wanted.seed, wanted.budget_seconds,
        wanted.data,
    )  # fmt: skip
    found, failed = baseline.of(_measured(made.trials, wanted))
    if failed:
        key, why = next(iter(failed.items()))
        raise UsageError(f"'{key}' failed, so no baseline is saved: {why}")
    baseline.save(found, path)
    return found


def against_baseline(path: Path, wanted: Wanted, scale_by: str = "") -> Guarded:
    """Run a baseline's trials now, and compare.

    Args:
        path: The baseline's file.
        wanted: How strictly, and for how long; its workloads narrow the baseline's
            trials where the user named some.
        scale_by: A trial of the baseline that stands for the machine's speed.

    Raises:
        UsageError: It is not a baseline, or has none of the wanted trials.
    """
    kept = baseline.load(path)
    named = {name for block in wanted.sweep.blocks for name in block.workloads}
    trials = {
        key: one.trial
        for key, one in kept.trials.items()
        if not wanted.named or one.trial.workload in named or key == scale_by
    }
    if not trials:
        raise UsageError(
            f"'{path}' has no trial of {', '.join(sorted(named))}; it has "
            f"{', '.join(kept.trials)}."
        )
    kept = replace(kept, trials={key: kept.trials[key] for key in trials})
    conditions, start = machine.Conditions(), time.monotonic()
    if not scale_by and machine.identity(kept.machine) != machine.identity(
        machine.fingerprint()
    ):
        now, failed = replace(kept, machine=machine.fingerprint()), {}
    else:
        now, failed = baseline.of(_measured(list(trials.values()), wanted))
    return _judged(
        kept, now, failed, wanted.thresholds,
        base=f"baseline {path} of {kept.started[:10]}",
        head="this machine now",
        scale_by=scale_by,
        seconds=time.monotonic() - start,
        conditions=conditions.read(0.0),
    )  # fmt: skip


def folders(a: Path, b: Path, thresholds: Callable[[str], Mapping]) -> Guarded:
    """Two result folders: is B slower than A?

    Args:
        a: The base.
        b: The head.
        thresholds: A trial's key to its thresholds by metric.

    Raises:
        UsageError: A folder cannot be read, is empty, or mixes machines.
    """
    sides = [baseline.of(store.load(folder)[0]) for folder in (a, b)]
    (base, base_failed), (head, failed) = sides
    found = _judged(base, head, failed, thresholds, base=str(a), head=str(b))
    notes = [f"'{key}' failed in base, so not judged." for key in base_failed]
    return replace(found, notes=[*found.notes, *notes])


def _judged(
    base_side: Baseline,
    head_side: Baseline,
    failed: Mapping[str, str],
    thresholds: Callable[[str], Mapping[str, float]],
    *,
    scale_by: str = "",
    **about: object,
) -> Guarded:
    rows, notes = baseline.judge(
        base_side,
        head_side,
        failed,
        {key: thresholds(key) for key in base_side.trials},
        alpha=FALSE_ALARMS,
        scale_by=scale_by,
    )
    return Guarded(
        how="stored",
        rows=rows,
        false_alarms=None,
        started=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        machine=head_side.machine,
        notes=notes,
        **about,
    )


def _measured(trials: Sequence[Trial], wanted: Wanted) -> list[Run]:
    """Rounds of the trials, for as long as the budget allows; three at the least."""
    deadline = time.monotonic() + wanted.budget_seconds
    count, total = 0, len(trials) * wanted.sweep.effort.rounds

    def time_is_up() -> bool:
        return count >= LEAST_ROUNDS * len(trials) and time.monotonic() > deadline

    server, runs = executor(), []
    made = runner.rounds(
        trials,
        server,
        replace(wanted.sweep.effort, facts=False),
        sweep="guard",
        seed=wanted.seed,
        time_is_up=time_is_up,
    )
    for run in made:
        count += not run.repeat
        runs.append(run)
        wanted.said(f"[{count}/{total}] {progress.told(run)}")
    return runs
