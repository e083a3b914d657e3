"""Two folders are compared: known ratios, one-sided trials, what differs."""

import json

import factory
import numpy as np
import pytest
from scipy import stats as distributions

import run_bench
from bench import flags, store
from bench.analysis import intervals
from bench.analysis.verdicts import OUTCOMES
from bench.data import identity
from bench.errors import UsageError
from bench.report import compare
from bench.trial import Failure

NAIVE, FAST = factory.trial(), factory.trial("vectorized")
OTHER = factory.trial("parallel")
CACHED = factory.trial("cached_raw")
FAILURE = Failure(type="ValueError", message="no", phase="check")


def folder(path, runs):
    path.mkdir()
    for run in runs:
        store.append(path, run)
    return path


def test_known_ratios_and_their_verdicts():
    a = factory.runs({NAIVE: 0.01, FAST: 0.002, OTHER: 0.004}, run_noise=0.004)
    b = factory.runs({NAIVE: 0.01, FAST: 0.001, OTHER: 0.006}, run_noise=0.004, seed=1)
    rows = compare.comparison(a, b)["rows"].set_index("label")
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


def test_the_same_runs_are_unchanged_and_equal_times_do_no_harm():
    noisy = factory.runs({NAIVE: 0.01}, run_noise=0.01)
    level = factory.runs({NAIVE: 0.01}, run_noise=0)
    for runs in (noisy, level):
        (row,) = compare.comparison(runs, runs)["rows"].to_dict("records")
        assert row["factor"] == pytest.approx(1)
        assert row["verdict"] == "unchanged"


def test_one_run_has_no_interval_and_no_verdict():
    one = [factory.run(NAIVE)]
    (row,) = compare.comparison(one, one)["rows"].to_dict("records")
    assert np.isnan(row["factor_low"]) and row["verdict"] == "unknown"


def test_two_runs_have_no_verdict_and_a_reason():
    a = factory.runs({NAIVE: 0.01}, rounds=5)
    b = factory.runs({NAIVE: 0.001}, rounds=2)
    rows = compare.comparison(a, b)["rows"]
    assert list(rows["verdict"]) == ["unknown"]
    assert list(rows["reason"]) == ["2 runs of a side: a verdict needs 3"]
    assert [row["verdict"] for row in compare._spelled(rows)] == ["unknown"]
    assert compare._counts(rows) == "1 trial in both: 1 unknown."


def test_an_interval_beside_one_without_a_verdict_is_explained():
    trials = [factory.trial(batch_size=size) for size in range(32, 47)]
    a = factory.runs(dict.fromkeys(trials, 0.01), rounds=3, run_noise=0.03)
    b = factory.runs(dict.fromkeys(trials, 0.008), rounds=3, run_noise=0.03, seed=1)
    rows = compare.comparison(a, b)["rows"]
    assert "unknown" in set(rows["verdict"]) and (rows["factor_low"] > 1).any()
    reason = (
        "beyond 3 % by itself, but not certain once all 15 comparisons are counted "
        "(Holm)"
    )
    unsettled = rows[rows["verdict"] == "unknown"]
    for low, why in zip(unsettled["factor_low"], unsettled["reason"], strict=True):
        assert why == (reason if low > 1.03 else "")
    assert reason in set(unsettled["reason"])
    page = compare.html({**compare.comparison(a, b), "a": "a", "b": "b"})
    assert reason in page
    assert "a margin of 3 % (drain), 5 % (train, model, serve)" in page


@pytest.mark.parametrize("flag", flags.NOT_RANKED)
def test_a_run_that_did_not_do_the_work_leaves_no_verdict(flag, tmp_path, capsys):
    a = factory.runs({NAIVE: 0.01, FAST: 0.01}, run_noise=0.004)
    b = factory.runs({NAIVE: 0.01, FAST: 0.001}, run_noise=0.004, seed=1)
    assert set(compare.comparison(a, b)["rows"]["verdict"]) == {"unchanged", "faster"}
    b += [factory.run(FAST, [0.001], round=5, flags=["ramp_cut", flag])]
    rows = compare.comparison(a, b)["rows"].set_index("label")
    verdict = "not_comparable" if flag == identity.CHANGED else "unknown"
    assert dict(rows["verdict"]) == {"naive": "unchanged", "vectorized": verdict}
    assert dict(rows["barred"]) == {"naive": "", "vectorized": f"{flag} in B"}
    sides = [folder(tmp_path / name, runs) for name, runs in (("a", a), ("b", b))]
    assert run_bench.main(["compare", *map(str, sides)]) == 0
    printed = capsys.readouterr().out
    reason = rows.loc["vectorized", "reason"]
    assert set(reason.split()) <= set(printed.split())
    assert OUTCOMES[verdict].text in printed
    page = (tmp_path / "b" / "compare.html").read_text()
    assert reason in page
    assert run_bench.main(["compare", "--json", *map(str, sides)]) == 0
    row = json.loads(capsys.readouterr().out)["rows"][-1]
    assert (row["verdict"], row["barred"]) == (verdict, f"{flag} in B")


def test_one_sided_trials_are_listed_and_failures_named():
    a = factory.runs({NAIVE: 0.01, FAST: 0.01})
    b = [*factory.runs({OTHER: 0.01}), factory.run(NAIVE, error=FAILURE)]
    result = compare.comparison(a, b)
    assert result["only_a"] == [FAST.key] and result["only_b"] == [OTHER.key]
    assert list(result["rows"]["verdict"]) == ["failed"]
    assert list(result["rows"]["reason"]) == ["ValueError in check: no"]
    words = [(row["only_in"], row["verdict"]) for row in result["one_sided"]]
    assert words == [("A", "missing"), ("B", "not_comparable")]


def test_different_machines_are_reported():
    a = factory.runs({NAIVE: 0.01})
    newer = {**factory.MACHINE, "tensorflow": "2.22.0"}
    b = factory.runs({NAIVE: 0.02}, machine=newer)
    result = compare.comparison(a, b)
    assert len(result["rows"]) == 1
    assert "TensorFlow 2.21.0" in result["notes"][0]
    assert "TensorFlow 2.22.0" in result["notes"][0]
    several = compare.comparison(a, a + b)
    assert "Only trials on the same machine" in several["notes"][0]
    assert several["only_b"] == [NAIVE.key]


def test_a_difference_that_no_machines_name_has_is_reported():
    newer = {**factory.MACHINE, "numpy": "2.5.0", "gpus": ["H200, 570.1", "L4, 570.1"]}
    result = compare.comparison(
        factory.runs({NAIVE: 0.01}), factory.runs({NAIVE: 0.01}, machine=newer)
    )
    name = "Example CPU 3.0 GHz, 4 CPUs{}, TensorFlow 2.21.0, Keras 3.15.1"
    assert result["notes"] == [
        f"A ran on {name.format('')}; B on {name.format(', H200, L4')}. They differ in "
        "gpus (none; H200, 570.1, L4, 570.1), numpy (2.4.0; 2.5.0). The ratios compare "
        "machines or versions as much as anything else."
    ]
    assert list(result["rows"]["verdict"]) == ["not_comparable"]
    assert result["rows"]["factor"].iloc[0] == pytest.approx(1)
    limited = {**factory.MACHINE, "cpu_limit": 1.5, "memory_limit_bytes": 2**30}
    (note,) = compare.comparison(
        factory.runs({NAIVE: 0.01}), factory.runs({NAIVE: 0.01}, machine=limited)
    )["notes"]
    assert "4 CPUs, quota of 1.5 CPUs, memory limit of 1 GiB, TensorFlow" in note
    assert (
        "They differ in cpu_limit (none; 1.5), memory_limit_bytes (none; 1073741824). "
    ) in note
    python = {**factory.MACHINE, "python": "3.12.1"}
    (note,) = compare.comparison(
        factory.runs({NAIVE: 0.01}), factory.runs({NAIVE: 0.01}, machine=python)
    )["notes"]
    assert "(no. 2). They differ in python (3.11.9; 3.12.1). The ratios" in note


def test_different_inputs_are_reported():
    a = factory.runs({NAIVE: 0.01}, input_fingerprint="one")
    b = factory.runs({NAIVE: 0.01}, input_fingerprint="two")
    result = compare.comparison(a, b)
    assert "1 of 1 trials had different inputs" in result["notes"][0]
    assert list(result["rows"]["verdict"]) == ["not_comparable"]
    assert list(result["rows"]["reason"]) == ["the inputs differ"]
    assert not compare.comparison(a, a)["notes"]


def test_a_line_that_was_cut_off_is_reported(tmp_path, capsys):
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


def test_nothing_in_common_is_reported(tmp_path, capsys):
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


def trained(**settings):
    return factory.trial(consumer="train", **settings)


QUIET = {"run_noise": 0.002}
OTHER_MACHINE = {**factory.MACHINE, "tensorflow": "2.22.0"}
MANY = [factory.trial(batch_size=size) for size in range(32, 47)]
# By name: the runs of A, those of B, and the verdicts on their trials where known.
CASES = {
    "a training 4 % slower": (
        factory.runs({trained(): 0.01}, **QUIET),
        factory.runs({trained(): 0.0104}, seed=1, **QUIET),
        {trained().key: "unchanged"},
    ),
    "a training 8 % slower": (
        factory.runs({trained(): 0.01}, **QUIET),
        factory.runs({trained(): 0.0108}, seed=1, **QUIET),
        {trained().key: "slower"},
    ),
    "a drain 4 % slower": (
        factory.runs({NAIVE: 0.01}, **QUIET),
        factory.runs({NAIVE: 0.0104}, seed=1, **QUIET),
        {NAIVE.key: "slower"},
    ),
    "one of two faster": (
        factory.runs({NAIVE: 0.01, FAST: 0.01}, **QUIET),
        factory.runs({NAIVE: 0.01, FAST: 0.005}, seed=1, **QUIET),
        {NAIVE.key: "unchanged", FAST.key: "faster"},
    ),
    "noise": (
        factory.runs({NAIVE: 0.01}, run_noise=0.1),
        factory.runs({NAIVE: 0.01}, run_noise=0.1, seed=1),
        {NAIVE.key: "unknown"},
    ),
    "many trials, of which some are slower by themselves and not jointly": (
        factory.runs(dict.fromkeys(MANY, 0.01), rounds=3, run_noise=0.03),
        factory.runs(dict.fromkeys(MANY, 0.012), rounds=3, run_noise=0.03, seed=1),
        None,
    ),
    "one run of a side": (
        factory.runs({NAIVE: 0.01}),
        [factory.run(NAIVE, [0.02])],
        {NAIVE.key: "unknown"},
    ),
    "a run that failed in B": (
        factory.runs({NAIVE: 0.01}),
        [*factory.runs({NAIVE: 0.01}), factory.run(NAIVE, error=FAILURE, round=9)],
        {NAIVE.key: "failed"},
    ),
    "a run that failed in A": (
        [*factory.runs({NAIVE: 0.01}), factory.run(NAIVE, error=FAILURE, round=9)],
        factory.runs({NAIVE: 0.01}),
        {NAIVE.key: "not_comparable"},
    ),
    "trials that one side lacks": (
        factory.runs({NAIVE: 0.01, FAST: 0.01}, **QUIET),
        [
            *factory.runs({NAIVE: 0.01}, seed=1, **QUIET),
            *factory.runs({OTHER: 0.01}, seed=2),
            factory.run(CACHED, error=FAILURE),
        ],
        {
            NAIVE.key: "unchanged",
            FAST.key: "missing",
            OTHER.key: "not_comparable",
            CACHED.key: "failed",
        },
    ),
    "another machine": (
        factory.runs({NAIVE: 0.01}),
        factory.runs({NAIVE: 0.02}, machine=OTHER_MACHINE),
        {NAIVE.key: "not_comparable"},
    ),
    "other inputs": (
        factory.runs({NAIVE: 0.01}, input_fingerprint="one"),
        factory.runs({NAIVE: 0.02}, input_fingerprint="two"),
        {NAIVE.key: "not_comparable"},
    ),
    "inputs that changed between rounds": (
        factory.runs({NAIVE: 0.01}, input_fingerprint="one"),
        [
            factory.run(NAIVE, [0.02], round=n, input_fingerprint=name)
            for n, name in enumerate(["one", "one", "one", "two"])
        ],
        {NAIVE.key: "not_comparable"},
    ),
}
for _flag in ("cache_not_filled", "partly_timed", "retraced"):
    for _side in "AB":
        CASES[f"{_flag} in {_side}"] = (
            factory.runs({NAIVE: 0.01}, flags=[_flag] * (_side == "A"), **QUIET),
            factory.runs({NAIVE: 0.02}, flags=[_flag] * (_side == "B"), **QUIET),
            {NAIVE.key: "unknown"},
        )
# The gravest first.
EXIT_CODES = {"failed": 5, "missing": 5, "slower": 1, "not_comparable": 4, "unknown": 3}


@pytest.mark.parametrize("case", CASES)
def test_compare_and_guard_agree_trial_by_trial(case, tmp_path, capsys):
    """The same folders get the same verdicts, for the same reasons."""
    *sides, expected = CASES[case]
    folders = [
        str(folder(tmp_path / name, runs))
        for name, runs in zip("ab", sides, strict=True)
    ]
    assert run_bench.main(["compare", "--json", *folders]) == 0
    compared = json.loads(capsys.readouterr().out)
    of_compare = {row["key"]: row for row in compared["rows"] + compared["one_sided"]}
    words = {key: row["verdict"] for key, row in of_compare.items()}
    code = run_bench.main(["guard", "--json", *folders])
    of_guard = {row["key"]: row for row in json.loads(capsys.readouterr().out)["rows"]}
    assert words == {key: row["verdict"] for key, row in of_guard.items()}
    assert words == expected or expected is None
    codes = [exit_ for word, exit_ in EXIT_CODES.items() if word in words.values()]
    assert code == (codes[0] if codes else 0)
    for row in compared["rows"]:
        guarded = of_guard[row["key"]]
        cause = guarded["cause"].replace("base", "A").replace("head", "B")
        assert cause.startswith(row["reason"])
        if guarded["low"] is not None:
            ours = [row[name] for name in ("factor", "factor_high", "factor_low")]
            theirs = [1 / guarded[name] for name in ("ratio", "low", "high")]
            assert ours == pytest.approx(theirs)


def test_a_threshold_that_is_set_wins_in_the_guard(tmp_path, capsys):
    """The default is the margin of the consumer, as in `compare`."""
    a, b, _ = CASES["a training 4 % slower"]
    folders = [
        str(folder(tmp_path / name, runs)) for name, runs in (("a", a), ("b", b))
    ]
    (tmp_path / "guard.toml").write_text('[thresholds]\nprose = "3%"\n')
    for options, code, threshold in (
        ([], 0, 0.05),
        (["--threshold", "3%"], 1, 0.03),
        (["--threshold", "10%"], 0, 0.1),
        (["--config", str(tmp_path / "guard.toml")], 1, 0.03),
    ):
        assert run_bench.main(["guard", "--json", *folders, *options]) == code
        (row,) = json.loads(capsys.readouterr().out)["rows"]
        assert row["threshold"] == threshold
