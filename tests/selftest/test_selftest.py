"""The self-test passes on a good estimator, and fails on each kind of broken one."""

import contextlib
import itertools
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from trios import trio as made_trio

from bench.analysis.intervals import Interval
from bench.errors import UsageError
from bench.guard import estimate
from bench.guard import trio as lockstep
from bench.run.turns import Turn
from bench.selftest import comparison, criteria, injection, selftest
from bench.selftest.criteria import RULES, Bar, Comparison, decide

QUIET, NOISY = 0.002, 0.004  # error of a trio's log-ratio


def comparisons(each: int = 72) -> list[Comparison]:
    """As many of each kind, with the stated errors."""
    rng, made = np.random.default_rng(5), []
    for change, noisy in sorted({(rule.change, rule.neighbour) for rule in RULES}):
        error = NOISY if noisy else QUIET
        for _ in range(each):
            heads = rng.normal(np.log1p(change), error, comparison.TRIOS)
            controls = rng.normal(0, error, comparison.TRIOS)
            made.append(
                Comparison(
                    workload="made up",
                    change=change,
                    neighbour=noisy,
                    shares=[float(np.log1p(change))] * comparison.TRIOS,
                    ratios=[(float(value), error) for value in heads],
                    controls=[(float(value), error) for value in controls],
                )
            )
    return made


COMPARISONS = comparisons()


def missed(judge) -> list[str]:
    return [bar.name for bar in criteria.bars(COMPARISONS, judge) if not bar.held]


def test_a_good_estimator_holds_every_bar() -> None:
    assert missed(decide) == []


def test_what_was_injected_is_told_as_it_came_out() -> None:
    (bar,) = [
        bar
        for bar in criteria.bars(COMPARISONS)
        if bar.name.startswith("2% slower caught")
    ]
    assert ", injected were 2.0% (nine of ten 2.0 to 2.0)" in bar.found


SLOWED = "intervals of slow-downs cover what was injected"


def test_a_slow_down_is_what_came_out_and_not_what_was_aimed_at() -> None:
    """Aimed at 5 %, 7 % came out: the interval has to hold that."""
    first = next(one for one in COMPARISONS if one.change == 0.05 and not one.neighbour)
    assert criteria.injected(first) == pytest.approx(0.05)
    ratios = [(math.log1p(0.07) + error, QUIET) for error in (-1e-3, 1e-3) * 7]
    dear = replace(first, shares=[math.log1p(0.07)] * 14, ratios=ratios)
    assert criteria.injected(dear) == pytest.approx(0.07)
    covered = {bar.name: bar.found for bar in criteria.bars([dear] * 3)}[SLOWED]
    assert covered.startswith("3 of 3 ")
    aimed = replace(dear, shares=first.shares)
    covered = {bar.name: bar.found for bar in criteria.bars([aimed] * 3)}[SLOWED]
    assert covered.startswith("0 of 3 ")


def test_trios_that_were_slowed_differently_excuse_no_wrong_estimate() -> None:
    """2 % and 8 % in turn: as they come they hold 5.5, which is half a per cent off."""
    first = next(one for one in COMPARISONS if one.change == 0.05 and not one.neighbour)
    shares = [math.log1p(share) for share in (0.02, 0.08)] * 7
    off = [
        (share + 0.005 + e, QUIET)
        for share, e in zip(shares, (-1e-3, 1e-3) * 7, strict=True)
    ]
    one = replace(first, shares=shares, ratios=off)
    assert criteria.injected(one) == pytest.approx((1.02 * 1.08) ** 0.5 - 1)
    interval = decide(one, 0.03)[1]
    assert interval.low < 1 + criteria.injected(one) < interval.high
    assert decide(criteria.unslowed(one), 0.03)[1].low > 1


def turns(*seconds: float) -> tuple[Turn, ...]:
    return tuple(Turn(one, one) for one in seconds)


def test_what_is_injected_is_told_as_the_estimate_weighs_turns() -> None:
    """Nine rounds of 2 ms and one of 9 ms, which the centre does not see."""
    rounds = [turns(0.002, 0.002, 0.0021)] * 9 + [turns(0.009, 0.009, 0.0091)]
    trio = replace(made_trio(), turns=rounds)
    assert comparison.share(trio, 1e-4) == pytest.approx(math.log(1.05))
    assert comparison.share(trio, 0.0) == 0.0
    assert estimate.head(trio, criteria.METRIC)[0] == pytest.approx(math.log(1.05))


def test_each_trio_is_slowed_by_what_a_batch_took_in_the_one_before(
    tmp_path, monkeypatch
) -> None:
    """A batch of base takes longer and longer; head is told before its trio begins."""
    took, told = iter(0.001 * (2 + np.arange(99) / 10)), []

    def trio(base, head, effort, **about):
        length = Path(head.trial.workload).with_suffix(injection.SUFFIX)
        told.append(float(length.read_text()) - injection.LEAST)
        one = next(took)
        return replace(made_trio(), turns=[turns(one, one, one + 1e-6 * told[-1])] * 6)

    monkeypatch.setattr(lockstep, "trio", trio)
    case = comparison.Case("prose", {"order": "batch_map"})
    found = comparison.compare(None, case, 0.05, tmp_path, 0)
    expected = [0.0] + [50 * (2 + n / 10) for n in range(comparison.TRIOS)]
    assert told == pytest.approx(expected)
    ratios = [ratio for ratio, _ in found["ratios"]]
    assert ratios == pytest.approx(found["shares"])
    equal = comparison.compare(None, case, 0.0, tmp_path, 0)
    assert equal["shares"] == [0.0] * comparison.TRIOS


def always_slower(one, margin):
    return "slower", decide(one, margin)[1]


def never_slower(one, margin):
    return "unchanged", decide(one, margin)[1]


def too_sure(one, margin):
    """The first trio's own error, as if there were no others: far too narrow."""
    middle = one.ratios[0][0]
    low, high = np.exp([middle - 1e-4, middle + 1e-4])
    verdict = "slower" if middle > np.log1p(margin) else "unchanged"
    return verdict, Interval(float(np.exp(middle)), float(low), float(high), 5)


@pytest.mark.parametrize(
    ("judge", "word"),
    [
        (always_slower, "false alarms"),
        (never_slower, "caught"),
        (too_sure, SLOWED),
        (too_sure, "intervals of equal sides cover 1"),
    ],
)
def test_a_broken_estimator_misses_a_bar(judge, word: str) -> None:
    found = missed(judge)
    assert found
    assert any(word in name for name in found)


def test_few_comparisons_miss_only_what_chance_does_not_excuse() -> None:
    one_of_ten = criteria.checked_share(
        "x", "y", [True] + [False] * 9, 1 / 72, at_most=True
    )
    assert (one_of_ten.held, one_of_ten.few) == (True, True)
    assert one_of_ten.found == "1 of 10 (0% to 45%)"
    assert not criteria.checked_share("x", "y", [True] * 10, 1 / 72, at_most=True).held
    many = criteria.checked_share(
        "x", "y", [True] * 2 + [False] * 70, 1 / 72, at_most=True
    )
    assert not many.held
    assert not criteria.checked_share("x", "y", [], 0.9).held


@pytest.mark.parametrize(("held", "code"), [(True, 0), (False, 1)])
def test_the_exit_code_tells_and_nothing_is_lost(
    held: bool, code: int, tmp_path, monkeypatch, capsys
) -> None:
    bar = Bar(name="drain against hand-written", wanted="1 %", found="1.0", held=held)
    fresh = iter(COMPARISONS[:6])

    def compare(stop: float, say: object, before: tuple) -> Iterator[Comparison]:
        assert len(before) == asked.pop(0)
        yield from itertools.islice(fresh, 3)

    asked = [0, 3]
    monkeypatch.setattr(selftest, "compare", compare)
    monkeypatch.setattr(criteria, "bars", lambda comparisons: [])
    monkeypatch.setattr(selftest, "bias", lambda microseconds: bar)
    monkeypatch.setattr(selftest, "operation", lambda: bar)
    monkeypatch.setattr(selftest, "share", lambda: bar)
    out = tmp_path / "selftest.json"
    assert [selftest.main(0.0, out) for _ in range(2)] == [code] * 2
    assert ("held" if held else "missed") in capsys.readouterr().out
    kept = json.loads(out.read_text())
    assert len(kept["comparisons"]) == 6  # the second one went on with the file
    assert [bar["held"] for bar in kept["bars"]] == [held] * 4


@pytest.mark.parametrize("when", ["while comparing", "afterwards"])
def test_what_is_measured_is_told_whatever_ends_it(
    when: str, tmp_path, monkeypatch, capsys
) -> None:
    """Ctrl-C or a process that fails: the bars of what there is, and no verdict."""

    def compare(stop: float, say: object, before: tuple) -> Iterator[Comparison]:
        yield COMPARISONS[0]
        if when == "while comparing":
            raise KeyboardInterrupt

    def operation() -> Bar:
        raise RuntimeError("bench.measure.clockwork operation failed:\nno memory")

    monkeypatch.setattr(selftest, "compare", compare)
    monkeypatch.setattr(selftest, "operation", operation)
    out = tmp_path / "selftest.json"
    ended = KeyboardInterrupt if when == "while comparing" else RuntimeError
    with pytest.raises(ended):
        selftest.main(1.0, out)
    assert "false alarms" in capsys.readouterr().out
    assert len(json.loads(out.read_text())["comparisons"]) == 1


def test_what_a_trio_said_can_be_written_and_read(tmp_path) -> None:
    """Figures of numpy's would not be JSON, and one of few turns has no error."""
    out = tmp_path / "selftest.json"
    trios = [made_trio(noise=0.01, seed=seed) for seed in range(5)]
    trios += [made_trio(noise=0.01, rounds=3)]
    one = Comparison(
        workload="made up",
        change=0.0,
        neighbour=False,
        shares=[0.0] * len(trios),
        ratios=[estimate.head(trio, criteria.METRIC) for trio in trios],
        controls=[estimate.control(trio, criteria.METRIC) for trio in trios],
    )
    criteria.write(out, [one], [])
    (read,) = criteria.read(out)
    assert read.ratios[:5] == one.ratios[:5]
    assert read.ratios[5] == (one.ratios[5][0], None)
    assert decide(read, 0.03) == decide(one, 0.03)


def test_a_file_of_another_machine_or_none_is_refused(tmp_path) -> None:
    out = tmp_path / "selftest.json"
    criteria.write(out, COMPARISONS[:1], [])
    assert criteria.read(out) == COMPARISONS[:1]
    record = json.loads(out.read_text())
    record["machine"]["cpu"] = "another"
    out.write_text(json.dumps(record))
    with pytest.raises(UsageError) as other:
        criteria.read(out)
    assert str(other.value) == (
        f"'{out}' is a self-test of another machine, or of other versions. Give "
        "another file to --out."
    )
    out.write_text("{")
    with pytest.raises(UsageError) as broken:
        criteria.read(out)
    assert str(broken.value) == (
        f"'{out}' is no self-test (Input data was truncated). Give another file to "
        "--out."
    )


def test_what_was_compared_before_is_gone_on_with(monkeypatch) -> None:
    """Nothing is made twice, and no neighbour is the same."""
    case = comparison.Case("made up", {})
    rounds = [selftest._round(number, [case]) for number in range(2)]
    assert len(rounds[0]) == len(rounds[1]) + 1  # 10 % is rare
    monkeypatch.setattr(selftest, "executor", lambda: mock.Mock())
    seeds: list[int] = []

    def neighbour(seed: int) -> contextlib.AbstractContextManager:
        seeds.append(seed)
        return contextlib.nullcontext()

    def compared(server, case, change: float, folder, seed: int) -> dict:
        return {
            "shares": [math.log1p(change)] * comparison.TRIOS,
            "ratios": [(math.log1p(change), QUIET)] * comparison.TRIOS,
            "controls": [(0.0, QUIET)] * comparison.TRIOS,
        }

    monkeypatch.setattr(comparison, "neighbour", neighbour)
    monkeypatch.setattr(comparison, "compare", compared)
    made = COMPARISONS[:4]
    later = selftest.compare(math.inf, lambda line: None, cases=[case], before=made)
    with contextlib.closing(later):
        fresh = list(itertools.islice(later, len(rounds[0]) - 4 + len(rounds[1])))
    cells = [(change, noisy) for _, change, noisy in rounds[0][4:] + rounds[1]]
    assert [(one.change, one.neighbour) for one in fresh] == cells
    assert len(set(seeds)) == len(seeds) == sum(noisy for _, noisy in cells)
