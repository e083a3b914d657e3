"""A session guards trials live: is head slower than base? Processes of both take turns.

Each trial gets trios of processes (see `trio`) until its verdict is settled or the time
is up. `slower` needs the whole interval beyond the threshold, and two sets of trios
that agree. A control that differs from base makes the verdict `unknown`. Intervals hold
jointly: the rows of turns share alpha (Bonferroni; Dunn 1961), and each row shares its
part among its looks (`sequential_test.RowTest`). Phases happen once a process and have
rows of their own (`phase_test.PhaseTest`), which hardly raise the rate of false alarms.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from bench import machine
from bench.guard import metrics, trio
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
    run_trio: Callable[..., Trio] = trio.run_trio,
    report_progress: Callable[[str], None] = lambda line: None,
    notes: Iterable[str] = (),
) -> GuardResult:
    """Guard cases by processes that take turns.

    Args:
        cases: The cases, whose servers are started.
        base: A description of base.
        head: A description of head.
        budget_seconds: When to stop, whether or not the verdicts are settled.
        effort: Calibration and warm-up.
        seed: The seed of the processes.
        clock: The monotonic clock, in seconds.
        run_trio: Runs one trio; tests replace it.
        report_progress: Receives one line after each trio.
        notes: Lines for the result's notes.

    Returns:
        The result. A case that failed or that only one side has is a row as well. A
        case that is still open when no more processes can be started is a row, too.

    Raises:
        Interrupted: The user pressed Ctrl-C. The error holds the result so far.
    """
    conditions, start = machine.Conditions(), clock()
    started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    cases = list(cases)
    rows = sum(not METRICS[name].phases for case in cases for name in case.thresholds)
    alpha = FALSE_ALARMS / max(1, rows)
    sessions = [CaseSession(case, alpha) for case in cases]
    interrupted = False
    try:
        _run_trios(
            sessions,
            run_trio,
            effort,
            seed,
            start + budget_seconds,
            clock,
            report_progress,
        )
    except (CannotStart, OSError) as error:  # such as too little disk or memory
        for session in sessions:
            session.end("failed", str(error))
    except KeyboardInterrupt:
        interrupted = True
        for session in sessions:
            session.interrupt()
    tests = [test for session in sessions for test in session.tests]
    result = GuardResult(
        base=base,
        head=head,
        how="lockstep",
        rows=[row for session in sessions for row in session.rows()],
        control=[test.control_row() for test in tests if test.controls],
        seconds_per_example={
            session.case.key: session.seconds_per_example()
            for session in sessions
            if session.head_seconds
        },
        false_alarms=FALSE_ALARMS,
        started=started,
        seconds=clock() - start,
        seed=seed,
        machine=machine.fingerprint(),
        conditions=conditions.read(sum(session.cpu_seconds for session in sessions)),
        notes=list(notes),
        not_looked_at=_not_covered(sessions),
    )
    if interrupted:
        raise Interrupted(result)
    return result


def _not_covered(sessions: Sequence[CaseSession]) -> list[str]:
    """Return what no verdict covers: other metrics, rare costs, phases with no row."""
    cases = [session.case for session in sessions if session.case.head]
    trials = [case.head.trial for case in cases]
    compared = {name for case in cases for name in case.thresholds}
    names = metrics.not_compared(trials, compared)
    lines = [f"{', '.join(names)}; --metric adds them."] if names else []
    without = [s.case.key for s in sessions if not s.case.thresholds]
    if without:
        lines.append(f"{', '.join(without)}, which has none of the metrics named.")
    met = [
        f"{session.batches_met:,} batches of {session.case.key}"
        for session in sessions
        if session.batches_met
    ]
    if met:
        lines.append(f"costs that come less than once in {', or in '.join(met)}.")
    for session in sessions:
        for name, why in session.left_out.items():
            lines.append(f"{METRICS[name].short} of {session.case.key}: {why}.")
    return lines


def _run_trios(
    sessions: Sequence[CaseSession],
    run_trio: Callable[..., Trio],
    effort: Effort,
    seed: int,
    deadline: float,
    clock: Callable[[], float],
    report_progress: Callable[[str], None],
) -> None:
    """Run a trio of each open case in turn until all are settled or the time is up."""
    for number in range(MOST_TRIOS):
        pending = [session for session in sessions if session.open]
        for place, session in enumerate(pending):
            left = deadline - clock()
            if left < session.least_seconds:
                session.close()
                continue
            start = clock()
            seconds = session.turn_seconds(left / (len(pending) - place))
            result = run_trio(
                session.case.base,
                session.case.head,
                replace(
                    effort,
                    check=effort.check and session.checks_next,
                    phases=session.judges_phases,
                ),
                seconds=seconds,
                seed=seed,
                number=number,
                preparation=session.preparation,
            )
            session.add(result, seconds, clock() - start - seconds)
            report_progress(session.progress())
    for session in sessions:
        session.close()
