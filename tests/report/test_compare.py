"""Two folders side by side: known ratios, what is on one side, what differs."""

import json

import factory
import numpy as np
import pytest
from scipy import stats as distributions

import run_bench
from bench import flags, store
from bench.analysis import intervals
from bench.errors import UsageError
from bench.report import compare
from bench.trial import Failure

NAIVE, FAST = factory.trial(), factory.trial("vectorized")
OTHER = factory.trial("parallel")
FAILURE = Failure(type="ValueError", message="no", phase="check")


def found(a, b):
    return compare.comparison(a, b)


def folder(path, runs):
    path.mkdir()
    for run in runs:
        store.append(path, run)
    return path


def test_known_ratios_and_their_verdicts():
    a = factory.runs({NAIVE: 0.01, FAST: 0.002, OTHER: 0.004}, run_noise=0.004)
    b = factory.runs({NAIVE: 0.01, FAST: 0.001, OTHER: 0.006}, run_noise=0.004, seed=1)
    rows = found(a, b)["rows"].set_index("label")
    for label, factor in (("naive", 1), ("vectorized", 2), ("parallel", 4 / 6)):
        row = rows.loc[label]
        assert row["factor_low"] < row["factor"] < row["factor_high"]
        assert row["factor"] == pytest.approx(factor, rel=0.02)
    assert dict(rows["verdict"]) == {
        "parallel": "slower",
        "naive": "unchanged",
        "vectorized": "faster",
    }
    assert list(rows.index) == ["parallel", "naive", "vectorized"]


def test_the_interval_is_welchs():
    rng = np.random.default_rng(3)
    a, b = rng.normal(0, 1, 7), rng.normal(1, 3, 5)
    estimate, error, freedom = intervals.welch(a, b)
    expected = distributions.ttest_ind(a, b, equal_var=False)
    assert estimate / error == pytest.approx(expected.statistic)
    assert freedom == pytest.approx(expected.df)


def test_the_same_runs_are_as_fast_and_equal_times_do_no_harm():
    noisy = factory.runs({NAIVE: 0.01}, run_noise=0.01)
    level = factory.runs({NAIVE: 0.01}, run_noise=0)
    for runs in (noisy, level):
        (row,) = found(runs, runs)["rows"].to_dict("records")
        assert row["factor"] == pytest.approx(1)
        assert row["verdict"] == "unchanged"


def test_one_run_has_no_interval_and_no_verdict():
    (row,) = found([factory.run(NAIVE)], [factory.run(NAIVE)])["rows"].to_dict(
        "records"
    )
    assert np.isnan(row["factor_low"]) and row["verdict"] == "unknown"


def test_two_runs_have_no_verdict_and_are_said_so():
    a = factory.runs({NAIVE: 0.01}, rounds=5)
    b = factory.runs({NAIVE: 0.001}, rounds=2)
    rows = found(a, b)["rows"]
    assert list(rows["verdict"]) == ["unknown"]
    assert [row["verdict"] for row in compare._spelled(rows)] == ["two runs"]
    assert compare._counts(rows) == (
        "1 trial in both: 0 faster, 0 slower, 1 could not be told."
    )
    assert compare._jointly(rows) == ""


def test_an_interval_beside_one_without_a_verdict_is_explained():
    trials = [factory.trial(batch_size=size) for size in range(32, 47)]
    a = factory.runs(dict.fromkeys(trials, 0.01), rounds=3, run_noise=0.03)
    b = factory.runs(dict.fromkeys(trials, 0.008), rounds=3, run_noise=0.03, seed=1)
    rows = found(a, b)["rows"]
    assert "unknown" in set(rows["verdict"]) and (rows["factor_low"] > 1).any()
    said = compare._jointly(rows)
    assert said == (
        "Verdicts count all 15 comparisons together (Holm), at a margin of 3 % for "
        "drain and 5 % for train and serve; each interval is for one alone."
    )
    page = compare.html({**found(a, b), "a": "a", "b": "b"})
    assert said in page


@pytest.mark.parametrize("flag", flags.NOT_RANKED)
def test_a_run_that_did_not_do_the_work_leaves_no_verdict(flag, tmp_path, capsys):
    a = factory.runs({NAIVE: 0.01, FAST: 0.01}, run_noise=0.004)
    b = factory.runs({NAIVE: 0.01, FAST: 0.001}, run_noise=0.004, seed=1)
    assert set(found(a, b)["rows"]["verdict"]) == {"unchanged", "faster"}
    b += [factory.run(FAST, [0.001], round=5, flags=["ramp_cut", flag])]
    rows = found(a, b)["rows"].set_index("label")
    assert dict(rows["verdict"]) == {"naive": "unchanged", "vectorized": "unknown"}
    assert dict(rows["barred"]) == {"naive": "", "vectorized": f"{flag} in B"}
    assert compare._jointly(rows) == ""
    sides = [folder(tmp_path / name, runs) for name, runs in (("a", a), ("b", b))]
    assert run_bench.main(["compare", *map(str, sides)]) == 0
    printed = capsys.readouterr().out
    assert f"({flag}" in printed and "cannot tell" in printed
    page = (tmp_path / "b" / "compare.html").read_text()
    assert f"vectorized ({flag} in B)" in page
    assert run_bench.main(["compare", "--json", *map(str, sides)]) == 0
    row = json.loads(capsys.readouterr().out)["rows"][-1]
    assert (row["verdict"], row["barred"]) == ("unknown", f"{flag} in B")


def test_one_sided_trials_are_listed_and_failures_named():
    a = factory.runs({NAIVE: 0.01, FAST: 0.01})
    b = [*factory.runs({OTHER: 0.01}), factory.run(NAIVE, error=FAILURE)]
    result = found(a, b)
    assert result["only_a"] == [FAST.key] and result["only_b"] == [OTHER.key]
    assert list(result["rows"]["verdict"]) == ["failed in B"]


def test_different_machines_are_said():
    a = factory.runs({NAIVE: 0.01})
    newer = {**factory.MACHINE, "tensorflow": "2.22.0"}
    b = factory.runs({NAIVE: 0.02}, machine=newer)
    result = found(a, b)
    assert len(result["rows"]) == 1
    assert "TensorFlow 2.21.0" in result["notes"][0]
    assert "TensorFlow 2.22.0" in result["notes"][0]
    several = found(a, a + b)
    assert "Only trials on the same machine" in several["notes"][0]
    assert several["only_b"] == [NAIVE.key]


def test_a_difference_that_no_machines_name_has_is_said():
    newer = {**factory.MACHINE, "numpy": "2.5.0", "gpus": ["H200, 570.1", "L4, 570.1"]}
    result = found(
        factory.runs({NAIVE: 0.01}), factory.runs({NAIVE: 0.01}, machine=newer)
    )
    name = "Example CPU 3.0 GHz, 4 CPUs{}, TensorFlow 2.21.0, Keras 3.15.1"
    assert result["notes"] == [
        f"A ran on {name.format('')}; B on {name.format(', H200, L4')}. They differ in "
        "gpus (none; H200, 570.1, L4, 570.1), numpy (2.4.0; 2.5.0). The ratios compare "
        "machines or versions as much as anything else."
    ]
    assert list(result["rows"]["verdict"]) == ["unchanged"]
    python = {**factory.MACHINE, "python": "3.12.1"}
    (note,) = found(
        factory.runs({NAIVE: 0.01}), factory.runs({NAIVE: 0.01}, machine=python)
    )["notes"]
    assert "(no. 2). They differ in python (3.11.9; 3.12.1). The ratios" in note


def test_different_inputs_are_said():
    a = factory.runs({NAIVE: 0.01}, input_fingerprint="one")
    b = factory.runs({NAIVE: 0.01}, input_fingerprint="two")
    result = found(a, b)
    assert "1 of 1 trials had different inputs" in result["notes"][0]
    assert not found(a, a)["notes"]


def test_a_line_that_was_cut_off_is_said(tmp_path, capsys):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        store.append(tmp_path / name, factory.run(factory.trial()))
    with (tmp_path / "b" / store.FILE).open("a") as file:
        file.write('{"schema"')
    assert run_bench.main(["compare", f"{tmp_path}/a", f"{tmp_path}/b"]) == 0
    assert "the last line is cut off" in capsys.readouterr().out.replace("\n", " ")


def test_the_verb_prints_and_writes_a_page(tmp_path, capsys):
    hostile = factory.trial(workload="<script>alert(1)</script>" + 100 * "x")
    a = folder(tmp_path / "a", factory.runs({NAIVE: 0.01, hostile: 0.01}))
    b = folder(tmp_path / "b", factory.runs({NAIVE: 0.001, FAST: 0.1, hostile: 0.01}))
    assert run_bench.main(["compare", str(a), str(b)]) == 0
    printed = capsys.readouterr().out
    assert all(len(line) <= 80 for line in printed.splitlines() if "Page" not in line)
    assert "only in B: prose[order=batch_map]" in " ".join(printed.split())
    page = (b / "compare.html").read_text()
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page
    assert "default-src &#39;none&#39;" in page
    assert run_bench.main(["compare", str(a), str(b), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["rows"][-1]["verdict"] == "faster"
    assert result["only_a"] == []


def test_nothing_in_common_is_said(tmp_path, capsys):
    a = folder(tmp_path / "a", factory.runs({NAIVE: 0.01}))
    b = folder(tmp_path / "b", factory.runs({FAST: 0.01}))
    assert run_bench.main(["compare", str(a), str(b)]) == 0
    assert "No trial is in both." in capsys.readouterr().out
    assert "No trial is in both." in (b / "compare.html").read_text()


def test_an_empty_folder_is_refused(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / store.FILE).write_bytes(b"")
    with pytest.raises(UsageError, match=r"^No runs in '.*b'\. Measure first"):
        compare.read(tmp_path / "b")
