"""Is an edited pipeline faster? Trios of processes that take turns, as in a guard.

The tests of one `advise` are a family. Their number is not known beforehand, so test k
gets the share 1 / (k (k + 1)) of `FALSE_ADVICE`. The shares of any number of tests add
up to less than the whole, so that by Bonferroni's inequality the chance of one `faster`
that is none stays below `FALSE_ADVICE` (unequal shares: Holland and Copenhaver 1987).
What a first look in one process saw is no evidence: it only chooses what is tested.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from bench.guard import session, trio
from bench.guard.case_session import Case, CaseSession
from bench.guard.record import Row
from bench.guard.trio import Side, Trio
from bench.run.protocol import Executor
from bench.trial import Trial

FALSE_ADVICE = 0.05
MARGIN = 0.03
METRIC = "seconds_per_example"
LEAST_TRIOS = 3
MOST_TRIOS = 40
EFFORT = replace(session.EFFORT, window_seconds=0.03, check=False)


def share(number: int) -> float:
    """Return the alpha of the test of this number, from 1."""
    return FALSE_ADVICE / (number * (number + 1))


def compare(
    base: Trial,
    head: Trial,
    server: Executor,
    *,
    alpha: float,
    seconds: float,
    most_seconds: float = 0.0,
    limit_seconds: float = EFFORT.limit_seconds,
    seed: int = 0,
    clock: Callable[[], float] = time.monotonic,
    run_trio: Callable[..., Trio] = trio.run_trio,
    report_progress: Callable[[str], None] = lambda line: None,
) -> Row:
    """Compare two pipelines until head is `faster`, cannot be, or the time is up.

    A test that can no longer end with `faster` stops early. That costs no alpha, as it
    never leads to `faster`.

    Args:
        base: The trial of the pipeline to compare with.
        head: The trial of the edited pipeline.
        server: The started executor of both.
        alpha: The share of false alarms of this test.
        seconds: How long it may take; the third trio may run over it.
        most_seconds: How long it may take to the third trio, and where fresh trios are
            to confirm a gain.
        limit_seconds: How long a process may take to get ready.
        seed: The seed of the processes.
        clock: The monotonic clock, in seconds.
        run_trio: Runs one trio; tests replace it.
        report_progress: Receives one line after each trio.

    Returns:
        The row; its ratio is head's time an example over base's.
    """
    sides = (Side(server, base), Side(server, head))
    case = Case(key="advice", base=sides[0], head=sides[1], thresholds={METRIC: MARGIN})
    test, test_start = CaseSession(case, alpha), clock()
    for number in range(MOST_TRIOS):
        flagged = any(one.flagged == "faster" for one in test.tests)
        few = number < LEAST_TRIOS  # which would settle nothing
        allowed = max(seconds, most_seconds) if flagged or few else seconds
        left = test_start + allowed - clock()
        if not test.open or left < test.least_seconds or hopeless(test.rows()[0]):
            break
        start, turn_seconds = clock(), test.turn_seconds(max(left, 0.0))
        result = run_trio(
            *sides,
            replace(EFFORT, limit_seconds=limit_seconds),
            seconds=turn_seconds,
            seed=seed,
            number=number,
            preparation=test.preparation,
        )
        test.add(result, turn_seconds, clock() - start - turn_seconds)
        report_progress(test.progress().removeprefix("advice: "))
    test.close()
    return test.rows()[0]


def hopeless(row: Row) -> bool:
    """Whether the interval leaves no room for `faster` beyond the margin."""
    looked = row.count >= LEAST_TRIOS and row.low is not None
    return looked and row.low > 1 / (1 + MARGIN)
