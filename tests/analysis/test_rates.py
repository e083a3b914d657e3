"""Rates include the rare stalls of a pipeline and exclude those of other processes."""

from dataclasses import replace

import factory
import numpy as np
import pytest

from bench.analysis import rates, stats, table
from bench.report import lumps, summary
from bench.trial import Effort, Windows

PLAIN = factory.trial("vectorized", batch_size=256)
SHUFFLED = factory.trial("vectorized", batch_size=256, shuffle_buffer=81_920)
PLACED = {"start_batches": 0, "epoch_batches": 320.0, "batches_per_sample": 4}


def placed(trial, windows, *, foreign=0.0, facts=None, **fields):
    """Return a run for each row of windows, all at the same places of the stream."""
    return [
        factory.run(
            trial,
            row,
            round=number,
            foreign_share=foreign,
            facts=facts or {},
            **PLACED,
            **fields,
        )
        for number, row in enumerate(windows)
    ]


def noisy(windows, seed=0, share=0.25):
    """Return windows of which some, at random places, take twice as long."""
    rng = np.random.default_rng(seed)
    return windows * np.where(rng.random(windows.shape) < share, 2.0, 1.0)


def refills(runs=3, places=80, usual=0.001, refill=0.4):
    windows = np.full((runs, places), usual)
    windows[:, 0] += refill
    return windows


def seconds(runs):
    return stats.runs(table.from_runs(runs))["seconds_per_batch"].to_numpy()


def test_a_refill_once_an_epoch_is_in_the_rate():
    assert seconds(placed(SHUFFLED, refills())) == pytest.approx([0.006] * 3)


def test_bursts_of_other_processes_are_not_in_the_rate():
    even = np.full((5, 200), 0.01)
    alone = seconds(placed(PLAIN, noisy(even), foreign=0.4))
    assert alone == pytest.approx(
        [0.01] * 5, rel=0.08
    )  # 25 % more without the correction


def test_refills_and_bursts_at_once_are_distinguished():
    windows = noisy(refills(runs=7, places=200))
    effort = Effort(windows=Windows(batches=4, start=0, ramp=1, steady=200, epoch=320))
    runs = placed(SHUFFLED, windows, foreign=0.4)
    measured = seconds([replace(run, effort=effort) for run in runs])
    assert measured == pytest.approx([0.003] * 7, rel=0.05)
    # The first run has other examples at its places, so it is not corrected.
    first = seconds([runs[0], *(replace(run, effort=effort) for run in runs[1:])])[0]
    assert first == pytest.approx(windows[0].mean())


def test_a_quiet_run_keeps_stalls_at_changing_places():
    windows = np.full((5, 100), 0.01)
    for number, row in enumerate(windows):
        row[7 * number] = 0.5
    expected = pytest.approx([0.0149] * 5)
    assert seconds(placed(PLAIN, windows)) == expected


def test_a_stall_that_one_run_lacks_stays():
    """Two of three runs have the stall."""
    windows = refills(runs=3, places=80)
    windows[1, 0] = windows[1, 1]
    measured = seconds(placed(PLAIN, windows, foreign=0.4))
    assert measured[[0, 2]] == pytest.approx([0.006] * 2)


def test_jitter_is_not_cut():
    rng = np.random.default_rng(0)
    windows = 0.01 * np.exp(rng.normal(0, 0.08, (3, 2000)))
    cut = seconds(placed(PLAIN, windows, foreign=0.4))
    assert cut == pytest.approx(windows.mean(axis=1), rel=0.01)


def test_two_runs_are_too_few_to_attribute_a_burst():
    windows = np.array([[0.01, 0.03], [0.01, 0.01]])
    assert seconds(placed(PLAIN, windows, foreign=0.5)) == pytest.approx([0.02, 0.01])


def test_runs_with_other_windows_do_not_explain_one_another():
    runs = placed(PLAIN, np.full((3, 4), 0.01), foreign=0.5)
    other = placed(PLAIN, [[0.01, 0.01, 0.09, 0.01]], foreign=0.5)[0]
    moved = replace(other.measured, start_batches=8)
    runs.append(replace(other, round=3, measured=moved))
    assert seconds(runs)[3] == pytest.approx(0.03)


def test_the_shuffle_with_room_for_all_does_not_win_by_its_usual_window():
    """Whole epochs take 0.010 s a batch without the buffer and 0.011 with it."""
    runs = placed(PLAIN, np.full((3, 80), 0.010))
    runs += placed(SHUFFLED, refills(usual=0.0004, refill=80 * 0.0106))
    trials = stats.trials(table.from_runs(runs)).set_index("shuffle_buffer")
    factor = trials["examples_per_second"][81_920] / trials["examples_per_second"][0]
    assert factor == pytest.approx(10 / 11)
    assert trials["usual_examples_per_second"][81_920] == pytest.approx(256 / 0.0004)
    assert trials["stall_windows"][81_920] == 80
    assert trials["stall_count"][81_920] == 1


def cautions(runs):
    frame = table.from_runs(runs)
    (scene,) = summary.summarize(runs, frame, [])["scenes"]
    return [f"{one.what} {one.remedy}" for one in scene["cautions"]]


def test_the_report_names_a_known_stall():
    facts = {"share_timed": 1.0, "recurs": "the shuffle buffer fills"}
    (sentence,) = cautions(placed(SHUFFLED, refills(), facts=facts))
    assert (
        "one of 80 windows takes up to 400 times as long as usual: the shuffle buffer "
        "fills. The rate counts this; the usual one is 260,000 examples a second."
    ) in sentence


def test_the_report_names_the_place_of_an_unknown_stall():
    windows = np.full((3, 80), 0.01)
    windows[:, 40] = 0.2
    (sentence,) = cautions(placed(PLAIN, windows, facts={"share_timed": 1.0}))
    assert "one of 80 windows takes up to 20 times as long as usual, at" in sentence
    assert "batches 160 to 164 of 320." in sentence


def test_a_partly_timed_trial_is_not_ranked_and_its_part_is_named():
    facts = {"share_timed": 0.2, "not_timed": "the shuffle buffer fills"}
    runs = placed(SHUFFLED, refills(), facts=facts, flags=["partly_timed"])
    runs += placed(PLAIN, np.full((3, 80), 0.01), facts={"share_timed": 0.3})
    trials = stats.trials(table.from_runs(runs)).set_index("shuffle_buffer")
    assert not trials["ranked"][81_920]
    assert trials["best"][0]
    sentences = cautions(runs)
    assert any(
        "partly timed: 20 % of an epoch was timed, and not how the shuffle buffer fills"
        in sentence
        for sentence in sentences
    )
    assert any("A part of an epoch was timed: 30 %" in one for one in sentences)


def test_epochs_are_averaged_without_the_first():
    trial = factory.trial(unit="epoch")
    runs = [factory.run(trial, [0.9, 0.1, 0.3], round=n) for n in range(2)]
    assert seconds(runs) == pytest.approx([0.2, 0.2])


def test_even_windows_have_no_caution():
    assert lumps.sentence({"mean_over_usual": 1.01}) == ""
    assert rates.centres(np.full((2, 3), 0.5)) == pytest.approx([1.0, 1.0, 1.0])
