"""Tests of phases: one that grew is slower or unknown, an equal one is unchanged."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from trios import trio

from bench.errors import Exit
from bench.guard import session
from bench.guard.case_session import Case
from bench.guard.phase_test import PhaseTest
from bench.guard.record import exit_code
from bench.guard.trio import Side, Trio
from bench.run.turns import PROTOCOL
from bench.trial import Measured, Trial

LIMITS = {"seconds_per_example": 0.03, "fill_seconds": 0.20}
TRIAL = Trial(workload="prose")


def of(fill: np.ndarray, work: np.ndarray | None = None, seed: int = 0) -> Trio:
    """Return a trio whose base, control and head filled the cache in these seconds."""
    work = fill if work is None else work
    measured = [
        Measured(phases={"fill": float(one)}, phase_work={"fill": float(own)})
        for one, own in zip(fill, work, strict=True)
    ]
    return replace(trio(noise=0.005, seed=seed), measured=measured)


def filled(
    rng: np.random.Generator, head: float, scatter: float, usual: float = 0.1
) -> Trio:
    """Return a trio whose head takes so many times as long, beside other work."""
    logs = rng.normal(0, scatter, 3) + np.log([usual, usual, usual * head])
    # Bursts make one process in ten take up to half as long again.
    logs += (rng.random(3) < 0.1) * rng.random(3) * np.log(1.5)
    return of(np.exp(logs))


def guarded(make, limits=LIMITS, budget_seconds: float = 40.0, efforts=None):
    """Guard synthetic trios; each takes the seconds of its turns and one more."""
    now, numbers = [0.0], itertools.count()

    def one(base, head, effort, *, seconds, seed, number, preparation) -> Trio:
        now[0] += seconds + 1
        if efforts is not None:
            efforts.append(effort.phases)
        return make(next(numbers))

    case = Case(key="x", base=Side(None, TRIAL), head=Side(None, TRIAL))
    case.base.__dict__["server"] = case.head.__dict__["server"] = _Server()
    return session.live(
        [replace(case, thresholds=limits)],
        base="a",
        head="b",
        budget_seconds=budget_seconds,
        clock=lambda: now[0],
        run_trio=one,
    )


class _Server:
    protocol = PROTOCOL


def finished(make, trios: int) -> PhaseTest:
    """Return a phase test after so many trios, or fewer if it settles before."""
    test = PhaseTest("x", "fill_seconds", 0.20)
    for _ in range(trios):
        if test.open:
            test.add(make())
    test.finish()
    return test


@pytest.mark.parametrize("scatter", [0.03, 0.10])
def test_equal_phases_are_unchanged_and_never_slower(scatter: float) -> None:
    """A few are unknown. 100 guards have 16 trios each at most."""
    rng = np.random.default_rng(1)
    verdicts = [
        finished(lambda: filled(rng, 1.0, scatter), 16).verdict for _ in range(100)
    ]
    assert verdicts.count("slower") == 0
    assert verdicts.count("unchanged") >= 0.93 * len(verdicts)


@pytest.mark.parametrize(
    ("head", "scatter", "most_unchanged", "least_slower"),
    [
        (1.2, 0.03, 0.01, 0.4),
        (1.2, 0.10, 0.03, 0.0),
        (1.35, 0.10, 0.0, 0.3),
        (13.0, 0.10, 0.0, 1.0),
    ],
)
def test_a_phase_that_grew_by_a_fifth_or_more_is_slower_or_unknown(
    head, scatter, most_unchanged, least_slower
):
    rng = np.random.default_rng(2)
    verdicts = [
        finished(lambda: filled(rng, head, scatter), 16).verdict for _ in range(100)
    ]
    assert verdicts.count("unchanged") <= most_unchanged * len(verdicts)
    assert verdicts.count("slower") >= least_slower * len(verdicts)


def test_a_guard_names_the_phase_that_grew() -> None:
    rng = np.random.default_rng(3)
    result = guarded(lambda n: filled(rng, 13.0, 0.03))
    rows = {row.metric: row for row in result.rows}
    assert rows["seconds_per_example"].verdict == "unchanged"
    assert rows["fill_seconds"].verdict == "slower"
    assert rows["fill_seconds"].ratio == pytest.approx(13, rel=0.1)
    assert exit_code(result) == Exit.NO
    assert [row.metric for row in result.control] == list(LIMITS)


def test_a_guard_of_equal_phases_passes_and_lists_what_it_does_not_look_at() -> None:
    rng = np.random.default_rng(4)
    result = guarded(lambda n: filled(rng, 1.0, 0.03))
    assert exit_code(result) == Exit.OK
    (line,) = result.not_looked_at
    others = "p95 of windows, longest stall, CPU, memory, adapt, first batch"
    assert line == f"{others}; --metric adds them."


def test_processes_start_one_by_one_until_the_phases_are_settled() -> None:
    """Then all start at once, which is faster and does not disturb the turns."""
    efforts: list[bool] = []
    quiet = np.full(3, 0.1)
    guarded(
        lambda n: replace(of(quiet), turns=trio(noise=1.0, seed=n, rounds=40).turns),
        efforts=efforts,
    )
    assert efforts == [True] * 5 + [False] * (len(efforts) - 5)
    assert len(efforts) > 5


def test_a_phase_that_scatters_too_much_is_unknown() -> None:
    rng = np.random.default_rng(5)
    result = guarded(lambda n: filled(rng, 1.2, 0.3), budget_seconds=12.0)
    row = result.rows[1]
    assert (row.verdict, row.threshold) == ("unknown", 0.2)
    assert row.cause == "a slow-down of 20 % is neither certain nor excluded"
    assert exit_code(result) == Exit.UNKNOWN


def test_the_limit_follows_the_scatter_of_the_control() -> None:
    """The limit goes from half the threshold to the whole threshold."""
    limits = []
    for scatter in (0.01, 0.08, 0.3):
        rng = np.random.default_rng(6)
        test = PhaseTest("x", "fill_seconds", 0.20)
        for _ in range(5):
            test.add(of(np.exp(rng.normal(-2, scatter, 3))))
        limits.append(test.row().threshold)
    assert limits[0] == 0.10 < limits[1] <= limits[2] == 0.20


def test_a_short_phase_is_judged_by_seconds_or_not_at_all() -> None:
    """Twice 6 ms is more than 5 ms more; a phase of 2 ms is left out with a note."""
    rng = np.random.default_rng(7)
    test = finished(lambda: filled(rng, 1.4, 0.02, usual=0.006), 16)
    assert (test.verdict, test.left_out) == ("unchanged", "")
    assert test.row().threshold == pytest.approx(5 / 6, rel=0.05)
    test = finished(lambda: filled(rng, 3.0, 0.02, usual=0.006), 16)
    assert test.verdict == "slower"
    result = guarded(lambda n: filled(rng, 1.5, 0.02, usual=0.002))
    assert [row.metric for row in result.rows] == ["seconds_per_example"]
    assert result.not_looked_at[1] == (
        "fill of x: it takes less than 5 ms on both sides."
    )


def test_lost_parallelism_shows_by_the_clock_alone() -> None:
    """Head works as much as before, in twice the time."""
    rng = np.random.default_rng(8)

    def make() -> Trio:
        work = np.exp(rng.normal(np.log(0.2), 0.05, 3))
        return of(work * [0.5, 0.5, 1.0], work)

    test = finished(make, 16)
    assert test.verdict == "slower"
    assert test.row().ratio == pytest.approx(2, rel=0.1)


def test_waits_for_a_processor_are_no_slow_down() -> None:
    """Head's processes met other work, which only their seconds by the clock show."""
    rng = np.random.default_rng(9)

    def make() -> Trio:
        work = np.exp(rng.normal(np.log(0.2), 0.03, 3))
        return of(work * np.exp(rng.exponential(0.4, 3)), work)

    assert finished(make, 16).verdict == "unchanged"


def test_a_base_that_differs_from_itself_makes_the_verdict_unknown() -> None:
    rng = np.random.default_rng(10)

    def make() -> Trio:
        return of(np.exp(rng.normal(0, 0.01, 3)) * [0.1, 0.12, 0.2])

    test = finished(make, 16)
    assert test.verdict == "unknown"
    assert test.cause.startswith("the machine is too noisy: base differs from itself ")
    assert test.control_row().verdict == "slower"


def test_a_harness_that_does_not_time_a_phase_is_noted() -> None:
    """The harness may be that of an older base; turns are judged all the same."""
    result = guarded(lambda n: replace(of(np.ones(3)), measured=[Measured()] * 3))
    assert [row.metric for row in result.rows] == ["seconds_per_example"]
    assert result.not_looked_at[-1] == "fill of x: not every process measured it."


def test_an_interrupt_leaves_a_phase_unknown() -> None:
    test = PhaseTest("x", "fill_seconds", 0.20)
    test.add(of(np.full(3, 0.1)))
    test.interrupt()
    row = test.row()
    assert (row.verdict, row.ratio, row.count, test.open) == (
        "unknown",
        None,
        1,
        False,
    )
    assert row.cause == "interrupted before it was settled, after 1 trio of processes"
    assert test.controls == []
