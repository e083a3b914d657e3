"""The guard on stored figures: a baseline file, or two result folders."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bench import machine, store
from bench.errors import UsageError, check_writable
from bench.guard import baseline, metrics
from bench.guard.baseline import Baseline
from bench.guard.live import Wanted
from bench.guard.record import GuardResult
from bench.guard.session import FALSE_ALARMS
from bench.plan import plan
from bench.run import progress, rounds
from bench.run.executors import executor
from bench.trial import Run, Trial

LEAST_ROUNDS = 3


def save(path: Path, wanted: Wanted, folder: Path) -> tuple[Baseline, dict[str, str]]:
    """Measure the wanted trials and write them as a baseline, unless one failed.

    Args:
        path: The baseline's file.
        wanted: What is measured, and for how long.
        folder: Where each run is kept as it ends.

    Returns:
        The baseline, and by key why a trial failed; if one did, nothing is written.

    Raises:
        UsageError: The file or the folder cannot be written.
    """
    check_writable(path)
    made = plan.plan_sweep(
        wanted.sweep, wanted.sweep.effort, wanted.seed, wanted.budget_seconds,
        wanted.data,
    )  # fmt: skip
    for line in plan.left_out(made.refused):
        wanted.said(line)
    found, failed = baseline.from_runs(_measured(made.trials, wanted, folder))
    failed = failed | {
        key: f"its data changed between rounds. {one.changed}"
        for key, one in found.trials.items()
        if one.changed
    }
    if not failed:
        baseline.save(found, path)
    return found, failed


def against_baseline(path: Path, wanted: Wanted, folder: Path) -> GuardResult:
    """Run a baseline's trials now, and compare.

    Args:
        path: The baseline's file.
        wanted: How strictly, and for how long; its workloads narrow the baseline's
            trials where the user named some, and one that it lacks is a row as well.
        folder: Where each run is kept as it ends.

    Raises:
        UsageError: It is not a baseline, or has none of the wanted trials; or the
            folder cannot be written.
    """
    kept = baseline.load(path)
    named = [name for block in wanted.sweep.blocks for name in block.workloads]
    named = named if wanted.named else []
    trials = {
        key: one.trial
        for key, one in kept.trials.items()
        if not named or one.trial.workload in named
    }
    if not trials:
        raise UsageError(
            f"'{path}' has no trial of {', '.join(sorted(named))}; it has "
            f"{', '.join(kept.trials)}."
        )
    there = {trial.workload for trial in trials.values()}
    kept = replace(kept, trials={key: kept.trials[key] for key in trials})
    conditions, start = machine.Conditions(), time.monotonic()
    runs: list[Run] = []
    if machine.identity(kept.machine) != machine.identity(machine.fingerprint()):
        now, failed = replace(kept, machine=machine.fingerprint()), {}
    else:
        runs = _measured(list(trials.values()), wanted, folder)
        now, failed = baseline.from_runs(runs)
    spent = sum(run.measured.process_cpu_seconds for run in runs)
    return _judged(
        (kept, {}),
        (now, failed),
        wanted.thresholds,
        base=f"baseline {path} of {kept.started[:10]}",
        head="this machine now",
        asked=[name for name in named if name not in there],
        seconds=time.monotonic() - start,
        conditions=conditions.read(spent),
    )


def folders(a: Path, b: Path, thresholds: Callable[[str], Mapping]) -> GuardResult:
    """Two result folders: is B slower than A?

    Args:
        a: The base.
        b: The head.
        thresholds: A trial's key to its thresholds by metric.

    Raises:
        UsageError: A folder cannot be read, is empty, or mixes machines.
    """
    sides, odd = [], []
    for folder in (a, b):
        runs, notes = store.load(folder)
        if not runs:
            raise UsageError(f"'{folder}' has no runs, so there is nothing to compare.")
        sides.append(baseline.from_runs(runs))
        odd += notes
    return _judged(*sides, thresholds, base=str(a), head=str(b), odd=odd)


def _judged(
    base_side: tuple[Baseline, Mapping[str, str]],
    head_side: tuple[Baseline, Mapping[str, str]],
    thresholds: Callable[[str], Mapping[str, float]],
    *,
    asked: Sequence[str] = (),
    odd: Sequence[str] = (),
    **about: object,
) -> GuardResult:
    """The record of two sides, each with why trials of it failed."""
    (kept, failed_in_base), (now, failed) = base_side, head_side
    rows = baseline.judge(
        kept,
        now,
        failed,
        thresholds,
        alpha=FALSE_ALARMS,
        failed_in_base=failed_in_base,
        asked=asked,
    )
    trials = [one.trial for side in (kept, now) for one in side.trials.values()]
    left_out = metrics.left_out(trials, {row.metric for row in rows})
    return GuardResult(
        how="stored",
        rows=rows,
        not_looked_at=[f"{', '.join(left_out)}; --metric adds them."]
        if left_out and trials
        else [],
        false_alarms=None,
        started=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        machine=now.machine,
        notes=[*odd],
        **about,
    )


def _measured(trials: Sequence[Trial], wanted: Wanted, folder: Path) -> list[Run]:
    """Rounds of the trials, for as long as the budget allows; three at the least."""
    deadline = time.monotonic() + wanted.budget_seconds
    count, total = 0, len(trials) * wanted.sweep.effort.rounds

    def time_is_up() -> bool:
        return count >= LEAST_ROUNDS * len(trials) and time.monotonic() > deadline

    server, runs = executor(), []
    made = rounds.rounds(
        trials,
        server,
        replace(wanted.sweep.effort, facts=False),
        sweep="guard",
        seed=wanted.seed,
        time_is_up=time_is_up,
    )
    with store.locked(folder, "Each run is kept there as it ends: make it writable."):
        try:
            for run in made:
                store.append(folder, run)
                count += not run.repeat
                runs.append(run)
                wanted.said(f"[{count}/{total}] {progress.run_line(run)}")
        except KeyboardInterrupt:
            if runs:
                kept = progress.counted(runs)
                wanted.said(f"{kept} kept in {folder}; for guard A B, and for report.")
            raise
        finally:
            made.close()  # ends the server and what still runs in it
    return runs
