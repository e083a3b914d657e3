"""Verdicts from live processes: is head slower than base? Both take turns.

Each trial gets trios of processes (see `lockstep`) until its verdict is settled or the
time is up. `slower` needs the whole interval beyond the threshold, and two sets of
trios that agree; a control that wanders makes it `unknown`, which blames nobody.
Intervals hold jointly: alpha is shared among the rows of turns (Bonferroni; Dunn 1961),
and within a row over its looks (`watch.Watch`). What happens once a process has rows of
its own (`phase_watch.PhaseWatch`), which add next to nothing to false alarms.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from bench import machine
from bench.guard import metrics
from bench.guard import trio as lockstep
from bench.guard.case_session import Case, CaseSession
from bench.guard.metrics import METRICS
from bench.guard.record import BUDGET_SECONDS, GuardResult, Interrupted
from bench.guard.trio import Trio
from bench.run.protocol import CannotStart
from bench.trial import Effort

FALSE_ALARMS = 0.05
MOST_TRIOS = 100
EFFORT = Effort(
    window_seconds=0.005, warmup_seconds=0.4, limit_seconds=120.0, facts=False
)


def live(
    cases: Iterable[Case],
    *,
    base: str,
    head: str,
    budget_seconds: float = BUDGET_SECONDS,
    effort: Effort = EFFORT,
    seed: int = 0,
    clock: Callable[[], float] = time.monotonic,
    trio: Callable[..., Trio] = lockstep.trio,
    said: Callable[[str], None] = lambda line: None,
    notes: Iterable[str] = (),
) -> GuardResult:
    """Guard cases by processes that take turns.

    Args:
        cases: What to compare; their servers are started.
        base: What is compared with, in words.
        head: What is judged, in words.
        budget_seconds: When to stop, settled or not.
        effort: Of calibration and warm-up.
        seed: Of the processes.
        clock: Seconds, monotonic.
        trio: Makes one trio; `lockstep.trio` but in tests.
        said: Told what is being settled.
        notes: To put on the record.

    Returns:
        The record. A case that failed, or is on one side only, is a row as well; so is
        what is open when processes cannot be had any more.

    Raises:
        Interrupted: Ctrl-C, with the record as it stands.
    """
    conditions, start = machine.Conditions(), clock()
    started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    cases = list(cases)
    shared = sum(not METRICS[name].phases for case in cases for name in case.thresholds)
    alpha = FALSE_ALARMS / max(1, shared)
    hearings = [CaseSession(case, alpha) for case in cases]
    interrupted = False
    try:
        _hear(hearings, trio, effort, seed, start + budget_seconds, clock, said)
    except (CannotStart, OSError) as error:  # as for want of disk, memory or files
        for hearing in hearings:
            hearing.end("failed", str(error))
    except KeyboardInterrupt:
        interrupted = True
        for hearing in hearings:
            hearing.interrupt()
    watches = [watch for hearing in hearings for watch in hearing.watches]
    found = GuardResult(
        base=base,
        head=head,
        how="lockstep",
        rows=[row for hearing in hearings for row in hearing.rows()],
        control=[watch.control_row() for watch in watches if watch.controls],
        seconds_per_example={
            hearing.case.key: hearing.seconds_per_example()
            for hearing in hearings
            if hearing.head_seconds
        },
        false_alarms=FALSE_ALARMS,
        started=started,
        seconds=clock() - start,
        seed=seed,
        machine=machine.fingerprint(),
        conditions=conditions.read(sum(hearing.cpu_seconds for hearing in hearings)),
        notes=list(notes),
        not_looked_at=_left_out(hearings),
    )
    if interrupted:
        raise Interrupted(found)
    return found


def _left_out(hearings: Sequence[CaseSession]) -> list[str]:
    """What the verdicts say nothing of: other metrics, and phases without a row."""
    cases = [hearing.case for hearing in hearings if hearing.case.head]
    trials = [case.head.trial for case in cases]
    looked_at = {name for case in cases for name in case.thresholds}
    names = metrics.left_out(trials, looked_at)
    lines = [f"{', '.join(names)}; --metric adds them."] if names else []
    without = [h.case.key for h in hearings if not h.case.thresholds]
    if without:
        lines.append(f"{', '.join(without)}: no metric that was asked for is there.")
    met = [
        f"{hearing.batches_met:,} batches of {hearing.case.key}"
        for hearing in hearings
        if hearing.batches_met
    ]
    if met:
        lines.append(f"what comes less than once in {', or in '.join(met)}.")
    for hearing in hearings:
        for name, why in hearing.left_out.items():
            lines.append(f"{METRICS[name].short} of {hearing.case.key}: {why}.")
    return lines


def _hear(
    hearings: Sequence[CaseSession],
    trio: Callable[..., Trio],
    effort: Effort,
    seed: int,
    deadline: float,
    clock: Callable[[], float],
    said: Callable[[str], None],
) -> None:
    """Trios of each in turn until all are settled or the time is up, then the end."""
    for number in range(MOST_TRIOS):
        pending = [hearing for hearing in hearings if hearing.open]
        for place, hearing in enumerate(pending):
            left = deadline - clock()
            share = left / (len(pending) - place)
            if left < hearing.lasts:
                hearing.close()
                continue
            begun, seconds = clock(), hearing.turn_seconds(share)
            one = trio(
                hearing.case.base,
                hearing.case.head,
                replace(
                    effort,
                    check=effort.check and hearing.checks,
                    phases=hearing.judges_phases,
                ),
                seconds=seconds,
                seed=seed,
                number=number,
                warmed=hearing.warmed,
            )
            hearing.hear(one, seconds, clock() - begun - seconds)
            said(hearing.progress())
    for hearing in hearings:
        hearing.close()
