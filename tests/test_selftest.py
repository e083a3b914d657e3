"""The self-test passes on a good estimator, and fails on each kind of broken one."""

import contextlib
import itertools
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest

from bench import bars, evidence, injection, selftest, slowed
from bench.bars import RULES, Bar, Comparison, judged
from bench.errors import UsageError
from bench.stats import Interval
from tests.test_evidence import trio as made_trio

QUIET, NOISY = 0.002, 0.004  # error of a trio's log-ratio


def comparisons(each: int = 72) -> list[Comparison]:
    """As many of each kind, with the stated errors; a number costs 1e-5 of the time."""
    rng, made = np.random.default_rng(5), []
    for change, noisy in sorted({(rule.change, rule.neighbour) for rule in RULES}):
        error = NOISY if noisy else QUIET
        for _ in range(each):
            yardstick = rng.normal(np.log1p(injection.TIMES * change), error, 4)
            heads = rng.normal(np.log1p(change), error, slowed.TRIOS)
            controls = rng.normal(0, error, slowed.TRIOS)
            made.append(
                Comparison(
                    workload="made up",
                    change=change,
                    length=injection.LEAST + round(1e5 * change),
                    neighbour=noisy,
                    yardstick=[(float(value), error) for value in yardstick],
                    times=injection.TIMES,
                    ratios=[(float(value), error) for value in heads],
                    controls=[(float(value), error) for value in controls],
                )
            )
    return made


COMPARISONS = comparisons()


def missed(judge) -> list[str]:
    return [bar.name for bar in bars.bars(COMPARISONS, judge) if not bar.held]


def test_a_good_estimator_holds_every_bar() -> None:
    assert missed(judged) == []


def test_what_was_injected_is_told_as_it_came_out() -> None:
    (bar,) = [
        bar for bar in bars.bars(COMPARISONS) if bar.name.startswith("2% slower caught")
    ]
    assert ", injected were 2.0% (nine of ten 2.0 to 2.0)" in bar.found


def test_a_slow_down_is_what_the_yardsticks_next_to_it_tell() -> None:
    """Aimed at 5 %, 7 % came out: the interval has to hold that, and not the aim."""
    first = next(one for one in COMPARISONS if one.change == 0.05 and not one.neighbour)
    dear = [
        replace(
            first,
            yardstick=[(math.log1p(injection.TIMES * 0.07), QUIET)] * 4,
            ratios=[(math.log1p(0.07) + error, QUIET) for error in (-1e-3, 1e-3) * 7],
        )
    ] * 3
    assert bars.injected(dear) == pytest.approx([0.07] * 3)
    others = [replace(one, workload="another") for one in COMPARISONS]
    assert bars.injected([*others, *dear])[-3:] == pytest.approx([0.07] * 3)
    alone = "intervals cover the truth"
    covered = {bar.name: bar.found for bar in bars.bars(dear)}[alone]
    assert covered.startswith("3 of 3 ")
    aimed = [replace(one, yardstick=first.yardstick) for one in dear]
    covered = {bar.name: bar.found for bar in bars.bars(aimed)}[alone]
    assert covered.startswith("0 of 3 ")


def test_a_yardstick_that_met_a_burst_weighs_one_in_seven() -> None:
    """It tells 8 % of the same length; equal sides stay at exactly 0."""
    some = [one for one in COMPARISONS if one.change == 0.05 and not one.neighbour][:6]
    mad = replace(some[0], yardstick=[(math.log1p(injection.TIMES * 0.08), QUIET)] * 4)
    equal = next(one for one in COMPARISONS if one.change == 0)
    shares = bars.injected([*some[:3], equal, mad, *some[3:]])
    assert shares[3] == 0.0
    assert shares[4] == pytest.approx(0.05 + 0.03 / 7, abs=0.001)


def test_a_longer_yardstick_tells_the_same_and_weighs_as_it_is_long() -> None:
    some = [one for one in COMPARISONS if one.change == 0.05 and not one.neighbour][:2]
    long = replace(some[0], times=8, yardstick=[(math.log1p(8 * 0.06), QUIET)] * 4)
    assert bars.by_yardstick(long) == pytest.approx(0.06)
    assert bars.injected([long] * 2) == pytest.approx([0.06] * 2)
    short = replace(some[1], times=4, yardstick=[(math.log1p(4 * 0.05), QUIET)] * 4)
    told = (0.06 * 8**2 + 0.05 * 4**2) / (8**2 + 4**2)
    assert bars.injected([long, short]) == pytest.approx([told] * 2)


def always_slower(one, margin):
    return "slower", judged(one, margin)[1]


def never_slower(one, margin):
    return "unchanged", judged(one, margin)[1]


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
        (too_sure, "intervals cover the truth"),
        (too_sure, "intervals of equal sides cover 1"),
    ],
)
def test_a_broken_estimator_misses_a_bar(judge, word: str) -> None:
    found = missed(judge)
    assert found
    assert any(word in name for name in found)


def test_few_comparisons_miss_only_what_chance_does_not_excuse() -> None:
    one_of_ten = bars.checked_share(
        "x", "y", [True] + [False] * 9, 1 / 72, at_most=True
    )
    assert one_of_ten.held
    assert one_of_ten.found == "1 of 10 (0% to 45%)"
    assert not bars.checked_share("x", "y", [True] * 10, 1 / 72, at_most=True).held
    many = bars.checked_share("x", "y", [True] * 2 + [False] * 70, 1 / 72, at_most=True)
    assert not many.held
    assert not bars.checked_share("x", "y", [], 0.9).held


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
    monkeypatch.setattr(bars, "bars", lambda comparisons: [])
    monkeypatch.setattr(selftest, "bias", lambda microseconds: bar)
    monkeypatch.setattr(selftest, "share", lambda: bar)
    out = tmp_path / "selftest.json"
    assert [selftest.main(0.0, out) for _ in range(2)] == [code] * 2
    assert ("held" if held else "missed") in capsys.readouterr().out
    kept = json.loads(out.read_text())
    assert len(kept["comparisons"]) == 6  # the second one went on with the file
    assert [bar["held"] for bar in kept["bars"]] == [held] * 3


def test_what_a_trio_said_can_be_written_and_read(tmp_path) -> None:
    """Figures of numpy's would not be JSON, and one of few turns has no error."""
    out = tmp_path / "selftest.json"
    trios = [made_trio(noise=0.01, seed=seed) for seed in range(5)]
    trios += [made_trio(noise=0.01, rounds=3)]
    one = Comparison(
        workload="made up",
        change=0.0,
        length=injection.LEAST,
        neighbour=False,
        yardstick=[],
        times=injection.TIMES,
        ratios=[evidence.head(trio, bars.METRIC) for trio in trios],
        controls=[evidence.control(trio, bars.METRIC) for trio in trios],
    )
    bars.write(out, [one], [])
    (read,) = bars.read(out)
    assert read.ratios[:5] == one.ratios[:5]
    assert read.ratios[5] == (one.ratios[5][0], None)
    assert judged(read, 0.03) == judged(one, 0.03)


def test_a_file_of_another_machine_or_none_is_refused(tmp_path) -> None:
    out = tmp_path / "selftest.json"
    bars.write(out, COMPARISONS[:1], [])
    assert bars.read(out) == COMPARISONS[:1]
    record = json.loads(out.read_text())
    record["machine"]["cpu"] = "another"
    out.write_text(json.dumps(record))
    with pytest.raises(UsageError) as other:
        bars.read(out)
    assert str(other.value) == (
        f"'{out}' is a self-test of another machine, or of other versions. Give "
        "another file to --out."
    )
    out.write_text("{")
    with pytest.raises(UsageError) as broken:
        bars.read(out)
    assert str(broken.value) == (
        f"'{out}' is no self-test (Input data was truncated). Give another file to "
        "--out."
    )


def test_what_was_compared_before_is_gone_on_with(monkeypatch) -> None:
    """Nothing is made twice, and lengths are known from the file's yardsticks."""
    case = slowed.Case("made up", {})
    rounds = [selftest._round(number, [case]) for number in range(2)]
    assert len(rounds[0]) == len(rounds[1]) + 1  # 10 % is rare
    monkeypatch.setattr(selftest, "executor", lambda: mock.Mock())
    monkeypatch.setattr(slowed, "calibrate", lambda _, s, cases, *rest: None)
    monkeypatch.setattr(slowed, "sides", lambda server, case, length, folder: length)
    seeds: list[int] = []

    def neighbour(seed: int) -> contextlib.AbstractContextManager:
        seeds.append(seed)
        return contextlib.nullcontext()

    monkeypatch.setattr(slowed, "neighbour", neighbour)

    def compared(length: int, slower: bool, seed: int) -> dict:
        share = 1e-5 * (length - injection.LEAST)
        assert slower == (share > 0)
        long = [(math.log1p(injection.TIMES * share), QUIET)] * 4
        return {
            "yardstick": long if slower else [],
            "times": injection.TIMES,
            "ratios": [(math.log1p(share), QUIET)] * slowed.TRIOS,
            "controls": [(0.0, QUIET)] * slowed.TRIOS,
        }

    monkeypatch.setattr(slowed, "compared", compared)
    about = {"workload": "made up", "change": 0.005, "length": 550, "neighbour": False}
    made = [Comparison(**about, **compared(550, True, 0))] * 4
    later = selftest.compare(math.inf, lambda line: None, cases=[case], before=made)
    with contextlib.closing(later):
        fresh = list(itertools.islice(later, len(rounds[0]) - 4 + len(rounds[1])))
    cells = [(change, noisy) for _, change, noisy in rounds[0][4:] + rounds[1]]
    assert [(one.change, one.neighbour) for one in fresh] == cells
    assert len(set(seeds)) == len(seeds) == sum(noisy for _, noisy in cells)
    assert {one.length for one in fresh if one.change == 0.05} == {
        injection.LEAST + 5000
    }
