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

from bench import bars, evidence, selftest, slowed
from bench.bars import RULES, Bar, Comparison, judged
from bench.errors import UsageError
from bench.stats import Interval
from tests.test_evidence import trio as made_trio

QUIET, NOISY = 0.002, 0.004  # error of a trio's log-ratio
BATCH_SECONDS = 0.002


def comparisons(each: int = 72) -> list[Comparison]:
    """As many of each kind, with the stated errors."""
    rng, made = np.random.default_rng(5), []
    for change, noisy in sorted({(rule.change, rule.neighbour) for rule in RULES}):
        error = NOISY if noisy else QUIET
        for _ in range(each):
            heads = rng.normal(np.log1p(change), error, slowed.TRIOS)
            controls = rng.normal(0, error, slowed.TRIOS)
            made.append(
                Comparison(
                    workload="made up",
                    change=change,
                    neighbour=noisy,
                    more_seconds=change * BATCH_SECONDS,
                    batch_seconds=[BATCH_SECONDS] * slowed.TRIOS,
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


def test_a_slow_down_is_the_share_that_it_was_of_each_trios_time() -> None:
    """Aimed at 5 %, 7 % came out: the interval has to hold that, and not the aim."""
    first = next(one for one in COMPARISONS if one.change == 0.05 and not one.neighbour)
    assert bars.injected(first) == pytest.approx(0.05)
    dear = replace(
        first,
        batch_seconds=[BATCH_SECONDS * 5 / 7] * slowed.TRIOS,
        ratios=[(math.log1p(0.07) + error, QUIET) for error in (-1e-3, 1e-3) * 7],
    )
    assert bars.injected(dear) == pytest.approx(0.07)
    alone = "intervals cover the truth"
    covered = {bar.name: bar.found for bar in bars.bars([dear] * 3)}[alone]
    assert covered.startswith("3 of 3 ")
    aimed = replace(dear, batch_seconds=first.batch_seconds)
    covered = {bar.name: bar.found for bar in bars.bars([aimed] * 3)}[alone]
    assert covered.startswith("0 of 3 ")


def test_a_share_is_the_mean_of_the_trios_log_ratios() -> None:
    """As the estimate is: 2 % of half the trios and 8 % of the others are 4.96 %."""
    first = next(one for one in COMPARISONS if one.change == 0.05)
    times = [first.more_seconds / share for share in (0.02, 0.08)]
    moved = replace(first, batch_seconds=times * 7)
    assert bars.injected(moved) == pytest.approx((1.02 * 1.08) ** 0.5 - 1)
    assert bars.injected(replace(first, more_seconds=0.0)) == 0.0


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
        neighbour=False,
        more_seconds=0.0,
        batch_seconds=[BATCH_SECONDS] * len(trios),
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
    """Nothing is made twice, and no neighbour is the same."""
    case = slowed.Case("made up", {})
    rounds = [selftest._round(number, [case]) for number in range(2)]
    assert len(rounds[0]) == len(rounds[1]) + 1  # 10 % is rare
    monkeypatch.setattr(selftest, "executor", lambda: mock.Mock())
    seeds: list[int] = []

    def neighbour(seed: int) -> contextlib.AbstractContextManager:
        seeds.append(seed)
        return contextlib.nullcontext()

    def compared(server, case, change: float, folder, seed: int) -> dict:
        return {
            "more_seconds": change * BATCH_SECONDS,
            "batch_seconds": [BATCH_SECONDS] * slowed.TRIOS,
            "ratios": [(math.log1p(change), QUIET)] * slowed.TRIOS,
            "controls": [(0.0, QUIET)] * slowed.TRIOS,
        }

    monkeypatch.setattr(slowed, "neighbour", neighbour)
    monkeypatch.setattr(slowed, "compared", compared)
    made = COMPARISONS[:4]
    later = selftest.compare(math.inf, lambda line: None, cases=[case], before=made)
    with contextlib.closing(later):
        fresh = list(itertools.islice(later, len(rounds[0]) - 4 + len(rounds[1])))
    cells = [(change, noisy) for _, change, noisy in rounds[0][4:] + rounds[1]]
    assert [(one.change, one.neighbour) for one in fresh] == cells
    assert len(set(seeds)) == len(seeds) == sum(noisy for _, noisy in cells)
