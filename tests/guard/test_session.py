"""The guard's verdicts, on trios that are made up: what fails, holds, cannot tell."""

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
    """Seconds that pass only when told."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def side(workload="prose", protocol=turns.PROTOCOL) -> Side:
    server = SimpleNamespace(protocol=protocol)
    return Side(server=server, trial=Trial(workload=workload))


def case(key="prose", **given) -> Case:
    return Case(**{"key": key, "base": side(), "head": side()} | given)


def guarded(make, cases=None, budget_seconds=60.0):
    """A guard on made-up trios, each taking its turns' seconds and one more."""
    clock, numbers = Clock(), itertools.count()

    def one(base, head, effort, *, seconds, seed, number, warmed) -> Trio:
        clock.now += seconds + 1
        return make(next(numbers))

    return session.live(
        cases or [case()],
        base="a",
        head="b",
        budget_seconds=budget_seconds,
        clock=clock,
        trio=one,
    )


def verdicts(found) -> list[str]:
    return [row.verdict for row in found.rows]


@pytest.mark.parametrize(
    ("head", "verdict", "code"),
    [(0.0, "unchanged", 0), (0.1, "slower", 1), (-0.1, "faster", 0)],
)
def test_a_clear_change_has_its_verdict(head: float, verdict: str, code: int) -> None:
    found = guarded(lambda n: trio(head=head, noise=0.05, seed=n))
    assert verdicts(found) == [verdict]
    assert exit_code(found) == code
    assert found.rows[0].ratio == pytest.approx(np.exp(head), abs=0.01)


def test_at_no_change_false_alarms_are_rare_and_at_five_percent_misses_are() -> None:
    """50 guards each; noise of a turn 10 %, a bias of each trio of 0.3 %."""
    alarms = caught = 0

    def one(run, head, n):
        bias = np.random.default_rng([run, n]).normal(0, 0.003)
        return trio(head=head + bias, noise=0.1, rounds=400, seed=1000 * run + n)

    for run in range(50):
        alarms += verdicts(guarded(partial(one, run, 0.0))) == ["slower"]
        caught += verdicts(guarded(partial(one, run, np.log(1.05)))) == ["slower"]
    assert alarms == 0
    assert caught >= 48


def test_what_is_slower_once_and_not_again_is_not_blamed() -> None:
    """The first three trios say +8 %, all that follow nothing."""
    found = guarded(
        lambda n: trio(head=0.08 if n < 3 else 0.0, noise=0.03, seed=n),
        budget_seconds=13.0,
    )
    assert verdicts(found) == ["unknown"]
    assert found.rows[0].cause.startswith(("not the same", "not settled"))
    assert exit_code(found) == 3


def test_a_flag_that_a_burst_left_unconfirmed_is_confirmed_later() -> None:
    """The fourth trio met one; the two after it agree, and so do all together."""
    found = guarded(lambda n: trio(head=0.06 - 0.04 * (n == 3), noise=0.01, seed=n))
    assert verdicts(found) == ["slower"]
    assert 5 < found.rows[0].count <= 8


@pytest.mark.parametrize("run", range(10))
def test_the_budget_is_the_whole_and_all_of_it_is_used(run: int) -> None:
    """Noise such that it is flagged early, late or not at all."""
    found = guarded(
        lambda n: trio(head=0.06, noise=0.15, rounds=40, seed=100 * run + n),
        budget_seconds=20.0,
    )
    assert found.seconds <= 20
    if verdicts(found) == ["unknown"]:
        assert found.seconds > 20 - 1.7


def test_how_the_first_trio_got_ready_is_told_to_all_that_follow() -> None:
    told = []

    def one(base, head, effort, *, seconds, seed, number, warmed) -> Trio:
        told.append(warmed)
        made = trio(noise=0.005, seed=number)
        return replace(made, warmed={"base": {"batches": 3 + number, "pulled": []}})

    session.live([case()], base="a", head="b", clock=Clock(), trio=one)
    first = {"base": {"batches": 3, "pulled": []}}
    assert told == [{}, first, first, first]


def test_a_control_that_wanders_blames_nobody() -> None:
    found = guarded(lambda n: trio(head=0.2, control=0.05, noise=0.01, seed=n))
    assert verdicts(found) == ["unknown"]
    assert found.rows[0].cause == (
        "too noisy to blame anybody: base against itself differs by +5.13 %, more than "
        "half the threshold"
    )
    assert found.control[0].verdict == "slower"
    assert exit_code(found) == 3
    assert exit_code(found, unknown_passes=True) == 0


def test_a_short_budget_cannot_tell() -> None:
    found = guarded(lambda n: trio(head=0.2, noise=0.01, seed=n), budget_seconds=3.0)
    assert verdicts(found) == ["unknown"]
    assert found.rows[0].count == 1
    assert found.rows[0].cause == (
        "the budget ended before three trios of processes had run"
    )
    assert exit_code(found) == 3


def test_the_third_trio_may_run_over_the_budget_as_two_say_nothing() -> None:
    """At 1.7 s each it ends at 5.1; what it flags two more would have to confirm."""
    found = guarded(lambda n: trio(noise=0.01, seed=n), budget_seconds=5.0)
    assert verdicts(found) == ["unchanged"]
    found = guarded(lambda n: trio(head=0.2, noise=0.01, seed=n), budget_seconds=5.0)
    assert verdicts(found) == ["unknown"]
    assert found.rows[0].cause == (
        "beyond the threshold, not yet confirmed by fresh processes"
    )
    assert found.rows[0].count == 3
    assert found.seconds == pytest.approx(5.1)


@pytest.mark.parametrize(
    ("later", "verdict"),
    [([0.06] * 4, "slower"), ([0.028] * 4, "unknown"), ([0.06] * 3 + [0.0], "slower")],
)
def test_a_last_look_blames_nobody_unless_both_halves_say_so(later, verdict) -> None:
    """Four at 2.8 % are within what is allowed; one that met a burst spoils nothing."""
    watch = RowTest("prose", "seconds_per_example", 0.03, 0.05)
    watch.due = 0.0  # no look before the last
    for log in [0.058, 0.062, 0.06, 0.06, *later]:
        watch.ratios.append((log, 0.001))
        watch.controls.append((0.0, 0.001))
    assert estimate.interval(watch.ratios, 0.05, watch.controls).low > 1.03
    watch.finish()
    assert (watch.verdict, watch.open) == (verdict, False)


def test_a_burst_that_was_flagged_early_may_be_unchanged_at_the_end() -> None:
    """What was flagged was not confirmed, and all together says that it is nothing."""
    watch = RowTest("prose", "seconds_per_example", 0.03, 0.05)
    watch.flagged, watch.flagged_at = "slower", 3
    for sign in (1, -1) * 5:
        watch.ratios.append((0.001 * sign, 0.001))
        watch.controls.append((0.0, 0.001))
    watch.finish()
    assert (watch.verdict, watch.open) == ("unchanged", False)
    assert watch.row().count == 10
    assert watch.row().high < 1.03


@pytest.mark.parametrize(("away", "blamed"), [(1.097, False), (1.103, True)])
def test_the_control_may_leave_half_the_threshold_as_it_is_told(away, blamed) -> None:
    watch = RowTest("prose", "latency_p95", 0.2, 0.05)
    for sign in (1, -1) * 5:
        watch.ratios.append((0.0, 0.001))
        watch.controls.append((np.log(away) + 0.001 * sign, 0.001))
    assert bool(watch.wandered()) == blamed
    assert watch.control_row().verdict == ("slower" if blamed else "unchanged")


def test_nothing_compared_is_never_a_pass() -> None:
    assert exit_code(guarded(lambda n: trio(), cases=None)) == 0
    empty = session.live([], base="a", head="b", clock=Clock())
    assert exit_code(empty) == 5


def test_what_is_on_one_side_only_is_a_row() -> None:
    cases = [case("gone", head=None), case("new", base=None), case("both")]
    found = guarded(lambda n: trio(noise=0.01, seed=n), cases=cases)
    told = {row.key: (row.verdict, row.cause) for row in found.rows}
    assert told["gone"] == ("missing", "it is in base and not in head")
    assert told["new"] == ("not_comparable", "it is not in base")
    assert told["both"][0] == "unchanged"
    assert exit_code(found) == 5


def failing(role: str) -> Trio:
    failure = Failure(type="ValueError", message="no such thing", phase="check")
    return Trio(
        turns=[],
        measured=[],
        failures={role: failure},
        batch_sizes={"base": 1, "head": 1},
        seconds=1.0,
    )


def test_a_failure_on_head_is_never_a_pass_and_on_base_not_comparable() -> None:
    found = guarded(lambda n: failing("head"))
    assert verdicts(found) == ["failed"]
    assert found.rows[0].cause == "ValueError in check: no such thing"
    assert exit_code(found) == 5
    found = guarded(lambda n: failing("control"))
    assert verdicts(found) == ["not_comparable"]
    assert found.rows[0].cause == "base failed: ValueError in check: no such thing"
    assert exit_code(found) == 4


TWO = {"seconds_per_example": 0.03, "cpu_seconds_per_example": 0.001}


def test_a_later_failure_ends_only_what_is_open() -> None:
    """By the fifth trio the time is settled, and CPU to 0.1 % is not."""
    found = guarded(
        lambda n: failing("head") if n == 4 else trio(noise=0.01, seed=n),
        cases=[case(thresholds=TWO)],
    )
    assert {row.metric: row.verdict for row in found.rows} == {
        "seconds_per_example": "unchanged",
        "cpu_seconds_per_example": "failed",
    }
    assert found.rows[0].count == 4
    assert [row.metric for row in found.control] == ["seconds_per_example"]
    assert exit_code(found) == 5


@pytest.mark.parametrize("error", [CannotStart, OSError])
def test_a_server_that_is_lost_keeps_what_was_settled(error) -> None:
    """What is open has failed, and the record is there; as where a disk is full."""

    def lost(n: int) -> Trio:
        if n == 4:
            raise error("no memory for it")
        return trio(noise=0.01, seed=n)

    cases = [case(thresholds=TWO), case("gone", head=None)]
    found = guarded(lost, cases=cases)
    assert [(row.verdict, row.cause) for row in found.rows] == [
        ("unchanged", ""),
        ("failed", "no memory for it"),
        ("missing", "it is in base and not in head"),
    ]


def restless(one: Trio, share: float) -> Trio:
    """The trio, in this share of whose turns a process did not become quiet."""
    count = len(one.turns)
    turns_taken = [
        tuple(replace(turn, quiet=number >= share * count) for turn in row)
        for number, row in enumerate(one.turns)
    ]
    return replace(one, turns=turns_taken)


@pytest.mark.parametrize(("share", "verdict"), [(0.05, "slower"), (0.15, "unknown")])
def test_turns_beside_one_that_works_on_give_no_verdict(share, verdict) -> None:
    """Such as one that still fills its buffers; a few do not matter."""
    found = guarded(lambda n: restless(trio(head=0.1, noise=0.05, seed=n), share))
    assert verdicts(found) == [verdict]
    disturbed = "a process did not become quiet between turns"
    assert found.rows[0].cause == (disturbed if verdict == "unknown" else "")
    assert found.rows[0].ratio == pytest.approx(np.exp(0.1), abs=0.01)


def test_other_inputs_are_not_compared_and_other_outputs_are_said() -> None:
    def with_prints(name, values):
        def make(n):
            one = trio(noise=0.01, seed=n)
            for measured, value in zip(one.measured, values, strict=True):
                measured.__dict__[name] = value
            return one

        return make

    found = guarded(with_prints("input_fingerprint", ["a", "a", "b"]))
    assert verdicts(found) == ["not_comparable"]
    assert found.rows[0].cause == (
        "the inputs differ; let both sides make the same ones, or measure both on one "
        "--data"
    )
    found = guarded(with_prints("output_fingerprint", ["a", "a", "b"]))
    assert [row.output_changed for row in found.rows] == [True]
    assert verdicts(found) == ["unchanged"]


@pytest.mark.parametrize(
    ("third", "sides"),
    [
        ("aba", "in one process of base than in another one"),
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
    found = guarded(
        lambda n: trio(head=0.06, noise=0.02, seed=n), cases=[case(thresholds=limits)]
    )
    assert {row.metric: row.verdict for row in found.rows} == {
        "seconds_per_example": "slower",
        "cpu_seconds_per_example": "unchanged",
    }
    assert found.false_alarms == 0.05


def test_trios_that_differ_are_many_and_short_and_others_few_and_long() -> None:
    """Two-stage sampling: what varies between trios is not met by longer turns."""

    def lengths(bias: float) -> float:
        clock, turns = Clock(), []

        def one(base, head, effort, *, seconds, seed, number, warmed):
            clock.now += seconds + 1
            turns.append(seconds)
            moved = np.random.default_rng(number).normal(0, bias)
            return trio(head=moved, noise=0.3, seed=number, rounds=100)

        session.live(
            [case()], base="a", head="b", clock=clock, trio=one, budget_seconds=60
        )
        return np.mean(turns[3:])

    assert lengths(bias=0.0) > 3
    assert lengths(bias=0.08) < 1


def test_time_is_shared_by_what_is_not_settled() -> None:
    """A clear case ends early and leaves its time to the noisy one."""
    noises = {"clear": 0.005, "noisy": 0.6}
    clock, counts = Clock(), {}

    def one(base, head, effort, *, seconds, seed, number, warmed):
        clock.now += seconds + 1
        name = head.trial.workload
        counts[name] = counts.get(name, 0) + 1
        return trio(noise=noises[name], seed=counts[name], rounds=100)

    cases = [case(name, head=side(name)) for name in noises]
    found = session.live(
        cases, base="a", head="b", budget_seconds=60, clock=clock, trio=one
    )
    assert counts["clear"] == 4
    assert counts["noisy"] > 6
    assert clock.now <= 60
    assert {row.key: row.verdict for row in found.rows}["clear"] == "unchanged"


@pytest.mark.parametrize(
    ("protocol", "checked"),
    [(turns.PROTOCOL, [True] + [False] * 3), (turns.CHECKS_EACH, [True] * 4)],
)
def test_the_gate_checks_the_first_trio_and_a_failure_there_ends_the_case(
    protocol: int, checked: list[bool]
) -> None:
    """With a base that checks each process, head is checked each time as well."""
    asked = []

    def one(base, head, effort, *, seconds, seed, number, warmed):
        asked.append((base.trial.workload, effort.check))
        if base.trial.workload == "wrong":
            return failing("head")
        return trio(noise=0.005, seed=number)

    cases = [
        case(name, base=side(name, protocol), head=side(name))
        for name in ("right", "wrong")
    ]
    found = session.live(cases, base="a", head="b", clock=Clock(), trio=one)
    assert [check for name, check in asked if name == "right"] == checked
    assert [check for name, check in asked if name == "wrong"] == [True]
    assert {row.key: row.verdict for row in found.rows} == {
        "right": "unchanged",
        "wrong": "failed",
    }


def test_an_interrupt_keeps_what_was_known_and_takes_no_last_look() -> None:
    """By the fourth trio `slow` would be called slower, were there a last look."""

    def one(base, head, effort, *, seconds, seed, number, warmed):
        if number == 3 + (base.trial.workload == "same"):
            raise KeyboardInterrupt
        slow = base.trial.workload == "slow"
        return trio(head=0.1 if slow else 0.0, noise=0.01, seed=number)

    cases = [case(name, base=side(name)) for name in ("same", "slow")]
    with pytest.raises(Interrupted) as stopped:
        session.live(cases, base="a", head="b", clock=Clock(), trio=one)
    same, slow = stopped.value.found.rows
    assert (same.verdict, same.cause) == ("unchanged", "")
    assert (slow.verdict, slow.count) == ("unknown", 3)
    assert slow.low > 1.03
    assert slow.cause == (
        "interrupted before it was settled, after 3 trios of processes"
    )
    assert set(stopped.value.found.seconds_per_example) == {"same", "slow"}


def with_stalls(n: int, every: int, factor: float, **given) -> Trio:
    """A trio whose head stalls in every so many rounds, at the same places."""
    made = trio(seed=n, **given)
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
    found = guarded(
        lambda n: with_stalls(n, every, factor, noise=0.03, rounds=400),
        budget_seconds=120.0,
    )
    assert verdicts(found) == ["slower"]
    assert found.rows[0].ratio == pytest.approx(1.05, abs=0.01)


def test_a_row_says_what_stalls_take_and_the_guard_what_it_did_not_meet():
    found = guarded(
        lambda n: with_stalls(n, 100, 11.0, noise=0.03, rounds=400),
        budget_seconds=120.0,
    )
    assert json.loads(json.dumps(found.rows[0].log_ratios)) == found.rows[0].log_ratios
    assert found.rows[0].stalls.startswith(
        "stalls take 9.1 % of head's time and 0.0 % of base's: 4 of 400 windows, up to "
    )
    assert "what comes less than once in 400,000 batches of prose." in (
        found.not_looked_at
    )


def test_the_longest_stall_is_judged_where_most_trios_have_it():
    limits = {"longest_stall": 0.2}
    found = guarded(
        lambda n: with_stalls(n, 100, 8.0, noise=0.03, rounds=400),
        cases=[case(thresholds=limits)],
        budget_seconds=120.0,
    )
    assert verdicts(found) == ["slower"]
    assert found.rows[0].ratio == pytest.approx(8.0, rel=0.1)
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

    found = guarded(both, budget_seconds=120.0)
    assert verdicts(found) == ["unchanged"]
    assert found.rows[0].ratio == pytest.approx(1.0, abs=0.01)


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
    """2,000 batches, of which a round of the first trios has 1: 18 of 2,000 rounds."""
    lengths = []

    def one(base, head, effort, *, seconds, seed, number, warmed) -> Trio:
        lengths.append(seconds)
        rounds = max(6, int(200 * seconds))
        return trio(noise=0.01, rounds=rounds, seed=number, batches_per_sample=1)

    clock = Clock()
    found = session.live(
        [case()], base="a", head="b", clock=clock, trio=one, budget_seconds=300
    )
    assert verdicts(found) == ["unchanged"]
    assert lengths[3:7] == pytest.approx([10.0] * 4)
    assert len(lengths) == 7
