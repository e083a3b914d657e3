"""Every claim can be run, and known effects have the right verdict."""

import dataclasses
import json

import factory
import msgspec
import numpy as np
import pytest

import run_bench
from bench import catalog, flags, store
from bench.analysis import claim_verdicts, settlements, table
from bench.analysis.settlements import Settlement, Trios
from bench.commands import claims as claims_command
from bench.errors import Exit, UsageError
from bench.plan import claims, screening, sweeps
from bench.plan.claims import Case, Claim, Side, prediction
from bench.race import settling
from bench.report import claims as claims_report
from bench.report import formats, sections
from bench.trial import Failure

CLAIMS = claims.load()
FAST, SLOW = claims.trial("prose[order=batch_map]"), claims.trial("prose")
OTHER = claims.trial("prose[prefetch=2]")


def claim(**changes) -> Claim:
    """Return the claim that FAST is more than 1.05 times as fast as SLOW."""
    predict = prediction(changes.pop("predict", "> 1.05"))
    trial = changes.pop("trial", Side((FAST,)))
    than = changes.pop("than", Side((SLOW,)))
    return Claim(
        id="one",
        sentence="It is faster.",
        source="nobody",
        sweep="quick",
        cases=(Case(workload="prose", trial=trial, than=than),),
        predict=predict,
        **changes,
    )


def row_of(one, runs):
    """Return the only row of a claim."""
    (row,) = claim_verdicts.evaluate(table.from_runs(runs), [one]).to_dict("records")
    return row


@pytest.mark.parametrize("one", CLAIMS, ids=lambda one: one.id)
def test_a_claim_refers_to_trials_of_its_sweep(one):
    trials, _ = sweeps.trials(sweeps.find(one.sweep))
    keys = {trial.key for trial in trials}
    assert {trial.key for case in one.cases for trial in case.trials} <= keys


@pytest.mark.parametrize("one", CLAIMS, ids=lambda one: one.id)
def test_a_claim_needs_a_gpu_exactly_when_its_trials_do(one):
    for case in one.cases:
        on_gpu = {trial.pipeline.device == "gpu" for trial in case.trials}
        assert on_gpu == {one.needs == "gpu"}


def test_no_claim_is_about_augmentation_that_was_frozen():
    """A stored or cached result of random layers is flagged and has no verdict."""
    trials = {trial for one in CLAIMS for case in one.cases for trial in case.trials}
    stored = {
        trial.workload
        for trial in trials
        if trial.pipeline.cache == "mapped" or trial.pipeline.placement == "offline"
    }
    assert [n for n in sorted(stored) if not catalog.find(n).deterministic] == []
    assert "text_bigrams" in stored and not catalog.find("photographs").deterministic


def test_every_claim_of_the_articles_is_in_the_file():
    assert len(CLAIMS) >= 40
    assert len(claims.names()) == len(CLAIMS)
    assert all(one.sentence.endswith(".") for one in CLAIMS)


@pytest.mark.parametrize(
    ("fast", "slow", "predict", "verdict"),
    [
        (0.01, 0.02, "> 1.05", "holds"),
        (0.02, 0.01, "> 1.05", "does not hold"),
        (0.01, 0.0105, "> 1.05", "not settled"),
        (0.01, 0.1, "5 to 20", "holds"),
        (0.01, 0.03, "5 to 20", "does not hold"),
        (0.01, 0.01, "0.9 to 1.1", "holds"),
        (0.01, 0.02, "< 0.95", "does not hold"),
    ],
)
def test_known_effects(fast, slow, predict, verdict):
    runs = factory.runs({FAST: fast, SLOW: slow}, run_noise=0.02)
    row = row_of(claim(predict=predict), runs)
    assert row["verdict"] == verdict
    assert row["low"] < row["factor"] < row["high"]
    assert row["factor"] == pytest.approx(slow / fast, rel=0.05)
    assert row["rounds"] == 5


def test_a_slow_round_cancels():
    runs = factory.runs({FAST: 0.01, SLOW: 0.012}, round_noise=0.5, run_noise=0.01)
    assert row_of(claim(), runs)["verdict"] == "holds"


def test_screening_runs_count_only_without_other_runs():
    tried = [
        dataclasses.replace(run, effort=screening.short(run.effort))
        for run in factory.runs({FAST: 0.001, SLOW: 0.02, OTHER: 0.02}, rounds=2)
    ]
    later = factory.runs({FAST: 0.01, SLOW: 0.02}, rounds=4)
    runs = [*tried, *(dataclasses.replace(run, round=run.round + 2) for run in later)]
    row = row_of(claim(), runs)
    assert (row["factor"], row["rounds"]) == (pytest.approx(2, rel=0.1), 4)
    row = row_of(claim(than=Side((OTHER,))), runs)
    assert (row["factor"], row["rounds"]) == (pytest.approx(20, rel=0.1), 2)


def test_batches_of_different_sizes_are_compared_by_the_example():
    large = claims.trial("prose[batch_size=256]")
    runs = factory.runs({large: 0.04, SLOW: 0.01}, run_noise=0.001)
    row = row_of(claim(trial=Side((large,))), runs)
    assert row["factor"] == pytest.approx(2, rel=0.01)


@pytest.mark.parametrize(("rounds", "count"), [(1, "1 round"), (2, "2 rounds")])
def test_one_round_or_two_settle_nothing(rounds, count):
    row = row_of(claim(), factory.runs({FAST: 0.01, SLOW: 0.03}, rounds=rounds))
    assert row["verdict"] == "not settled"
    assert row["reason"] == f"too few: {count}; use --rounds 5"
    assert row["factor"] == pytest.approx(3, rel=0.1)


def test_missing_trials_are_not_measured():
    row = row_of(claim(), factory.runs({FAST: 0.01}))
    assert row["verdict"] == "not measured"
    assert row["reason"] == "1 of 2 trials missing: run_bench.py run quick"
    assert np.isnan(row["factor"])


def test_nothing_at_all_is_not_measured():
    row = row_of(claim(), [])
    assert row["verdict"] == "not measured"


def test_rounds_that_are_not_shared_are_not_measured():
    runs = [factory.run(FAST, round=0), factory.run(SLOW, round=1)]
    assert row_of(claim(), runs)["reason"] == "its trials share no round"


def test_failed_runs_are_not_measured():
    failure = Failure(type="ValueError", message="no")
    runs = [*factory.runs({FAST: 0.01}), factory.run(SLOW, error=failure)]
    row = row_of(claim(), runs)
    assert row["verdict"] == "not measured"
    assert row["reason"] == "every run of prose failed: ValueError"


@pytest.mark.parametrize("flag", flags.NOT_RANKED)
def test_flagged_runs_settle_nothing(flag):
    runs = factory.runs({FAST: 0.01}) + factory.runs({SLOW: 0.03}, flags=[flag])
    row = row_of(claim(), runs)
    assert (row["verdict"], row["reason"]) == (
        "not settled",
        f"prose is flagged {flag}",
    )


@pytest.mark.parametrize("flag", flags.NOT_RANKED)
def test_one_flagged_run_settles_nothing(flag):
    runs = factory.runs({FAST: 0.01, SLOW: 0.03})
    assert row_of(claim(), runs)["verdict"] == "holds"
    runs += [factory.run(SLOW, [0.03], round=5, flags=[flag])]
    row = row_of(claim(), runs)
    assert (row["verdict"], row["reason"]) == (
        "not settled",
        f"prose is flagged {flag}",
    )


def test_without_a_gpu_a_gpu_claim_is_not_testable():
    runs = factory.runs({FAST: 0.01, SLOW: 0.02}, device="/CPU:0")
    row = row_of(claim(needs="gpu"), runs)
    assert (row["verdict"], row["reason"]) == (
        "not testable here",
        "no GPU: none of these runs saw one",
    )
    runs = factory.runs({FAST: 0.01, SLOW: 0.02}, device="/device:GPU:0")
    assert row_of(claim(needs="gpu"), runs)["verdict"] == "holds"


@pytest.mark.parametrize(
    ("how", "factor"), [("fastest", 2), ("slowest", 3), ("sum", 5)]
)
def test_several_trials_taken_together(how, factor):
    runs = factory.runs({FAST: 0.01, SLOW: 0.02, OTHER: 0.03}, run_noise=0.001)
    row = row_of(claim(than=Side((SLOW, OTHER), how)), runs)
    assert row["factor"] == pytest.approx(factor, rel=0.01)
    assert row["than"] == f"{how} of prose, prose[prefetch=2]"


def test_the_first_epoch_against_the_later_ones():
    runs = [
        factory.run(FAST, [0.04 * noise, 0.01, 0.01], round=number)
        for number, noise in enumerate((0.99, 1, 1.01))
    ]
    row = row_of(claim(than=None, measure="later_over_first", predict="> 2"), runs)
    assert (row["verdict"], row["factor"]) == ("holds", pytest.approx(4, rel=0.01))


def test_later_epochs_leave_the_first_out():
    runs = [
        factory.run(trial, [first, rest, rest], round=number)
        for number in range(3)
        for trial, first, rest in ((FAST, 0.1, 0.01), (SLOW, 0.01, 0.02))
    ]
    row = row_of(claim(measure="later_speed"), runs)
    assert row["factor"] == pytest.approx(2)


def test_a_scale_makes_bytes_of_examples():
    runs = factory.runs({FAST: 0.1, SLOW: 0.01}, run_noise=0.001)
    row = row_of(claim(scale=100, predict="> 2"), runs)
    assert row["factor"] == pytest.approx(10, rel=0.01)


@pytest.mark.parametrize(
    ("share", "verdict"),
    [(0.5, "holds"), (0.01, "does not hold"), (0.41, "not settled")],
)
def test_a_counted_share_has_the_error_of_counting(share, verdict):
    facts = {"positive_share": share, "positive_share_error": 0.016}
    row = row_of(
        claim(
            than=None,
            measure="fact_positive_share",
            error="fact_positive_share_error",
            predict="0.4 to 0.6",
            counted=True,
        ),
        [factory.run(FAST, facts=facts)],
    )
    assert row["verdict"] == verdict
    assert row["high"] - row["factor"] == pytest.approx(1.96 * 0.016, rel=0.001)


def test_a_counted_value_needs_one_run():
    counted = claim(
        than=None, measure="fact_source_iterators", predict="2", counted=True
    )
    for value, verdict in ((2, "holds"), (5, "does not hold")):
        runs = [factory.run(FAST, facts={"source_iterators": value})]
        assert row_of(counted, runs)["verdict"] == verdict


def test_a_counted_value_has_its_range_in_place_of_an_interval():
    counted = claim(
        than=None, measure="fact_export_max_difference", predict="< 0.001", counted=True
    )
    runs = [
        factory.run(FAST, round=number, facts={"export_max_difference": apart})
        for number, apart in enumerate((8.2e-8, 9.4e-8, 1.06e-7))
    ]
    row = row_of(counted, runs)
    assert (row["verdict"], row["low"], row["high"]) == ("holds", 8.2e-8, 1.06e-7)
    table_text = claims_report.markdown(
        claim_verdicts.evaluate(table.from_runs(runs), [counted])
    )
    assert "prose 9e-08 (8.2e-08 to 1.06e-07)" in table_text
    assert table_text.endswith(
        "compared with nothing has the range over its rounds instead."
    )


def test_counted_values_are_compared():
    runs = [
        factory.run(FAST, facts={"cache_bytes": 10.0}),
        factory.run(SLOW, facts={"cache_bytes": 3000.0}),
    ]
    one = claim(measure="fact_cache_bytes", predict="> 10", counted=True)
    row = row_of(one, runs)
    assert (row["verdict"], row["factor"]) == ("holds", pytest.approx(300))


@pytest.mark.parametrize(
    ("word", "verdict", "reason"),
    [("yes", "holds", ""), ("no", "does not hold", "it is: no")],
)
def test_a_fact_in_words(word, verdict, reason):
    one = claim(than=None, measure="fact_cache_filled", predict="yes", counted=True)
    flags = ["cache_not_filled"] if word == "no" else []
    row = row_of(one, [factory.run(FAST, facts={"cache_filled": word}, flags=flags)])
    assert (row["verdict"], row["reason"]) == (verdict, reason)


def test_an_error_can_refute_a_claim():
    """An export with other predictions is a failed run, which refutes the claim."""
    (one,) = (c for c in CLAIMS if c.id == "export_predicts_the_same")
    trial = one.cases[0].trial.trials[0]
    message = "the loaded model differs from the training-time pipeline by 0.2"
    for text, verdict in ((message, "does not hold"), ("no memory", "not measured")):
        failure = Failure(type="AssertionError", message=text, phase="check")
        rows = claim_verdicts.evaluate(
            table.from_runs([factory.run(trial, error=failure)]), [one]
        )
        assert rows["verdict"].iloc[0] == verdict
        assert message not in text or rows["reason"].iloc[0] == message


def test_a_fact_that_no_run_has_is_not_measured():
    one = claim(than=None, measure="fact_cache_filled", predict="yes", counted=True)
    row = row_of(one, [factory.run(FAST)])
    assert (row["verdict"], row["reason"]) == (
        "not measured",
        "no run has fact_cache_filled",
    )


def test_memory_is_the_peak_above_the_start():
    runs = [
        factory.run(trial, round=n, start_resident_bytes=100, peak_resident_bytes=peak)
        for n in range(3)
        for trial, peak in ((FAST, 200 + n), (SLOW, 500 + n))
    ]
    row = row_of(claim(measure="resident_bytes", predict="> 1.2"), runs)
    assert row["factor"] == pytest.approx(4, rel=0.02)


def test_the_users_data_has_its_own_verdicts():
    own = [dataclasses.replace(trial, data="imdb") for trial in (FAST, SLOW)]
    runs = factory.runs({FAST: 0.01, SLOW: 0.02, own[0]: 0.02, own[1]: 0.01})
    judgements = claim_verdicts.evaluate(table.from_runs(runs), [claim()]).set_index(
        "data"
    )
    assert judgements["verdict"].to_dict() == {"": "holds", "imdb": "does not hold"}


def test_claims_of_the_file_have_a_verdict_if_they_were_measured():
    fast, slow = (
        claims.trial(f"prices{spelled}") for spelled in ("[order=batch_map]", "")
    )
    rows = claim_verdicts.evaluate(
        table.from_runs(factory.runs({fast: 0.01, slow: 0.02}))
    )
    measured = rows[
        ~rows["verdict"].isin((claim_verdicts.UNMEASURED, claim_verdicts.UNTESTABLE))
    ]
    (row,) = measured.to_dict("records")
    assert (row["claim"], row["workload"]) == ("batch_before_map_pays", "prices")
    assert row["verdict"] == "holds"
    assert row["low"] < 2 < row["high"]


def test_the_terminal_table_has_80_columns(tmp_path, capsys):
    fast, slow = (
        claims.trial(f"prices{spelled}") for spelled in ("[order=batch_map]", "")
    )
    lines = [msgspec.json.encode(run) for run in factory.runs({fast: 0.01, slow: 0.02})]
    (tmp_path / "runs.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    assert run_bench.main(["claims", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert max(len(line) for line in printed.splitlines()) <= 80
    assert "batch_before_map_pays: Batching before map is faster" in printed
    assert "not measured" in printed
    assert run_bench.main(["claims", "--json", str(tmp_path)]) == 0
    assert {row["claim"] for row in json.loads(capsys.readouterr().out)} == set(
        claims.names()
    )


def test_the_markdown_table_has_a_line_a_claim(tmp_path, capsys):
    fast, slow = (
        claims.trial(f"prices{spelled}") for spelled in ("[order=batch_map]", "")
    )
    lines = [msgspec.json.encode(run) for run in factory.runs({fast: 0.01, slow: 0.02})]
    (tmp_path / "runs.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    assert run_bench.main(["claims", "--markdown", str(tmp_path)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == ("| claim | predicted | holds | does not hold | not settled |")
    assert printed[2].startswith("| Batching before map is faster, by whatever factor.")
    predicted, holds, fails, unsettled = printed[2].split(" | ")[1:]
    assert predicted == r"\> 1.05 times as fast"
    assert holds.startswith("prices 2.0")
    assert (fails, unsettled) == ("", " |")
    assert printed[-3].endswith("more: not measured.")
    assert printed[-2:] == ["", claims_report.RATE]


def test_one_workload_on_two_machines_keeps_its_rows(capsys):
    newer = {**factory.MACHINE, "tensorflow": "2.22.0"}
    runs = factory.runs({FAST: 0.01}) + factory.runs({FAST: 0.01}, machine=newer)
    judgements = claim_verdicts.evaluate(table.from_runs(runs), [claim()])
    assert list(claims_report._merged(judgements)["workload"]) == ["prose", "prose"]
    claims_report.show(judgements)
    assert "more" not in capsys.readouterr().out
    other = judgements.assign(workload=["prose", "prices"])
    assert list(claims_report._merged(other)["workload"]) == ["prose and 1 more"]


def test_the_readme_has_the_table_of_the_stored_runs():
    folder = catalog.ROOT / "results" / "reference" / "claims"
    text = claims_report.markdown(claim_verdicts.evaluate(table.load(folder)))
    assert text in (folder / "README.md").read_text(encoding="utf-8")


def test_every_number_that_is_predicted_has_a_unit():
    for one in claims.load():
        if not one.predict.word and not one.cases[0].than:
            assert claims_report.UNITS[one.measure]


def test_claims_need_a_folder():
    with pytest.raises(SystemExit, match="2"):
        run_bench.main(["claims"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '[[claim]]\nid = "a"',
            "entry 1 of [[claim]] needs sentence, source, sweep, trial, predict.",
        ),
        ('[[claim]]\nid = "a"\nsay = 1', "entry 1 of [[claim]]: No key named 'say'."),
        ("[[claim", "is not valid TOML"),
    ],
)
def test_a_wrong_claims_file_is_an_error(tmp_path, text, message):
    path = tmp_path / "claims.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as raised:
        claims.load(path)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("nothing", "No workload named 'nothing'."),
        ("prose[batch_size=2", "A trial is spelled name[axis=value,...], got"),
        ("prose[batch=2]", "No axis named 'batch'."),
        ("prose[consumer=eat]", "No consumer named 'eat'."),
    ],
)
def test_a_misspelled_trial_is_an_error(key, message):
    with pytest.raises(UsageError) as raised:
        claims.trial(key)
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize("name", ["all", "order", "placement", "interleave"])
def test_a_key_identifies_its_trial(name):
    for trial in sweeps.trials(sweeps.find(name))[0]:
        assert claims.trial(trial.key) == trial


def test_the_command_tests_claims_on_folders(tmp_path, capsys):
    lines = [msgspec.json.encode(run) for run in factory.runs({FAST: 0.01, SLOW: 0.02})]
    (tmp_path / "runs.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    assert run_bench.main(["claims", str(tmp_path), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) >= len(CLAIMS)


def settled(*intervals, name="batch_before_map_pays", workload="prices", hours=2):
    """Return settlements of a case, hours apart; an interval is open if it is None."""
    return [
        Settlement(
            claim=name,
            workload=workload,
            started=f"2026-11-30T{10 + hours * number:02d}:00:00+00:00",
            seconds=20.0,
            settled=bounds is not None,
            factor=float(np.mean(bounds)) if bounds else 1.06,
            low=bounds[0] if bounds else 1.01,
            high=bounds[1] if bounds else 1.11,
            looks=1,
            trios=[Trios(trial="a", than="b", ratios=[(0.7, 0.01)] * 5)],
            machine=factory.MACHINE,
        )
        for number, bounds in enumerate(intervals)
    ]


def row_by_turns(tmp_path, settlements_made, slow=0.01, workload="prices"):
    """Return the row of a case whose rounds take 0.01 s against `slow`."""
    fast, naive = (claims.trial(f"prices{s}") for s in ("[order=batch_map]", ""))
    for one in settlements_made:
        store.append(tmp_path, one, settlements.FILE)
    runs = factory.runs({fast: 0.01, naive: slow}, run_noise=0.05)
    judged = claim_verdicts.evaluate(
        table.from_runs(runs), turns=settlements.by_turns([tmp_path], runs)
    )
    chosen = judged[judged["claim"] == "batch_before_map_pays"].set_index("workload")
    return chosen.loc[workload].to_dict()


def test_turns_settle_what_rounds_left_open(tmp_path):
    row = row_by_turns(tmp_path, [])
    assert (row["verdict"], row["by"], row["rounds"]) == ("not settled", "rounds", 5)
    row = row_by_turns(tmp_path, settled((1.2, 1.3)))
    assert (row["verdict"], row["by"], row["rounds"]) == ("holds", "turns", 5)
    assert (row["factor"], row["low"], row["high"]) == (1.25, 1.2, 1.3)


def test_turns_come_before_rounds(tmp_path):
    row = row_by_turns(tmp_path, settled((0.9, 1.0)), slow=0.02)
    assert (row["verdict"], row["by"]) == ("does not hold", "turns")


def test_open_turns_leave_settled_rounds_alone(tmp_path):
    row = row_by_turns(tmp_path, settled(None), slow=0.02)
    assert (row["verdict"], row["by"]) == ("holds", "rounds")


def test_open_turns_replace_open_rounds(tmp_path):
    row = row_by_turns(tmp_path, settled(None))
    assert (row["verdict"], row["by"], row["low"]) == ("not settled", "turns", 1.01)
    assert row["reason"] == "the interval crosses > 1.05: claims --settle goes on"


def test_open_turns_with_a_wider_interval_replace_nothing(tmp_path):
    (one,) = settled(None)
    row = row_by_turns(tmp_path, [dataclasses.replace(one, low=0.1, high=11.0)])
    assert (row["verdict"], row["by"]) == ("not settled", "rounds")


def test_two_sittings_that_agree_confirm_each_other(tmp_path):
    row = row_by_turns(tmp_path, settled((1.2, 1.3), (1.1, 1.2)))
    assert (row["verdict"], row["factor"]) == ("holds", pytest.approx(1.15))


def test_two_sittings_that_contradict_each_other_settle_nothing(tmp_path):
    row = row_by_turns(tmp_path, settled((1.2, 1.3), (0.9, 1.0)))
    assert (row["verdict"], row["by"]) == ("not settled", "turns")
    assert row["reason"] == (
        "turns contradict each other at different times: 1.25 (1.2 to 1.3) and 0.95 "
        "(0.9 to 1)"
    )


def test_a_second_sitting_within_the_hour_is_no_second_judgement(tmp_path):
    row = row_by_turns(tmp_path, settled((1.2, 1.3), (0.9, 1.0), hours=0))
    assert (row["verdict"], row["factor"]) == ("holds", 1.25)


def test_turns_on_a_machine_without_rounds_have_rows(tmp_path):
    newer = {**factory.MACHINE, "tensorflow": "2.22.0"}
    (one,) = settled((1.2, 1.3))
    store.append(tmp_path, dataclasses.replace(one, machine=newer), settlements.FILE)
    runs = factory.runs({FAST: 0.01})
    judged = claim_verdicts.evaluate(
        table.from_runs(runs), turns=settlements.by_turns([tmp_path], runs)
    )
    (row,) = judged[judged["by"] == "turns"].to_dict("records")
    assert row["verdict"] == "holds" and "2.22.0" in row["machine"]


def folder_by_turns(tmp_path, *intervals):
    """Make a result folder whose claim on prices turns have settled."""
    fast, slow = (claims.trial(f"prices{s}") for s in ("[order=batch_map]", ""))
    for run in factory.runs({fast: 0.01, slow: 0.01}, run_noise=0.05):
        store.append(tmp_path, run)
    for one in settled(*intervals):
        store.append(tmp_path, one, settlements.FILE)
    return str(tmp_path)


def test_every_table_shows_what_came_by_turns(tmp_path, capsys):
    folder = folder_by_turns(tmp_path, (1.2, 1.3))
    assert run_bench.main(["claims", "--markdown", folder]) == 0
    assert "| prices 1.25 (1.20 to 1.30), by turns |" in capsys.readouterr().out
    assert run_bench.main(["claims", folder]) == 0
    assert "by turns" in capsys.readouterr().out
    assert run_bench.main(["claims", "--json", folder]) == 0
    by = [row["by"] for row in json.loads(capsys.readouterr().out)]
    assert set(by) == {"", "turns"}
    (section,) = (
        s for s in sections.sections(formats.gather(folder)) if s.name == "claims"
    )
    assert [(row["by"], row["verdict"]) for row in section.rows] == [("turns", "holds")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--budget", "5m", "a"], "--budget and --only belong to --settle, which is"),
        (["--settle", "a", "b"], "--settle writes to one folder, got 2. Name the"),
        (["--settle", "--only", "prics", "a"], "No claim or workload of a claim named"),
        (["--settle", "nowhere"], "No results at 'nowhere': No such file or directory"),
    ],
)
def test_bad_use_of_settle_is_an_error(arguments, message, capsys):
    assert run_bench.main(["claims", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_settle_measures_the_chosen_cells_and_then_shows_all(
    tmp_path, capsys, monkeypatch
):
    folder = folder_by_turns(tmp_path)
    asked = []

    def settle(agenda, folder, server, budget_seconds):
        asked.extend([*(cell.name for cell in agenda.cells), budget_seconds])
        store.append(folder, *settled((1.2, 1.3)), settlements.FILE)
        return 1

    monkeypatch.setattr(settling, "settle", settle)
    arguments = ["claims", "--settle", "--budget", "5m", "--only", "prices", folder]
    assert run_bench.main([*arguments, "--only", "hashing_saves_memory"]) == 0
    assert asked[0] == "batch_before_map_pays, prices"
    assert asked[-1] == 300.0
    assert all(name.endswith(", prices") for name in asked[:-1])
    printed = capsys.readouterr()
    assert "by turns" in printed.out
    assert "1 of 4 cells settled." in printed.err
    assert (
        "left as they are, 2 cells, it compares no times of two trials" in printed.err
    )


def test_an_interrupt_of_settle_shows_how_to_go_on(tmp_path, capsys, monkeypatch):
    folder = folder_by_turns(tmp_path)

    def settle(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(settling, "settle", settle)
    assert run_bench.main(["claims", "--settle", folder]) == Exit.INTERRUPTED
    assert f"claims --settle {folder}" in capsys.readouterr().err


def test_a_name_chooses_a_claim_or_a_workload():
    every = claims_command._chosen(CLAIMS, [])
    assert every == CLAIMS
    (one,) = claims_command._chosen(CLAIMS, ["hashing_saves_memory"])
    assert one.id == "hashing_saves_memory"
    some = claims_command._chosen(CLAIMS, ["prices", "batch_before_map_ten_times"])
    cases = {one.id: len(one.cases) for one in some}
    assert cases["batch_before_map_ten_times"] == 6
    assert cases["batch_before_map_pays"] == 1
