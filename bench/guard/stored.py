"""This module guards on stored figures: a baseline file, or two result folders."""

from __future__ import annotations

import datetime
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bench import machine, store
from bench.errors import UsageError, check_writable
from bench.guard import baseline, metrics
from bench.guard.baseline import Baseline, Stored, Thresholds
from bench.guard.live import GuardRequest
from bench.guard.record import GuardResult
from bench.plan import plan
from bench.run import progress, rounds
from bench.run.executors import executor
from bench.trial import Run, Trial

LEAST_ROUNDS = 3


def save(
    path: Path, request: GuardRequest, folder: Path
) -> tuple[Baseline, Mapping[str, str]]:
    """Measure the wanted trials and write them as a baseline, unless one failed.

    Args:
        path: The baseline's file.
        request: What is measured, and for how long.
        folder: The result folder that stores each run as it ends.

    Returns:
        The baseline, and by key why a trial failed; if any failed, nothing is written.

    Raises:
        UsageError: The file or the folder cannot be written.
    """
    check_writable(path)
    planned = plan.plan_sweep(
        request.sweep, request.sweep.effort, request.seed, request.budget_seconds,
        request.data,
    )  # fmt: skip
    for line in [*planned.notes, *plan.refusal_lines(planned.refused)]:
        request.report_progress(line)
    measured = baseline.from_runs(_measured(planned.trials, request, folder))
    failures = measured.failures | {
        key: f"its data changed between rounds. {one.changed}"
        for key, one in measured.baseline.trials.items()
        if one.changed
    }
    if not failures:
        baseline.save(measured.baseline, path)
    return measured.baseline, failures


def against_baseline(path: Path, request: GuardRequest, folder: Path) -> GuardResult:
    """Run a baseline's trials now, and compare.

    On another machine nothing is measured, as no trial would be comparable.

    Args:
        path: The baseline's file.
        request: How strictly, and for how long. Workloads that the user named narrow
            the baseline's trials; one that the baseline lacks gets a row as well.
        folder: The result folder that stores each run as it ends.

    Raises:
        UsageError: The file is not a baseline, or has none of the wanted trials; or the
            folder cannot be written.
    """
    base = baseline.load(path)
    named = [name for block in request.sweep.blocks for name in block.workloads]
    named = named if request.named else []
    sides = {
        key: one
        for key, one in base.sides.items()
        if not named or one.trial.workload in named
    }
    if not sides:
        raise UsageError(
            f"'{path}' has no trial of {', '.join(sorted(named))}; it has "
            f"{', '.join(base.sides)}."
        )
    present = {one.trial.workload for one in sides.values()}
    base = replace(base, sides=sides)
    conditions, start = machine.Conditions(), time.monotonic()
    here = machine.fingerprint()
    runs: list[Run] = []
    notes: list[str] = []
    if machine.identity(base.baseline.machine) == machine.identity(here):
        trials = [one.trial for one in sides.values()]
        notes = plan.data_notes(trials)
        for note in notes:
            request.report_progress(note)
        runs = _measured(trials, request, folder)
        head = baseline.from_runs(runs)
    else:
        head = Stored(
            baseline=replace(base.baseline, machine=here),
            sides={
                key: replace(one, machine=machine.identity(here))
                for key, one in sides.items()
            },
        )
    spent = sum(run.measured.process_cpu_seconds for run in runs)
    return _result(
        base,
        head,
        request.thresholds,
        names=(f"baseline {path} of {base.baseline.started[:10]}", "this machine now"),
        named=[name for name in named if name not in present],
        notes=notes,
        seconds=time.monotonic() - start,
        conditions=conditions.read(spent),
    )


def folders(a: Path, b: Path, thresholds: Thresholds) -> GuardResult:
    """Compare two result folders: is B slower than A?

    Args:
        a: The folder of base.
        b: The folder of head.
        thresholds: The thresholds of each trial.

    Raises:
        UsageError: A folder cannot be read, is empty, or mixes machines.
    """
    sides, notes = [], []
    for folder in (a, b):
        runs, odd = store.load(folder)
        if not runs:
            raise UsageError(f"'{folder}' has no runs, so there is nothing to compare.")
        sides.append(baseline.from_runs(runs))
        notes += odd
    return _result(*sides, thresholds, names=(str(a), str(b)), notes=notes)


def _result(
    base: Stored,
    head: Stored,
    thresholds: Thresholds,
    *,
    names: tuple[str, str],
    named: Sequence[str] = (),
    notes: Sequence[str] = (),
    **measured: object,
) -> GuardResult:
    """Return the record of two sides; `measured` are further fields of the record."""
    rows = baseline.judge(base, head, thresholds, named=named)
    trials = [
        stored.sides[key].trial
        for stored in (base, head)
        for key in stored.baseline.trials
        if key in stored.sides
    ]
    left_out = metrics.not_compared(trials, {row.metric for row in rows})
    return GuardResult(
        base=names[0],
        head=names[1],
        how="stored",
        rows=rows,
        not_looked_at=[f"{', '.join(left_out)}; --metric adds them."]
        if left_out and trials
        else [],
        false_alarms=None,
        started=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        machine=head.baseline.machine,
        notes=list(notes),
        **measured,
    )


def _measured(
    trials: Sequence[Trial], request: GuardRequest, folder: Path
) -> list[Run]:
    """Return the runs of as many rounds as the budget allows, and of three at least."""
    deadline = time.monotonic() + request.budget_seconds
    count, total = 0, len(trials) * request.sweep.effort.rounds

    def time_is_up() -> bool:
        return count >= LEAST_ROUNDS * len(trials) and time.monotonic() > deadline

    server, runs = executor(), []
    measuring = rounds.rounds(
        trials,
        server,
        replace(request.sweep.effort, facts=False),
        sweep="guard",
        seed=request.seed,
        time_is_up=time_is_up,
    )
    remedy = "Each run is stored there as it ends: make the folder writable."
    with store.locked(folder, remedy):
        try:
            for run in measuring:
                store.append(folder, run)
                count += not run.repeat
                runs.append(run)
                request.report_progress(f"[{count}/{total}] {progress.run_line(run)}")
        except KeyboardInterrupt:
            if runs:
                counted = progress.run_count(runs)
                request.report_progress(
                    f"{counted} stored in {folder}; for guard A B, and for report."
                )
            raise
        finally:
            measuring.close()  # ends the server and what still runs in it
    return runs
