"""Names in sentences are short and distinct; sentences on few rounds are careful."""

import factory
import pytest

from bench import store
from bench.analysis import stats, table
from bench.errors import UsageError
from bench.report import formats, sentences
from bench.trial import Failure

CHAIN = "shuffle_buffer=256,interleave_cycle_length=4,interleave_parallel_calls=4"


def test_what_all_trials_share_is_left_out():
    assert sentences.names(["in_model,device=cpu", "autotuned,device=cpu"]) == {
        "in_model,device=cpu": "in_model",
        "autotuned,device=cpu": "autotuned",
    }
    assert sentences.names(["cache=raw", "naive"])["cache=raw"] == "cache=raw"
    assert sentences.names(["read_latency_ms=5", "naive,read_latency_ms=5"]) == {
        "read_latency_ms=5": "read_latency_ms=5",  # the label has nothing else
        "naive,read_latency_ms=5": "naive,read_latency_ms=5",
    }
    in_model = ["placement=model", "batch_size=1,placement=model"]
    assert list(sentences.names(in_model).values()) == in_model


def test_long_names_keep_the_strategy_and_what_few_others_have():
    cached = f"cached_raw,{CHAIN},prefetch=2"
    short = sentences.names([cached, f"autotuned,{CHAIN}", "naive"])
    assert short[cached] == (
        "cached_raw,prefetch=2,shuffle_buffer=256 and 2 more settings"
    )
    assert short["naive"] == "naive"


def test_names_that_came_out_alike_stay_whole():
    labels = [f"cached_raw,{CHAIN},batch_size={size}" for size in (32, 64)]
    assert len(set(sentences.names([*labels, "naive"]).values())) == 3


def sentence(runs, folders=None):
    rows = stats.trials(table.from_runs(runs, folders)).to_dict("records")
    return sentences.sentence(rows)


def test_where_one_trial_may_be_ranked_the_others_are_not_passed_over():
    failure = Failure(type="ValueError", message="no", phase="check")
    naive = factory.run(factory.trial(), [0.01])
    failed = factory.run(factory.trial("parallel"), error=failure)
    frozen = [
        factory.run(factory.trial(name), [0.001], flags=["frozen_random"])
        for name in ("offline", "cached_mapped")
    ]
    assert sentence([naive, frozen[0], failed]) == (
        "Only naive can be ranked: 3,200 examples a second. offline was measured too, "
        "but is not ranked: see the cautions. 1 of 3 trials failed."
    )
    assert sentence([naive, *frozen]) == (
        "Only naive can be ranked: 3,200 examples a second. offline, cached_mapped "
        "were measured too, but are not ranked: see the cautions."
    )
    assert sentence([naive, failed]) == (
        "Only naive was measured: 3,200 examples a second; there is nothing to compare "
        "it with. 1 of 2 trials failed."
    )
    assert sentence([*frozen, failed]) == (
        "No trial here can be ranked: see the cautions. 1 of 3 trials failed."
    )


def test_a_flag_says_what_it_means_and_bars_only_where_other_work_was_done():
    flags = {"naive": "epochs_repeat", "vectorized": "frozen_trace"}
    runs = [
        factory.run(factory.trial(name), [0.01], flags=[flag])
        for name, flag in flags.items()
    ]
    rows = stats.trials(table.from_runs(runs)).to_dict("records")
    assert [row["strategy"] for row in rows if row["ranked"]] == ["naive"]
    frozen, repeats, _ = sentences.cautions(rows)
    assert frozen.what == (
        "vectorized: a layer draws a choice while it is traced and keeps it for the "
        "whole run, so two trials time different work; not ranked."
    )
    assert repeats.what == (
        "naive: epochs repeat: the augmentation draws the same every epoch, since "
        "seeded tf.random operations in a map begin again with each epoch."
    )


def test_a_rival_with_an_unknown_verdict_has_its_own_interval():
    """The interval is not the runner-up's, and two rounds make no rival."""
    times = {
        "autotuned": (0.001, 0.05),
        "parallel": (0.0014, 0.0),
        "naive": (0.01, 0.0),
    }
    runs = [
        factory.run(factory.trial(name), [seconds * (1 + wide * (n - 1))], round=n)
        for name, (seconds, wide) in times.items()
        for n in range(3)
    ]
    few = [factory.run(factory.trial("vectorized"), [0.009], round=n) for n in (0, 1)]
    text = sentence([*runs, *few])
    assert "The runner-up is parallel, which takes 1.40 times as long" in text
    assert "the verdict is unknown" not in text
    wide = [
        factory.run(factory.trial("vectorized"), [seconds], round=n)
        for n, seconds in enumerate((0.0011, 0.01, 0.002))
    ]
    text = sentence([*runs, *wide])
    assert "Against vectorized the verdict is unknown at a margin of 3 %" in text
    assert "(vectorized takes 0." in text


def test_without_a_common_round_there_is_a_rate_and_no_factor():
    runs = [factory.run(factory.trial(), [0.01], round=0)]
    for name, seconds in (("vectorized", 0.002), ("parallel", 0.004)):
        runs += [factory.run(factory.trial(name), [seconds], round=n) for n in (1, 2)]
    text = (
        "It shares no round with naive, so there is no factor: complete the sweep with "
        "--resume. The runner-up was parallel, which took 2.0 times as long"
    )
    once = sentence([run for run in runs if run.round < 2])
    assert once == f"vectorized came first with 16,000 examples a second. {text}."
    assert text in sentence(runs)


def test_the_best_of_several_folders_wins_and_names_whom_it_never_met():
    """Each folder has the plain pipeline and one more trial."""
    times = {"vectorized": 0.0005, "parallel": 0.005, "prefetched": 0.008}
    runs, folders = [], []
    for number, (name, seconds) in enumerate(times.items()):
        both = {factory.trial(): 0.01, factory.trial(name): seconds}
        runs += factory.runs(both, seed=number)
        folders += [str(number)] * 10
    text = sentence(runs, folders)
    assert text.startswith("vectorized won: ")
    assert text.endswith(
        ", 5 rounds). vectorized shares no round with parallel, prefetched: how far "
        "apart they are was not measured."
    )


def test_a_race_is_judged_by_the_rounds_that_its_finalists_share():
    """The finalists share twelve rounds; the baseline left the race after two."""
    runs = [factory.run(factory.trial(), [0.01], round=n) for n in (0, 1)]
    for number in range(12):
        seconds = 0.002 * (1.06 if number % 2 else 0.96)
        runs.append(factory.run(factory.trial("vectorized"), [0.002], round=number))
        runs.append(factory.run(factory.trial("parallel"), [seconds], round=number))
    assert sentence(runs) == (
        "vectorized was fastest, 5.0 times as fast as naive (5.0 to 5.0 from two "
        "rounds: this factor is a hint). Against parallel the verdict is unknown at a "
        "margin of 3 % (parallel takes 0.98 to 1.04 times as long)."
    )
    rows = stats.trials(table.from_runs(runs)).to_dict("records")
    assert sentences.compared(rows, "factor") == 0
    assert sentences.compared(rows, "lead") == 1


def test_one_round_that_was_faster_is_not_passed_over_in_silence():
    """The trial of one round does not win either, because its lead may be luck."""
    fast = factory.run(factory.trial("vectorized"), [0.009])
    plain = [factory.run(factory.trial(), [0.01], round=n) for n in range(3)]
    assert sentence([*plain, fast]) == (
        "naive was fastest (two rounds or one: a hint, not a result). vectorized took "
        "0.90 times as long, but in too few rounds for a verdict."
    )
    slow = {factory.trial(): 0.01, factory.trial("parallel"): 0.02}
    text = sentence([*factory.runs(slow, rounds=3), fast])
    assert text.startswith(
        "naive won: nothing here was shown to be faster. The runner-up is parallel, "
    )


def test_mixed_schemas_are_refused_with_the_line(tmp_path):
    store.append(tmp_path, factory.run(factory.trial()))
    with (tmp_path / store.FILE).open("a") as file:
        file.write('{"schema": 99}\n')
    with pytest.raises(UsageError, match="line 2: schema 99, and this version reads"):
        formats.write(tmp_path, tmp_path)
