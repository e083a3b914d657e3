"""Estimates against known truth, verdicts against their definitions."""

import itertools
from dataclasses import replace

import factory
import numpy as np
import pytest
from scipy import stats as reference

from bench.analysis import intervals, pairs, stats, table
from bench.plan import screening
from bench.trial import Failure

NAIVE = factory.trial()
FAST = factory.trial("vectorized")
OTHER = factory.trial("parallel")
CACHED = factory.trial("cached_raw")


def compared(runs):
    return stats.trials(table.from_runs(runs)).set_index("label")


def test_the_interval_is_students_on_the_log_scale():
    values = np.array([1.0, 1.1, 0.9, 1.3])
    expected = reference.ttest_1samp(np.log(values), 0).confidence_interval(0.95)
    interval = intervals.geometric(values)
    assert interval.estimate == pytest.approx(reference.gmean(values))
    assert np.log([interval.low, interval.high]) == pytest.approx([*expected])
    assert interval.count == 4


def test_one_run_has_no_interval_and_says_so():
    interval = intervals.geometric(np.array([0.25]))
    assert np.isnan(interval.low) and np.isnan(interval.high)
    assert str(interval) == "0.25 (one run: no interval)"


def test_a_ratio_pairs_rounds_so_that_a_shared_drift_cancels():
    drift = np.array([1.0, 2.0, 3.0, 4.0])
    interval = intervals.ratio(1.1 * drift, drift)
    assert interval.estimate == pytest.approx(1.1)
    assert interval.high - interval.low < 1e-9


def test_intervals_cover_the_truth_at_their_nominal_rate():
    rng = np.random.default_rng(3)
    values = np.exp(rng.normal(np.log(2.0), 0.1, (2000, 5)))
    every = [intervals.geometric(row) for row in values]
    covered = np.mean([one.low < 2.0 < one.high for one in every])
    assert 0.935 < covered < 0.965


def test_a_trend_needs_both_size_and_significance():
    rng = np.random.default_rng(1)
    order = np.arange(30)
    noise = rng.normal(1, 0.01, 30)
    assert stats.trends(noise + 0.01 * order)[0]
    assert not stats.trends(noise)[0]
    assert not stats.trends(1 + 0.001 * order)[0]  # certain, and harmless
    assert not stats.trends(rng.normal(1, 0.3, 30))[0]  # large, and noise
    assert not stats.trends(np.ones(30))[0]
    assert not stats.trends(np.array([1.0, 2.0, 3.0]))[0]  # too few for a trend


def test_trends_agree_with_spearmans_test():
    rng = np.random.default_rng(2)
    rows = np.exp(rng.normal(0, 0.3, (200, 15)) + 0.03 * np.arange(15))
    by_hand = [
        reference.spearmanr(row, np.arange(15)).pvalue < 0.01
        and abs(np.median(row[-5:]) / np.median(row[:5]) - 1) > 0.05
        for row in rows
    ]
    assert list(stats.trends(rows)) == by_hand
    assert 0 < sum(by_hand) < 200


def test_known_factors_are_found_and_the_best_leads():
    runs = factory.runs({NAIVE: 0.01, FAST: 0.002, OTHER: 0.005}, round_noise=0.2)
    trials = compared(runs)
    fast = trials.loc["vectorized"]
    assert fast["factor_low"] < 5 < fast["factor_high"]
    assert fast["factor_high"] / fast["factor_low"] < 1.1  # the drift cancelled
    assert fast["verdict"] == "faster" and fast["best"]
    assert trials.loc["naive", "verdict"] == "baseline"
    parallel = trials.loc["parallel"]
    assert parallel["lead_low"] < 2.5 < parallel["lead_high"]
    assert parallel["lead_verdict"] == "faster"
    assert trials["unstable"].all()  # each alone went up and down by a fifth


def test_equal_trials_are_unchanged():
    runs = factory.runs({NAIVE: 0.01, FAST: 0.01}, rounds=8, run_noise=0.005)
    assert compared(runs).loc["vectorized", "verdict"] == "unchanged"


def test_few_noisy_rounds_leave_it_unknown():
    runs = factory.runs({NAIVE: 0.01, FAST: 0.0097}, rounds=3, run_noise=0.05)
    assert compared(runs).loc["vectorized", "verdict"] == "unknown"


def test_false_alarms_among_many_equal_trials_stay_rare():
    many = {factory.trial(shuffle_buffer=n): 0.01 for n in range(1, 20)}
    alarms = 0
    for seed in range(40):
        runs = factory.runs(
            {NAIVE: 0.01, **many}, rounds=4, samples=1, run_noise=0.02, seed=seed
        )
        alarms += compared(runs)["verdict"].isin(["faster", "slower"]).any()
    assert alarms <= 2


def test_samples_are_not_evidence_of_their_own():
    """Thousands of samples in two runs do not make an interval narrow."""
    runs = factory.runs({NAIVE: 0.01}, rounds=2, samples=2000, run_noise=0.05)
    row = compared(runs).loc["naive"]
    assert row["seconds_per_batch_high"] / row["seconds_per_batch_low"] > 1.2


def test_machines_are_never_put_together():
    other = {**factory.MACHINE, "tensorflow": "2.22.0"}
    runs = factory.runs({NAIVE: 0.01, FAST: 0.005})
    runs += factory.runs({NAIVE: 0.03, FAST: 0.005}, machine=other)
    trials = stats.trials(table.from_runs(runs))
    assert len(trials) == 4
    assert trials["scene"].nunique() == 2
    factors = trials.loc[trials["label"] == "vectorized", "factor"]
    assert factors.tolist() == pytest.approx([2, 6], rel=0.05)


def test_batches_of_two_sizes_are_compared_by_the_example():
    runs = factory.runs({NAIVE: 0.01, factory.trial(batch_size=64): 0.01})
    row = compared(runs).loc["naive,batch_size=64"]
    assert row["factor"] == pytest.approx(2, rel=0.03)


def test_other_work_is_another_scene():
    cold = factory.trial(storage="cold")
    runs = factory.runs({NAIVE: 0.01, cold: 0.02, factory.trial(unit="epoch"): 0.03})
    assert stats.trials(table.from_runs(runs))["scene"].nunique() == 3


def test_what_did_other_work_is_not_ranked():
    runs = factory.runs({NAIVE: 0.01, OTHER: 0.009})
    cached = factory.trial("cached_mapped")
    runs += factory.runs({cached: 0.0001}, flags=["frozen_random"])
    trials = compared(runs)
    assert not trials.loc["cached_mapped", "ranked"]
    assert trials.loc["parallel", "best"]


def test_without_naive_the_slowest_is_the_baseline():
    trials = compared(factory.runs({FAST: 0.002, OTHER: 0.005}))
    assert trials.loc["parallel", "is_baseline"]
    assert trials.loc["vectorized", "factor"] == pytest.approx(2.5, rel=0.05)


def test_a_failed_naive_is_no_baseline():
    failure = Failure(type="Timeout", message="120 s")
    runs = factory.runs({FAST: 0.002, OTHER: 0.005})
    runs.append(factory.run(NAIVE, error=failure))
    trials = compared(runs)
    assert trials.loc["parallel", "is_baseline"]
    assert trials.loc["naive", "runs"] == 0 and trials.loc["naive", "failed"] == 1


def test_a_repeat_within_a_round_is_no_further_round():
    runs = factory.runs({NAIVE: 0.01, FAST: 0.005}, rounds=3)
    again = [r for r in runs if r.round == 0]
    assert compared(runs + again).loc["vectorized", "pairs"] == 3


def test_no_common_round_gives_no_factor():
    runs = [factory.run(NAIVE, round=0), factory.run(FAST, round=1)]
    row = compared(runs).loc["vectorized"]
    assert np.isnan(row["factor"]) and row["pairs"] == 0
    assert row["verdict"] == "unknown"


def of_folders(folders):
    names = [name for name, runs in folders.items() for _ in runs]
    runs = [run for some in folders.values() for run in some]
    return stats.trials(table.from_runs(runs, names)).set_index("label")


def best(trials):
    return list(trials.index[trials["best"]])


def test_the_best_of_several_folders_need_not_be_in_all_of_them():
    """The plain pipeline is, so it has most runs; one folder is of a slow day."""
    trials = of_folders(
        {
            "a": factory.runs({NAIVE: 0.01, OTHER: 0.003}),
            "b": factory.runs({NAIVE: 0.02, FAST: 0.004}, seed=1),
            "c": factory.runs({NAIVE: 0.01, CACHED: 0.008}, seed=2),
        }
    )
    assert trials["runs"].tolist() == [15, 5, 5, 5]
    assert best(trials) == ["vectorized"]
    assert trials["ranked"].all()
    assert trials.loc["vectorized", "factor"] == pytest.approx(5, rel=0.05)
    shared = {"naive": 5, "parallel": 0, "vectorized": 5, "cached_raw": 0}
    assert trials["lead_pairs"].to_dict() == shared


def test_what_shares_no_round_with_the_most_measured_is_ranked_too():
    trials = of_folders(
        {
            "a": factory.runs({NAIVE: 0.01, OTHER: 0.005}, rounds=6),
            "b": factory.runs({FAST: 0.002, CACHED: 0.004}, seed=1),
        }
    )
    assert best(trials) == ["vectorized"]
    assert trials["ranked"].all()
    assert trials.loc["cached_raw", "lead"] == pytest.approx(2, rel=0.05)
    assert trials.loc["vectorized", "pairs"] == 0


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.0005, "vectorized"), (0.009, "naive")]
)
def test_one_round_of_three_makes_the_best_by_more_than_luck(seconds, expected):
    runs = [factory.run(NAIVE, [0.01], round=n) for n in range(3)]
    assert best(compared([*runs, factory.run(FAST, [seconds])])) == [expected]


def test_what_a_race_put_out_is_not_the_best_by_luck():
    """Its two rounds were the best of all, and the finalists had ten more."""
    runs = factory.runs({FAST: 0.002, OTHER: 0.0021}, rounds=12)
    for number, (trial, seconds) in itertools.product(
        range(2), ((NAIVE, 0.01), (CACHED, 0.0019))
    ):
        runs.append(factory.run(trial, [seconds], round=number))
    trials = compared(runs)
    assert best(trials) == ["vectorized"]
    assert trials["lead_pairs"].tolist() == [12, 12, 2, 2]
    assert trials["pairs"].tolist() == [2, 2, 2, 2]


def shortened(runs):
    return [replace(run, effort=screening.short(run.effort)) for run in runs]


def screened(left):
    """Two short rounds that favour vectorized, which goes on with the plain one."""
    times = {NAIVE: 0.008, FAST: 0.001, CACHED: left}
    runs = [factory.run(t, [s], round=n) for n in range(2) for t, s in times.items()]
    return shortened(runs)


@pytest.mark.parametrize("left", [0.004, 0.0005])
def test_runs_that_chose_who_raced_are_no_evidence_of_the_chosen(left):
    """Of what they left behind they are all there is; it is never the best."""
    runs = screened(left)
    for number in range(2, 5):
        runs += [factory.run(NAIVE, [0.01], round=number)]
        runs += [factory.run(FAST, [0.002], round=number)]
    trials = compared(runs)
    assert best(trials) == ["vectorized"]
    assert trials["runs"].tolist() == [3, 3, 2]
    assert trials["pairs"].tolist() == [3, 3, 2]
    assert trials["lead_pairs"].tolist() == [3, 3, 2]
    fast, behind = trials.loc["vectorized"], trials.loc["cached_raw"]
    assert fast["factor"] == pytest.approx(5)
    assert fast["examples_per_second"] == pytest.approx(32 / 0.002)
    assert behind["factor"] == pytest.approx(0.008 / left)
    assert behind["lead"] == pytest.approx(left / 0.001)
    assert behind["verdict"] == behind["lead_verdict"] == "unknown"


def test_figures_of_a_few_trials_leave_them_out_too():
    """Trials that a race left behind keep the short rounds that they had."""
    runs = screened(0.004)
    for number in range(2, 4):
        runs += [factory.run(NAIVE, [0.01], round=number)]
        runs += [factory.run(FAST, [0.002], round=number)]
    frame = stats.runs(table.from_runs(runs))
    seconds = pairs.seconds(frame, [NAIVE.key, FAST.key, CACHED.key])
    expected = [[0.008, np.nan, 0.004]] * 2 + [[0.01, 0.002, np.nan]] * 2
    assert seconds == pytest.approx(np.array(expected), nan_ok=True)
    chosen = pairs.ratio(*seconds[:, :2].T)
    assert (chosen.estimate, chosen.count) == (pytest.approx(5), 2)


def test_a_race_that_ended_among_its_short_runs_is_told_by_them():
    trials = compared(screened(0.0005))
    assert best(trials) == ["cached_raw"]
    assert trials["runs"].tolist() == trials["pairs"].tolist() == [2, 2, 2]


def test_a_folder_of_less_effort_counts_as_any_other():
    quick = factory.runs({NAIVE: 0.01, FAST: 0.002}, seed=1)
    whole = factory.runs({NAIVE: 0.01, OTHER: 0.005})
    trials = of_folders({"a": whole, "b": shortened(quick)})
    assert best(trials) == ["vectorized"]
    assert trials["runs"].tolist() == [10, 5, 5]
    assert trials.loc["vectorized", "pairs"] == 5


def test_a_drifting_run_marks_its_trial():
    drifting = 0.01 * (1 + 0.02 * np.arange(20))
    runs = [factory.run(NAIVE, drifting, round=n) for n in range(3)]
    trials = compared([*runs, factory.run(FAST)])
    assert trials["not_steady"].to_dict() == {"naive": True, "vectorized": False}


def test_what_a_trial_costs_is_of_all_its_good_runs():
    failure = Failure(type="Killed", message="signal 9")
    runs = [factory.run(NAIVE, error=failure, peak_resident_bytes=900)]
    runs += [
        factory.run(
            NAIVE,
            round=n,
            cpu_seconds_per_example=n * 1e-4,
            peak_resident_bytes=n * 100,
            phases={"offline": n},
            device="/CPU:0",
        )
        for n in (1, 2, 6)
    ]
    row = compared(runs).loc["naive"]
    assert row["cpu_seconds_per_example"] == pytest.approx(2e-4)
    assert (row["peak_resident_bytes"], row["offline_seconds"]) == (200, 2)
    assert (row["ran_on"], row["failed"], row["runs"]) == ("/CPU:0", 1, 3)
    row = compared(runs[:1]).loc["naive"]
    assert np.isnan(row["peak_resident_bytes"]) and row["ran_on"] == ""


def test_only_errors_and_nothing_at_all():
    failure = Failure(type="Killed", message="signal 9")
    trials = compared([factory.run(NAIVE, error=failure)])
    assert trials.loc["naive", "failed"] == 1
    assert not trials["best"].any()
    assert stats.trials(table.from_runs([])).empty
