"""Tests of a live guard's verdicts, on synthetic trios without processes."""

import itertools
import json
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from trios import trio

from bench.guard import estimate, session
from bench.guard.case_session import Case
from bench.guard.record import Interrupted, exit_code
from bench.guard.sequential_test import RowTest
from bench.guard.trio import Side, Trio
from bench.run import turns
from bench.run.protocol import CannotStart
from bench.trial import Failure, InputPart, Trial


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def side(workload="prose") -> Side:
    server = SimpleNamespace(protocol=turns.PROTOCOL)
    return Side(server=server, trial=Trial(workload=workload))


def case(key="prose", **fields) -> Case:
    return Case(**{"key": key, "base": side(), "head": side()} | fields)


def guarded(make, cases=None, budget_seconds=60.0):
    """Guard synthetic trios; each takes the seconds of its turns and one more.

    Args:
        make: Returns the trio of a number.
        cases: The cases; one of `prose` if None.
        budget_seconds: When the guard stops.
    """
    clock, numbers = Clock(), itertools.count()

    def one(base, head, effort, *, seconds, seed, number, preparation) -> Trio:
        clock.now += seconds + 1
        return make(next(numbers))

    return session.live(
        cases or [case()],
        base="a",
        head="b",
        budget_seconds=budget_seconds,
        clock=clock,
        run_trio=one,
    )


def verdicts(result) -> list[str]:
    return [row.verdict for row in result.rows]


@pytest.mark.parametrize(
    ("head", "verdict", "code"),
    [(0.0, "unchanged", 0), (0.1, "slower", 1), (-0.1, "faster", 0)],
)
def test_a_clear_change_has_its_verdict(head: float, verdict: str, code: int) -> None:
    result = guarded(lambda n: trio(head=head, noise=0.05, seed=n))
    assert verdicts(result) == [verdict]
    assert exit_code(result) == code
    assert result.rows[0].ratio == pytest.approx(np.exp(head), abs=0.01)


def test_equal_sides_are_hardly_ever_slower_and_five_percent_nearly_always() -> None:
    """50 guards each; a turn has 10 % of noise, and a trio a bias of 0.3 %."""
    alarms = caught = 0

    def one(run, head, n):
        bias = np.random.default_rng([run, n]).normal(0, 0.003)
        return trio(head=head + bias, noise=0.1, rounds=400, seed=1000 * run + n)

    for run in range(50):
        alarms += verdicts(guarded(partial(one, run, 0.0))) == ["slower"]
        caught += verdicts(guarded(partial(one, run, np.log(1.05)))) == ["slower"]
    assert alarms == 0
    assert caught >= 48


def test_a_slow_down_that_fresh_processes_do_not_confirm_is_unknown() -> None:
    """The first three trios are 8 % slower, and all later ones are not."""
    result = guarded(
        lambda n: trio(head=0.08 if n < 3 else 0.0, noise=0.03, seed=n),
        budget_seconds=13.0,
    )
    assert verdicts(result) == ["unknown"]
    assert result.rows[0].cause.startswith(("fresh processes", "the interval"))
    assert exit_code(result) == 3


def test_a_flag_that_a_burst_left_unconfirmed_is_confirmed_later() -> None:
    """The fourth trio met a burst; the two after it agree, and so do all together."""
    result = guarded(lambda n: trio(head=0.06 - 0.04 * (n == 3), noise=0.01, seed=n))
    assert verdicts(result) == ["slower"]
    assert 5 < result.rows[0].count <= 8


@pytest.mark.parametrize("run", range(10))
def test_a_guard_stays_within_its_budget_and_uses_all_of_it(run: int) -> None:
    """The noise lets the guard flag the case early, late or not at all."""
    result = guarded(
        lambda n: trio(head=0.06, noise=0.15, rounds=40, seed=100 * run + n),
        budget_seconds=20.0,
    )
    assert result.seconds <= 20
    if verdicts(result) == ["unknown"]:
        assert result.seconds > 20 - 1.7


def test_all_later_trios_repeat_the_preparation_of_the_first() -> None:
    preparations = []

    def one(base, head, effort, *, seconds, seed, number, preparation) -> Trio:
        preparations.append(preparation)
        made = trio(noise=0.005, seed=number)
        return replace(
            made, preparation={"base": {"batches": 3 + number, "pulled": []}}
        )

    session.live([case()], base="a", head="b", clock=Clock(), run_trio=one)
    first = {"base": {"batches": 3, "pulled": []}}
    assert preparations == [{}, first, first, first]


def test_a_control_that_differs_from_base_makes_the_verdict_unknown() -> None:
    result = guarded(lambda n: trio(head=0.2, control=0.05, noise=0.01, seed=n))
    assert verdicts(result) == ["unknown"]
    assert result.rows[0].cause == (
        "the machine is too noisy: base differs from itself by +5.13 %, more than half "
        "the threshold"
    )
    assert result.control[0].verdict == "slower"
    assert exit_code(result) == 3
    assert exit_code(result, unknown_passes=True) == 0


@pytest.mark.parametrize(("log", "verdict"), [(0.3, "slower"), (-0.3, "faster")])
def test_a_change_far_larger_than_the_controls_fault_stands(log, verdict) -> None:
    result = guarded(lambda n: trio(head=log, control=0.03, noise=0.01, seed=n))
    assert verdicts(result) == [verdict]
    assert result.control[0].verdict == "slower"


@pytest.mark.parametrize(("sign", "verdict"), [(1, "slower"), (-1, "faster")])
def test_three_trios_settle_a_change_that_each_finds_large(sign, verdict) -> None:
    """They agree on that, though not on how large: from 7 to 150 times."""
    logs = [2.0, 5.0, 3.5]
    result = guarded(
        lambda n: disturbed(trio(head=sign * logs[n], noise=0.05, seed=n), 0.5)
    )
    (row,) = result.rows
    assert (row.verdict, row.count, row.cause) == (verdict, 3, "")
    low, high = sorted(abs(np.log([row.low, row.high])))
    assert low == pytest.approx(np.log(4), abs=0.05)
    assert high > 7


def test_trios_of_which_one_is_not_large_settle_nothing_at_once() -> None:
    logs = [2.0, 0.1, 3.5, 2.0, 2.0, 2.0, 2.0, 2.0]
    result = guarded(
        lambda n: trio(head=logs[n], noise=0.05, seed=n), budget_seconds=5.2
    )
    assert (verdicts(result), result.rows[0].count) == (["unknown"], 3)


def test_a_short_budget_leaves_the_verdict_unknown() -> None:
    result = guarded(lambda n: trio(head=0.2, noise=0.01, seed=n), budget_seconds=3.0)
    assert verdicts(result) == ["unknown"]
    assert result.rows[0].count == 1
    assert result.rows[0].cause == (
        "the budget ended before three trios of processes had run"
    )
    assert exit_code(result) == 3


def test_the_third_trio_may_run_over_the_budget_as_two_give_no_verdict() -> None:
    """Three trios of 1.7 s end at 5.1 s; two more would have to confirm a flag."""
    result = guarded(lambda n: trio(noise=0.01, seed=n), budget_seconds=5.0)
    assert verdicts(result) == ["unchanged"]
    result = guarded(lambda n: trio(head=0.2, noise=0.01, seed=n), budget_seconds=5.0)
    assert verdicts(result) == ["unknown"]
    assert result.rows[0].cause == (
        "beyond the threshold, not yet confirmed by fresh processes"
    )
    assert result.rows[0].count == 3
    assert result.seconds == pytest.approx(5.1)


@pytest.mark.parametrize(
    ("later", "verdict"),
    [([0.06] * 4, "slower"), ([0.028] * 4, "unknown"), ([0.06] * 3 + [0.0], "slower")],
)
def test_a_last_look_is_slower_only_if_both_halves_agree(later, verdict) -> None:
    """Four trios at 2.8 % are within the threshold; one burst changes no verdict."""
    test = RowTest("prose", "seconds_per_example", 0.03, 0.05)
    test.due_half_width = 0.0  # no look before the last
    for log in [0.058, 0.062, 0.06, 0.06, *later]:
        test.ratios.append((log, 0.001))
        test.controls.append((0.0, 0.001))
    assert estimate.interval(test.ratios, 0.05, test.controls).low > 1.03
    test.finish()
    assert (test.verdict, test.open) == (verdict, False)


def test_a_burst_that_was_flagged_early_may_be_unchanged_at_the_end() -> None:
    """The flag was not confirmed, and all trios together are unchanged."""
    test = RowTest("prose", "seconds_per_example", 0.03, 0.05)
    test.flagged, test.flagged_at = "slower", 3
    for sign in (1, -1) * 5:
        test.ratios.append((0.001 * sign, 0.001))
        test.controls.append((0.0, 0.001))
    test.finish()
    assert (test.verdict, test.open) == ("unchanged", False)
    assert test.row().count == 10
    assert test.row().high < 1.03


@pytest.mark.parametrize(("ratio", "fault"), [(1.097, False), (1.103, True)])
def test_the_control_may_differ_by_half_the_threshold(ratio, fault) -> None:
    test = RowTest("prose", "latency_p95", 0.2, 0.05)
    for sign in (1, -1) * 5:
        test.ratios.append((0.0, 0.001))
        test.controls.append((np.log(ratio) + 0.001 * sign, 0.001))
    assert bool(test.control_fault()) == fault
    assert test.control_row().verdict == ("slower" if fault else "unchanged")


def test_a_guard_without_rows_never_passes() -> None:
    assert exit_code(guarded(lambda n: trio(), cases=None)) == 0
    empty = session.live([], base="a", head="b", clock=Clock())
    assert exit_code(empty) == 5


def test_a_case_that_only_one_side_has_is_a_row() -> None:
    cases = [case("gone", head=None), case("new", base=None), case("both")]
    result = guarded(lambda n: trio(noise=0.01, seed=n), cases=cases)
    rows = {row.key: (row.verdict, row.cause) for row in result.rows}
    assert rows["gone"] == ("missing", "it is in base and not in head")
    assert rows["new"] == ("not_comparable", "it is not in base")
    assert rows["both"][0] == "unchanged"
    assert exit_code(result) == 5


def failing(role: str) -> Trio:
    failure = Failure(type="ValueError", message="no such thing", phase="check")
    return Trio(
        turns=[],
        measured=[],
        failures={role: failure},
        batch_sizes={"base": 1, "head": 1},
        seconds=1.0,
    )


def test_a_failure_on_head_never_passes_and_on_base_is_not_comparable() -> None:
    result = guarded(lambda n: failing("head"))
    assert verdicts(result) == ["failed"]
    assert result.rows[0].cause == "ValueError in check: no such thing"
    assert exit_code(result) == 5
    result = guarded(lambda n: failing("control"))
    assert verdicts(result) == ["not_comparable"]
    assert result.rows[0].cause == "base failed: ValueError in check: no such thing"
    assert exit_code(result) == 4


TWO = {"seconds_per_example": 0.03, "cpu_seconds_per_example": 0.001}


def test_a_later_failure_ends_only_open_rows() -> None:
    """By the fifth trio the time is settled, and CPU to 0.1 % is not."""
    result = guarded(
        lambda n: failing("head") if n == 4 else trio(noise=0.01, seed=n),
        cases=[case(thresholds=TWO)],
    )
    assert {row.metric: row.verdict for row in result.rows} == {
        "seconds_per_example": "unchanged",
        "cpu_seconds_per_example": "failed",
    }
    assert result.rows[0].count == 4
    assert [row.metric for row in result.control] == ["seconds_per_example"]
    assert exit_code(result) == 5


@pytest.mark.parametrize("error", [CannotStart, OSError])
def test_a_lost_server_leaves_settled_verdicts(error) -> None:
    """Open rows have failed, and the result is there; as when a disk is full."""

    def lost(n: int) -> Trio:
        if n == 4:
            raise error("no memory for it")
        return trio(noise=0.01, seed=n)

    cases = [case(thresholds=TWO), case("gone", head=None)]
    result = guarded(lost, cases=cases)
    assert [(row.verdict, row.cause) for row in result.rows] == [
        ("unchanged", ""),
        ("failed", "no memory for it"),
        ("missing", "it is in base and not in head"),
    ]


def disturbed(one: Trio, share: float) -> Trio:
    """Return the trio with this share of turns after which a process kept working."""
    count = len(one.turns)
    turns_taken = [
        tuple(replace(turn, quiet=number >= share * count) for turn in row)
        for number, row in enumerate(one.turns)
    ]
    return replace(one, turns=turns_taken)


@pytest.mark.parametrize(("share", "verdict"), [(0.05, "slower"), (0.15, "unknown")])
def test_turns_beside_a_working_process_give_no_verdict(share, verdict) -> None:
    """A process may still fill its buffers; a few such turns do not matter."""
    result = guarded(lambda n: disturbed(trio(head=0.1, noise=0.05, seed=n), share))
    assert verdicts(result) == [verdict]
    cause = "a process could not be stopped between turns"
    assert result.rows[0].cause == (cause if verdict == "unknown" else "")
    assert result.rows[0].ratio == pytest.approx(np.exp(0.1), abs=0.01)


def test_other_inputs_are_not_comparable_and_other_outputs_are_noted() -> None:
    def with_fingerprints(name, values):
        def make(n):
            one = trio(noise=0.01, seed=n)
            for measured, value in zip(one.measured, values, strict=True):
                measured.__dict__[name] = value
            return one

        return make

    result = guarded(with_fingerprints("input_fingerprint", ["a", "a", "b"]))
    assert verdicts(result) == ["not_comparable"]
    assert result.rows[0].cause == (
        "the inputs differ; make the same inputs on both sides, or measure both on one "
        "--data"
    )
    result = guarded(with_fingerprints("output_fingerprint", ["a", "a", "b"]))
    assert [row.output_changed for row in result.rows] == [True]
    assert verdicts(result) == ["unchanged"]


@pytest.mark.parametrize(
    ("third", "sides"),
    [
        ("aba", "in one process of base than in another process of base"),
        ("bbb", "in the first trio than in a later trio"),
    ],
)
def test_data_that_changes_during_a_guard_ends_it(third: str, sides: str) -> None:
    """The first trios have the inputs `a`; the third one meets the change."""

    def make(number: int):
        one = trio(noise=0.3, seed=number)
        letters = third if number == 2 else "aaa"
        for measured, letter in zip(one.measured, letters, strict=True):
            part = InputPart(dtype="int64", shape=[90], digest=letter)
            measured.__dict__["input_fingerprint"] = letter
            measured.__dict__["input_parts"] = {"features": part}
        return one

    (row,) = guarded(make).rows
    assert (row.verdict, row.cause) == (
        "not_comparable",
        "the data changed while it was measured: the inputs differ in content: "
        f"features are int64[90] with other values {sides}",
    )


def test_each_metric_is_a_row_and_alpha_is_shared() -> None:
    limits = {"seconds_per_example": 0.03, "cpu_seconds_per_example": 0.10}
    result = guarded(
        lambda n: trio(head=0.06, noise=0.02, seed=n), cases=[case(thresholds=limits)]
    )
    assert {row.metric: row.verdict for row in result.rows} == {
        "seconds_per_example": "slower",
        "cpu_seconds_per_example": "unchanged",
    }
    assert result.false_alarms == 0.05


def test_trios_that_differ_are_many_and_short_and_others_few_and_long() -> None:
    """Longer turns do not reduce what varies between trios (two-stage sampling)."""

    def lengths(bias: float) -> float:
        clock, turns = Clock(), []

        def one(base, head, effort, *, seconds, seed, number, preparation):
            clock.now += seconds + 1
            turns.append(seconds)
            head = np.random.default_rng(number).normal(0, bias)
            return trio(head=head, noise=0.3, seed=number, rounds=100)

        session.live(
            [case()], base="a", head="b", clock=clock, run_trio=one, budget_seconds=60
        )
        return np.mean(turns[3:])

    assert lengths(bias=0.0) > 3
    assert lengths(bias=0.08) < 1


def test_open_cases_share_the_time() -> None:
    """A clear case ends early and leaves its time to the noisy one."""
    noises = {"clear": 0.005, "noisy": 0.6}
    clock, counts = Clock(), {}

    def one(base, head, effort, *, seconds, seed, number, preparation):
        clock.now += seconds + 1
        name = head.trial.workload
        counts[name] = counts.get(name, 0) + 1
        return trio(noise=noises[name], seed=counts[name], rounds=100)

    cases = [case(name, head=side(name)) for name in noises]
    result = session.live(
        cases, base="a", head="b", budget_seconds=60, clock=clock, run_trio=one
    )
    assert counts["clear"] == 4
    assert counts["noisy"] > 6
    assert clock.now <= 60
    assert {row.key: row.verdict for row in result.rows}["clear"] == "unchanged"


def test_the_first_trio_checks_outputs_and_a_failure_there_ends_the_case() -> None:
    checks = []

    def one(base, head, effort, *, seconds, seed, number, preparation):
        checks.append((base.trial.workload, effort.check))
        if base.trial.workload == "wrong":
            return failing("head")
        return trio(noise=0.005, seed=number)

    cases = [
        case(name, base=side(name), head=side(name)) for name in ("right", "wrong")
    ]
    result = session.live(cases, base="a", head="b", clock=Clock(), run_trio=one)
    assert [check for name, check in checks if name == "right"] == [True] + [False] * 3
    assert [check for name, check in checks if name == "wrong"] == [True]
    assert {row.key: row.verdict for row in result.rows} == {
        "right": "unchanged",
        "wrong": "failed",
    }


def test_an_interrupt_leaves_settled_verdicts_and_takes_no_last_look() -> None:
    """A last look would call `slow` slower by the fourth trio."""

    def one(base, head, effort, *, seconds, seed, number, preparation):
        if number == 3 + (base.trial.workload == "same"):
            raise KeyboardInterrupt
        slow = base.trial.workload == "slow"
        return trio(head=0.1 if slow else 0.0, noise=0.01, seed=number)

    cases = [case(name, base=side(name)) for name in ("same", "slow")]
    with pytest.raises(Interrupted) as stopped:
        session.live(cases, base="a", head="b", clock=Clock(), run_trio=one)
    same, slow = stopped.value.result.rows
    assert (same.verdict, same.cause) == ("unchanged", "")
    assert (slow.verdict, slow.count) == ("unknown", 3)
    assert slow.low > 1.03
    assert slow.cause == (
        "interrupted before it was settled, after 3 trios of processes"
    )
    assert set(stopped.value.result.seconds_per_example) == {"same", "slow"}


def with_stalls(n: int, every: int, factor: float, **fields) -> Trio:
    """Return a trio whose head stalls once in so many rounds, at the same places."""
    made = trio(seed=n, **fields)
    turns_taken = [
        (*row[:2], replace(row[2], seconds=row[2].seconds * factor))
        if number % every == every - 1
        else row
        for number, row in enumerate(made.turns)
    ]
    return replace(made, turns=turns_taken)


@pytest.mark.parametrize(
    ("every", "factor"), [(100, 6.0), (20, 2.0), (5, 1.25), (2, 1.1)]
)
def test_stalls_that_make_five_percent_are_slower_by_five_percent(every, factor):
    result = guarded(
        lambda n: with_stalls(n, every, factor, noise=0.03, rounds=400),
        budget_seconds=120.0,
    )
    assert verdicts(result) == ["slower"]
    assert result.rows[0].ratio == pytest.approx(1.05, abs=0.01)


def test_a_row_shows_the_time_in_stalls_and_the_guard_what_it_did_not_meet():
    result = guarded(
        lambda n: with_stalls(n, 100, 11.0, noise=0.03, rounds=400),
        budget_seconds=120.0,
    )
    (row,) = result.rows
    assert json.loads(json.dumps(row.log_ratios)) == row.log_ratios
    assert row.stalls.startswith(
        "stalls take 9.1 % of head's time and 0.0 % of base's: 4 of 400 windows, up to "
    )
    assert "costs that come less than once in 400,000 batches of prose." in (
        result.not_looked_at
    )


def test_the_longest_stall_is_judged_where_most_trios_have_it():
    limits = {"longest_stall": 0.2}
    result = guarded(
        lambda n: with_stalls(n, 100, 8.0, noise=0.03, rounds=400),
        cases=[case(thresholds=limits)],
        budget_seconds=120.0,
    )
    assert verdicts(result) == ["slower"]
    assert result.rows[0].ratio == pytest.approx(8.0, rel=0.1)
    equal = guarded(
        lambda n: trio(noise=0.03, rounds=400, seed=n), cases=[case(thresholds=limits)]
    )
    assert verdicts(equal) == ["unchanged"]


def test_the_same_stalls_on_both_sides_are_no_change():
    def both(n: int) -> Trio:
        made = trio(noise=0.03, rounds=400, seed=n)
        turns_taken = [
            tuple(replace(turn, seconds=turn.seconds * 8) for turn in row)
            if number % 100 == 50
            else row
            for number, row in enumerate(made.turns)
        ]
        return replace(made, turns=turns_taken)

    result = guarded(both, budget_seconds=120.0)
    assert verdicts(result) == ["unchanged"]
    assert result.rows[0].ratio == pytest.approx(1.0, abs=0.01)


def test_bursts_at_changing_places_are_no_change():
    def burst(n: int) -> Trio:
        made = trio(noise=0.03, rounds=400, seed=n)
        factors = 1 + 1.5 * (np.random.default_rng(n).random((400, 3)) < 0.2)
        turns_taken = [
            tuple(
                replace(turn, seconds=turn.seconds * f)
                for turn, f in zip(row, own, strict=True)
            )
            for row, own in zip(made.turns, factors, strict=True)
        ]
        return replace(made, turns=turns_taken)

    assert verdicts(guarded(burst, budget_seconds=120.0)) == ["unchanged"]


def test_unchanged_waits_until_four_trios_met_enough_places():
    """A round has one batch, so that 2,000 batches take 2,000 rounds, or 10 seconds."""
    lengths = []

    def one(base, head, effort, *, seconds, seed, number, preparation) -> Trio:
        lengths.append(seconds)
        rounds = max(6, int(200 * seconds))
        return trio(noise=0.01, rounds=rounds, seed=number, batches_per_sample=1)

    clock = Clock()
    result = session.live(
        [case()], base="a", head="b", clock=clock, run_trio=one, budget_seconds=300
    )
    assert verdicts(result) == ["unchanged"]
    assert lengths[3:7] == pytest.approx([10.0] * 4)
    assert len(lengths) == 7
