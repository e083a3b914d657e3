"""Clear losers leave the race, ties stay, and the race ends when all are settled."""

from collections.abc import Mapping

import factory
import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from bench.analysis import standings
from bench.plan import screening
from bench.trial import Effort, Failure, Run, Trial

EFFORT = Effort(rounds=3)
SMALL = [factory.trial(prefetch=n) for n in range(4)]
BEST, TIED, CLOSE, SLOW = (trial.key for trial in SMALL)
TRUE = dict(zip(SMALL, (0.010, 0.010, 0.0112, 0.030), strict=True))
LARGE = [
    factory.trial(prefetch=prefetch, batch_size=size)
    for prefetch in range(10)
    for size in range(32, 42)
]


def measured(
    true: Mapping[Trial, float],
    number: int,
    noise: float,
    drift: float = 0.03,
    **fields: object,
) -> list[Run]:
    """Return a round of these trials, with noise of the round and of each run."""
    rng = np.random.default_rng(number)
    factors = np.exp(rng.normal(0, drift) + rng.normal(0, noise, len(true)))
    return [
        factory.run(trial, [seconds * factor] * 3, round=number, **fields)
        for (trial, seconds), factor in zip(true.items(), factors, strict=True)
    ]


def raced(
    true: Mapping[Trial, float], precision: float, noise: float, most: int = 60
) -> tuple[list[Run], standings.Standing]:
    """Run a whole race of one scene; return its runs and its last standing."""
    runs: list[Run] = []
    for number in range(most):
        (standing,) = standings.standings(list(true), runs, EFFORT, precision, number)
        if not standing.wanted:
            break
        chosen = {t: s for t, s in true.items() if t.key in standing.wanted}
        runs += measured(chosen, number, noise)
    return runs, standing


def counts(runs: list[Run]) -> dict[str, int]:
    """Return the number of runs of each trial."""
    return pd.Series([run.key for run in runs]).value_counts().to_dict()


def test_losers_leave_and_ties_stay_until_they_are_settled() -> None:
    """A trial that is three times as slow has the least rounds; two ties the most."""
    runs, standing = raced(TRUE, 0.02, 0.02)
    number_of = counts(runs)
    assert number_of[SLOW] == EFFORT.rounds
    assert number_of[CLOSE] < max(number_of[BEST], number_of[TIED])
    assert min(number_of[BEST], number_of[TIED]) > EFFORT.rounds
    assert standing.best in (BEST, TIED)
    assert (standing.open, standing.half_width, standing.wanted) == ((), 0.0, {})
    assert standing.out == 2


def test_a_finer_precision_takes_more_rounds() -> None:
    """A coarse precision needs little more than the least rounds."""
    coarse, fine = (len(raced(TRUE, precision, 0.02)[0]) for precision in (0.3, 0.02))
    assert EFFORT.rounds * len(SMALL) <= coarse < fine


def test_drift_of_whole_rounds_does_not_hide_the_order() -> None:
    """Rounds differ by 20 %, and a rival that is 12 % slower is out."""
    runs = [run for number in range(5) for run in measured(TRUE, number, 0.005, 0.2)]
    (standing,) = standings.standings(SMALL, runs, EFFORT, 0.02, 5)
    assert standing.open == (standing.best,)  # its own time is not precise to 2 %
    assert standing.out == 2
    assert standing.half_width > 0.05


def test_later_rounds_are_no_evidence() -> None:
    """So a resumed sweep decides as before."""
    runs = [run for number in range(6) for run in measured(TRUE, number, 0.02)]
    for number in (3, 4):
        before = [run for run in runs if run.round < number]
        assert standings.standings(SMALL, runs, EFFORT, 0.05, number) == (
            standings.standings(SMALL, before, EFFORT, 0.05, number)
        )


def test_a_large_scene_is_screened_and_the_best_trials_remain() -> None:
    """Of 100 trials 25 and then 8 remain, with the best among them."""
    each = [1.02**n / 3200 for n in range(100)]  # seconds an example
    true = {t: s * t.pipeline.batch_size for t, s in zip(LARGE, each, strict=True)}
    short = screening.short(EFFORT)
    runs: list[Run] = []
    rounds = []
    for number in range(4):
        (standing,) = standings.standings(LARGE, runs, EFFORT, 0.03, number)
        rounds.append((len(standing.wanted), set(standing.wanted.values())))
        chosen = {t: s for t, s in true.items() if t.key in standing.wanted}
        runs += measured(chosen, number, 0.02)
    assert rounds == [(100, {short}), (25, {short}), (8, {EFFORT}), (8, {EFFORT})]
    runs, standing = raced(true, 0.03, 0.02)
    assert standing.best in (LARGE[0].key, LARGE[1].key)  # 2 % apart
    assert standing.screened == 92
    assert len(runs) < 300


def test_the_plain_pipeline_remains_until_the_race_excludes_it() -> None:
    """Reports compare with the plain pipeline, here the slowest of 100."""
    each = [1.02 ** (99 - n) / 3200 for n in range(100)]
    true = {t: s * t.pipeline.batch_size for t, s in zip(LARGE, each, strict=True)}
    runs, standing = raced(true, 0.03, 0.02)
    plain = [run for run in runs if run.trial.label == "naive"]
    assert [run.round for run in plain] == [0, 1, 2, 3, 4]
    assert standing.best in (LARGE[99].key, LARGE[98].key)
    assert standing.screened == 91


def test_screening_runs_are_no_evidence_in_the_race() -> None:
    """A trial that was lucky in a screening run is compared by its full runs."""
    true = dict.fromkeys(LARGE, 0.01)
    runs = measured({**true, LARGE[5]: 0.001}, 0, 0.0)
    runs += measured(dict.fromkeys(LARGE[:25], 0.01) | {LARGE[5]: 0.001}, 1, 0.0)
    (standing,) = standings.standings(LARGE, runs, EFFORT, 0.03, 2)
    assert LARGE[5].key in standing.wanted
    assert standing.best == ""
    left = [trial for trial in LARGE if trial.key in standing.wanted]
    for number in range(2, 5):
        runs += measured({**dict.fromkeys(left, 0.01), LARGE[5]: 0.02}, number, 0.001)
    (standing,) = standings.standings(LARGE, runs, EFFORT, 0.03, 5)
    assert LARGE[5].key not in {*standing.open, standing.best}


def test_failed_and_flagged_trials_do_not_race() -> None:
    """They have their least rounds and no others."""
    runs = []
    for number in range(3):
        runs += measured({SMALL[0]: 0.01, SMALL[1]: 0.011}, number, 0.1)
        runs += measured({SMALL[2]: 0.001}, number, 0.1, flags=["frozen_random"])
        error = Failure(type="ValueError", message="no such file")
        runs.append(factory.run(SMALL[3], round=number, error=error))
    (standing,) = standings.standings(SMALL, runs, EFFORT, 0.01, 2)
    assert set(standing.wanted) == {trial.key for trial in SMALL}
    (standing,) = standings.standings(SMALL, runs, EFFORT, 0.01, 3)
    assert set(standing.wanted) == {BEST, TIED}
    failed = [run for run in runs if run.measured.error]
    (standing,) = standings.standings(SMALL, failed, EFFORT, 0.01, 3)
    assert (standing.wanted, standing.best) == ({}, "")


@pytest.mark.parametrize("turned", [False, True])
def test_the_quieter_of_a_run_and_its_repeat_counts(turned: bool) -> None:
    """The order does not matter; a failed run does not count."""
    loud, calm = ({"foreign_cpu_share": share} for share in (0.6, 0.2))
    failure = Failure(type="Timeout", message="too long")
    pair = [
        factory.run(SMALL[0], [0.05], round=3, conditions=loud),
        factory.run(SMALL[0], [0.01], round=3, conditions=calm),
        factory.run(SMALL[1], [0.02], round=3, conditions=loud),
        factory.run(SMALL[1], error=failure, round=3, conditions=calm),
    ]
    runs = [run for number in range(3) for run in measured(TRUE, number, 0.001)]
    logs = standings.log_seconds([*runs, *(pair[::-1] if turned else pair)])
    assert np.exp(logs.loc[3, [BEST, TIED]]).tolist() == pytest.approx(
        [0.01 / 32, 0.02 / 32]
    )


def test_only_runs_of_this_machine_are_evidence() -> None:
    """A sweep that is resumed elsewhere starts without evidence."""
    elsewhere = {**factory.MACHINE, "cpu": "another"}
    runs = [r for n in range(3) for r in measured(TRUE, n, 0.01, machine=elsewhere)]
    runs += measured(TRUE, 3, 0.01)
    assert list(standings.log_seconds(runs).index) == [3]


def test_half_widths_of_one_rival_are_those_of_student() -> None:
    """One round has no finite half-width."""
    gaps = pd.DataFrame({"a": [0.1, 0.2, 0.4]})
    expected = t.ppf(0.975, 2) * np.std([0.1, 0.2, 0.4], ddof=1) / np.sqrt(3)
    assert standings.half_widths(gaps)["a"] == pytest.approx(expected)
    assert standings.half_widths(gaps[:1])["a"] == np.inf


def test_moderated_intervals_have_their_coverage() -> None:
    """Two rounds are enough, although a variance of two values is poor."""
    rng = np.random.default_rng(1)
    inside = []
    for _ in range(300):
        noise = rng.normal(0, 0.05, (2, 20))
        gaps = pd.DataFrame(noise[:, 1:] - noise[:, :1])
        half = standings.half_widths(gaps)
        assert half.median() < 1
        inside.append((gaps.mean().abs() <= half).mean())
    assert 0.9 < np.mean(inside) < 0.99


def test_the_variance_of_a_noisy_rival_is_not_combined() -> None:
    """With a combined variance its interval would be too narrow."""
    rng = np.random.default_rng(2)
    noise = np.full(8, 0.01)
    noise[0] = 0.08
    inside = []
    for _ in range(150):
        gaps = pd.DataFrame(rng.normal(0, noise, (4, 8)))
        inside.append(abs(gaps[0].mean()) <= standings.half_widths(gaps)[0])
    assert np.mean(inside) > 0.9
    gaps = pd.DataFrame(rng.normal(0, noise, (4, 8)))
    own = t.ppf(0.975, 3) * gaps[0].std() / np.sqrt(4)
    assert standings.half_widths(gaps)[0] == pytest.approx(own)


def test_a_standing_is_one_line() -> None:
    """The line has the scene, the remaining trials, the best and the half-width."""
    standing = standings.Standing(
        name="prose",
        trials=14,
        wanted=dict.fromkeys("abc", EFFORT),
        best="a",
        label="parallel",
        open=("b", "c", "d"),
        half_width=0.0241,
    )
    assert str(standing) == "settling prose: 3 of 14 left, best parallel, ±2.4 %"
    assert standings.notes([standing], 0.02, "by the budget in round 7") == [
        "prose: cut short by the budget in round 7: 3 of 14 trials are not settled to "
        "±2 % (best parallel); the widest interval is ±2.4 %."
    ]
    first = standings.Standing("prose", 14, dict.fromkeys("abcd", EFFORT))
    assert str(first) == "racing prose: 4 of 14 left"
    assert standings.notes([first], 0.02, "by an interrupt in round 1") == [
        "prose: cut short by an interrupt in round 1: 4 of 14 trials are not settled "
        "to ±2 %; the widest interval is not known yet."
    ]
    wide = standings.Standing("prose", 2, {}, "a", "naive", ("a",), half_width=3.0)
    assert str(wide) == "settling prose: 1 of 2 left, best naive, beyond ±100 %"


def test_excluded_trials_have_a_note() -> None:
    """A settled race has no other note."""
    done = standings.Standing("prose", 100, {}, "a", "naive", screened=92, out=5)
    assert standings.notes([done], 0.02, "") == [
        "prose: of 100 trials the race put out 92 after short first rounds and 5 as "
        "slower beyond the margin; their figures rest on fewer rounds."
    ]
    assert standings.notes([standings.Standing("prose", 3, {})], 0.02, "") == []
