"""The self-test passes with a good estimator, and fails with each broken one."""

import contextlib
import functools
import itertools
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest import mock

import factory
import numpy as np
import pytest
from trios import trio as made_trio

from bench.analysis import table
from bench.analysis.intervals import Interval
from bench.errors import UsageError
from bench.guard import estimate
from bench.guard import trio as guard_trio
from bench.run.turns import Turn
from bench.selftest import comparison, criteria, injection, selftest
from bench.selftest.criteria import RULES, Bar, Comparison, decide

QUIET, NOISY = 0.002, 0.004  # error of a trio's log-ratio


def comparisons(each: int = 72) -> list[Comparison]:
    """Return a number of comparisons of each kind, with the stated errors."""
    rng, results = np.random.default_rng(5), []
    for change, noisy in sorted({(rule.change, rule.neighbour) for rule in RULES}):
        error = NOISY if noisy else QUIET
        for _ in range(each):
            heads = rng.normal(np.log1p(change), error, comparison.TRIOS)
            controls = rng.normal(0, error, comparison.TRIOS)
            results.append(
                Comparison(
                    workload="made up",
                    change=change,
                    neighbour=noisy,
                    shares=[float(np.log1p(change))] * comparison.TRIOS,
                    ratios=[(float(value), error) for value in heads],
                    controls=[(float(value), error) for value in controls],
                )
            )
    return results


COMPARISONS = comparisons()


@functools.cache
def bars(decide) -> list[Bar]:
    """Return the bars of all comparisons by an estimator, computed once."""
    return criteria.bars(COMPARISONS, decide)


def missed(decide) -> list[str]:
    return [bar.name for bar in bars(decide) if not bar.held]


def test_a_good_estimator_meets_every_bar() -> None:
    assert missed(decide) == []


def test_a_bar_shows_the_slow_downs_that_were_injected() -> None:
    (bar,) = [bar for bar in bars(decide) if bar.name.startswith("2% slower caught")]
    assert ", injected were 2.0% (nine of ten 2.0 to 2.0)" in bar.found


SLOWED = "intervals of slow-downs cover what was injected"


def test_the_interval_is_compared_with_the_injected_slow_down() -> None:
    """The slow-down is 7 %, though 5 % was intended; the interval must cover 7 %."""
    first = next(one for one in COMPARISONS if one.change == 0.05 and not one.neighbour)
    assert criteria.injected(first) == pytest.approx(0.05)
    ratios = [(math.log1p(0.07) + error, QUIET) for error in (-1e-3, 1e-3) * 7]
    larger = replace(first, shares=[math.log1p(0.07)] * 14, ratios=ratios)
    assert criteria.injected(larger) == pytest.approx(0.07)
    covered = {bar.name: bar.found for bar in criteria.bars([larger] * 3)}[SLOWED]
    assert covered.startswith("3 of 3 ")
    intended = replace(larger, shares=first.shares)
    covered = {bar.name: bar.found for bar in criteria.bars([intended] * 3)}[SLOWED]
    assert covered.startswith("0 of 3 ")


def test_trios_with_unlike_slow_downs_do_not_hide_a_wrong_estimate() -> None:
    """The slow-downs are 2 % and 8 % in turn; the estimate is 0.5 % too large."""
    first = next(one for one in COMPARISONS if one.change == 0.05 and not one.neighbour)
    shares = [math.log1p(share) for share in (0.02, 0.08)] * 7
    ratios = [
        (share + 0.005 + e, QUIET)
        for share, e in zip(shares, (-1e-3, 1e-3) * 7, strict=True)
    ]
    one = replace(first, shares=shares, ratios=ratios)
    assert criteria.injected(one) == pytest.approx((1.02 * 1.08) ** 0.5 - 1)
    interval = decide(one, 0.03)[1]
    assert interval.low < 1 + criteria.injected(one) < interval.high
    assert decide(criteria.unslowed(one), 0.03)[1].low > 1


def turns(*seconds: float) -> tuple[Turn, ...]:
    return tuple(Turn(one, one) for one in seconds)


def test_the_expected_ratio_weighs_turns_as_the_estimate_does() -> None:
    """The centre ignores the round of 9 ms among nine rounds of 2 ms."""
    rounds = [turns(0.002, 0.002, 0.0021)] * 9 + [turns(0.009, 0.009, 0.0091)]
    trio = replace(made_trio(), turns=rounds)
    assert comparison.share(trio, 1e-4) == pytest.approx(math.log(1.05))
    assert comparison.share(trio, 0.0) == 0.0
    assert estimate.head_log_ratio(trio, criteria.METRIC)[0] == pytest.approx(
        math.log(1.05)
    )


def test_each_trio_is_slowed_by_a_share_of_the_previous_batch_time(
    tmp_path, monkeypatch
) -> None:
    """A batch of base takes longer from trio to trio."""
    times, lengths = iter(0.001 * (2 + np.arange(99) / 10)), []

    def trio(base, head, effort, **about):
        length = Path(head.trial.workload).with_suffix(injection.SUFFIX)
        lengths.append(float(length.read_text()) - injection.LEAST)
        base_time = next(times)
        head_time = base_time + 1e-6 * lengths[-1]
        return replace(made_trio(), turns=[turns(base_time, base_time, head_time)] * 6)

    monkeypatch.setattr(guard_trio, "run_trio", trio)
    case = comparison.Case("prose", {"order": "batch_map"})
    result = comparison.compare(None, case, 0.05, tmp_path, 0)
    expected = [0.0] + [50 * (2 + n / 10) for n in range(comparison.TRIOS)]
    assert lengths == pytest.approx(expected)
    ratios = [ratio for ratio, _ in result["ratios"]]
    assert ratios == pytest.approx(result["shares"])
    equal = comparison.compare(None, case, 0.0, tmp_path, 0)
    assert equal["shares"] == [0.0] * comparison.TRIOS


def always_slower(one, margin):
    return "slower", decide(one, margin)[1]


def never_slower(one, margin):
    return "unchanged", decide(one, margin)[1]


def too_narrow(one, margin):
    """Use the first trio alone, with far too narrow an interval."""
    middle = one.ratios[0][0]
    low, high = np.exp([middle - 1e-4, middle + 1e-4])
    verdict = "slower" if middle > np.log1p(margin) else "unchanged"
    return verdict, Interval(float(np.exp(middle)), float(low), float(high), 5)


@pytest.mark.parametrize(
    ("decide", "word"),
    [
        (always_slower, "false alarms"),
        (never_slower, "caught"),
        (too_narrow, SLOWED),
        (too_narrow, "intervals of equal sides cover 1"),
    ],
)
def test_a_broken_estimator_misses_a_bar(decide, word: str) -> None:
    assert any(word in name for name in missed(decide))


def test_few_comparisons_fail_a_bar_only_beyond_chance() -> None:
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
def test_the_exit_code_follows_the_bars_and_comparisons_are_stored(
    held: bool, code: int, tmp_path, monkeypatch, capsys
) -> None:
    bar = Bar(name="drain against hand-written", wanted="1 %", found="1.0", held=held)
    fresh = iter(COMPARISONS[:6])
    earlier = [0, 3]

    def compare(stop: float, report: object, before: tuple) -> Iterator[Comparison]:
        assert len(before) == earlier.pop(0)
        yield from itertools.islice(fresh, 3)

    monkeypatch.setattr(selftest, "compare", compare)
    monkeypatch.setattr(criteria, "bars", lambda comparisons: [])
    monkeypatch.setattr(selftest, "bias", lambda microseconds: bar)
    monkeypatch.setattr(selftest, "operation", lambda: bar)
    monkeypatch.setattr(selftest, "share", lambda: bar)
    out = tmp_path / "selftest.json"
    assert [selftest.main(0.0, out) for _ in range(2)] == [code] * 2
    assert ("met" if held else "missed") in capsys.readouterr().out
    record = json.loads(out.read_text())
    assert len(record["comparisons"]) == 6  # the second self-test continues the file
    assert [bar["held"] for bar in record["bars"]] == [held] * 4


@pytest.mark.parametrize("when", ["while comparing", "afterwards"])
def test_an_interrupted_self_test_prints_its_bars(
    when: str, tmp_path, monkeypatch, capsys
) -> None:
    """The bars are those of the comparisons so far, and the error goes on."""

    def compare(stop: float, report: object, before: tuple) -> Iterator[Comparison]:
        yield COMPARISONS[0]
        if when == "while comparing":
            raise KeyboardInterrupt

    def operation() -> Bar:
        raise RuntimeError("bench.measure.clockwork operation failed:\nno memory")

    monkeypatch.setattr(selftest, "compare", compare)
    monkeypatch.setattr(selftest, "operation", operation)
    out = tmp_path / "selftest.json"
    error = KeyboardInterrupt if when == "while comparing" else RuntimeError
    with pytest.raises(error):
        selftest.main(1.0, out)
    assert "false alarms" in capsys.readouterr().out
    assert len(json.loads(out.read_text())["comparisons"]) == 1


def test_the_figures_of_trios_can_be_written_and_read(tmp_path) -> None:
    """Numbers are no NumPy types, and a trio with few turns has no error."""
    out = tmp_path / "selftest.json"
    trios = [made_trio(noise=0.01, seed=seed) for seed in range(5)]
    trios += [made_trio(noise=0.01, rounds=3)]
    one = Comparison(
        workload="made up",
        change=0.0,
        neighbour=False,
        shares=[0.0] * len(trios),
        ratios=[estimate.head_log_ratio(trio, criteria.METRIC) for trio in trios],
        controls=[estimate.control_log_ratio(trio, criteria.METRIC) for trio in trios],
    )
    criteria.write(out, [one], [])
    (read,) = criteria.read(out)
    assert read.ratios[:5] == one.ratios[:5]
    assert read.ratios[5] == (one.ratios[5][0], None)
    assert decide(read, 0.03) == decide(one, 0.03)


def test_a_file_of_another_machine_or_schema_is_refused(tmp_path) -> None:
    out = tmp_path / "selftest.json"
    criteria.write(out, COMPARISONS[:1], [])
    assert criteria.read(out) == COMPARISONS[:1]
    record = json.loads(out.read_text())
    record["machine"]["cpu"] = "another"
    out.write_text(json.dumps(record))
    with pytest.raises(UsageError) as other:
        criteria.read(out)
    assert str(other.value) == (
        f"'{out}' is a self-test of another machine, or of other versions. Name "
        "another file with --out."
    )
    out.write_text("{")
    with pytest.raises(UsageError) as broken:
        criteria.read(out)
    assert str(broken.value) == f"{out}: not a self-test: Input data was truncated."
    out.write_text(json.dumps(record | {"schema": 9}))
    with pytest.raises(UsageError) as newer:
        criteria.read(out)
    assert str(newer.value) == (
        f"{out}: schema 9, and this version reads 1; name another file with --out."
    )


def test_the_self_test_continues_after_earlier_comparisons(monkeypatch) -> None:
    """No comparison is repeated, and every neighbour has a new seed."""
    case = comparison.Case("made up", {})
    rounds = [selftest._round(number, [case]) for number in range(2)]
    assert len(rounds[0]) == len(rounds[1]) + 1  # a change of 10 % is rare
    monkeypatch.setattr(selftest, "executor", lambda: mock.Mock())
    seeds: list[int] = []

    def neighbour(seed: int) -> contextlib.AbstractContextManager:
        seeds.append(seed)
        return contextlib.nullcontext()

    def compare(server, case, change: float, folder, seed: int) -> dict:
        return {
            "shares": [math.log1p(change)] * comparison.TRIOS,
            "ratios": [(math.log1p(change), QUIET)] * comparison.TRIOS,
            "controls": [(0.0, QUIET)] * comparison.TRIOS,
        }

    monkeypatch.setattr(comparison, "neighbour", neighbour)
    monkeypatch.setattr(comparison, "compare", compare)
    before = COMPARISONS[:4]
    later = selftest.compare(math.inf, lambda line: None, cases=[case], before=before)
    with contextlib.closing(later):
        fresh = list(itertools.islice(later, len(rounds[0]) - 4 + len(rounds[1])))
    cells = [(change, noisy) for _, change, noisy in rounds[0][4:] + rounds[1]]
    assert [(one.change, one.neighbour) for one in fresh] == cells
    assert len(set(seeds)) == len(seeds) == sum(noisy for _, noisy in cells)


PHASES = {"adapt": 0.5, "trace": 0.5, "first_batch": 0.1, "ramp": 0.4, "steady": 1.0}


def frame(**seconds: float):
    """Return the rows of two runs of 3 s; `seconds` changes phases of the first run."""
    first = factory.run(factory.trial(), phases=PHASES | seconds)
    second = factory.run(factory.trial(workload="prices"), phases=PHASES, round=1)
    return table.runs_frame([first, second]).assign(run_seconds=3.0)


def test_the_measured_share_counts_windows_and_neither_adapt_nor_trace():
    """Windows take 1.5 s of the 3 s of each run."""
    assert selftest.measured_share(frame()) == pytest.approx(0.5)


def test_filling_a_cache_and_calibrating_are_windows():
    runs = frame(fill=0.4, calibrate=0.2)
    assert selftest.measured_share(runs) == pytest.approx((1.5 + 2.1) / 6)


def test_there_is_no_measured_share_without_runs():
    """The share is not 0, which would be a result."""
    assert math.isnan(selftest.measured_share(frame().iloc[:0]))
