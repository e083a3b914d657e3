"""Tests of a guard's result in every form, whatever text is in it."""

import io
import json
import xml.etree.ElementTree as ElementTree
from typing import get_args

import pytest
from rich.console import Console

from bench.analysis.verdicts import OUTCOMES
from bench.errors import Exit
from bench.guard import output, sentences
from bench.guard.record import GuardResult, Row, Verdict, exit_code

HOSTILE = "::error::x ##[add-mask]y\r\n::set-env n=v\x1b[31m\u202e <b>&|`]]>\ud800"
ON_GITHUB = {"GITHUB_ACTIONS": "true"}
FIGURES = {
    "unchanged": {"ratio": 1.0004, "low": 0.992, "high": 1.009, "count": 8},
    "faster": {"ratio": 0.9, "low": 0.89, "high": 0.91, "count": 8},
    "slower": {"ratio": 1.051, "low": 1.0432, "high": 1.06, "count": 8},
    "unknown": {"ratio": 1.02, "low": 0.95, "high": 1.09, "count": 8},
}


def row(verdict="unchanged", key="prose", metric="seconds_per_example", **fields):
    fields = FIGURES.get(verdict, {}) | fields
    return Row(key=key, metric=metric, verdict=verdict, **fields)


CONTROL = row(ratio=0.9991, low=0.994, high=1.004, threshold=0.015, count=4)


def result(*rows, **fields):
    fields = {"how": "lockstep", "control": [CONTROL], "seconds": 43.21} | fields
    return GuardResult(
        base="ref 1a2b3c4", head="working tree", rows=list(rows), **fields
    )


def terminal(record, width=80):
    console = Console(file=io.StringIO(), width=width, highlight=False)
    output.terminal(record, exit_code(record), console)
    return console.file.getvalue()


def cases(record, **options):
    root = ElementTree.fromstring(output.junit(record, **options))
    return root, {
        (case.get("classname"), case.get("name")): case
        for case in root.iter("testcase")
    }


def printed_on_github(capsys, record, **environment):
    output.github(record, exit_code(record), ON_GITHUB | environment)
    return capsys.readouterr().err.splitlines()


def test_the_terminal_shows_all_figures_and_causes():
    text = terminal(result(row(), row("slower", "photographs"), false_alarms=0.049))
    lines = text.splitlines()
    assert lines[:2] == [
        "Guard: regressed (exit 1): 1 slower, 1 unchanged",
        "base ref 1a2b3c4, head working tree, taking turns live, 43 s",
    ]
    assert [" ".join(line.split()) for line in lines[2:5]] == [
        "trial change interval limit verdict trios",
        "photographs: time +5.1 % +4.3 to +6.0 3 % slower 8",
        "prose: time +0.0 % -0.8 to +0.9 3 % unchanged 8",
    ]
    assert lines[5:] == [
        "photographs: time slower: it grew by +5.1 %; the whole interval, +4.3 to "
        "+6.0 %, is beyond 3 %",
        "A/A control, base against base: prose: time -0.1 % (-0.6 to +0.4 %), "
        "4 trios: within its limit of 1.5 %.",
        "Expected false alarms, all 2 rows of turns together, if nothing changed: at "
        "most 4.9 %.",
    ]


def test_stored_figures_have_no_rate_of_false_alarms():
    """JSON has null for the unknown rate, and JUnit has no property."""
    record = result(row(), how="stored", control=[], false_alarms=None)
    assert sentences.lines(record)[-1] == (
        "Stored figures: each ratio includes how the machine's speed changed between "
        "the two times, and no interval does, so the rate of false alarms is unknown."
    )
    assert json.loads(output.as_json(record, Exit.OK))["false_alarms"] is None
    root, _ = cases(record)
    names = {p.get("name") for p in root.iter("property")}
    assert "how" in names
    assert "false_alarms" not in names


def test_the_table_fits_eighty_columns_and_shows_every_figure():
    long = "text_vectorization[batch_size=256,order=map_batch,map_parallel_calls=2]"
    made = [
        row("not_comparable", long, "latency_p95", ratio=12.3456, low=9.1, high=17.2),
        row("slower", long, threshold=0.125, count=1234),
    ]
    text = terminal(result(*made))
    table = text.split("trios\n")[1].split(f"{long}: time slower:")[0].splitlines()
    assert all(len(line) <= 80 for line in table)
    for figure in ("+1,134.6 %", "+810.0 to +1,620.0", "12.5 %", "1234"):
        assert figure in "\n".join(table)
    names = "".join(line.split("  ")[0].strip() for line in table)
    expected = f"{long}: time{long}: p95 of windows"
    assert names.replace(" ", "") == expected.replace(" ", "")


@pytest.mark.parametrize(
    ("judged", "line"),
    [
        (row("unchanged"), ""),
        (row("faster"), ""),
        (
            row("slower", threshold=0.04),
            "prose: time slower: it grew by +5.1 %; the whole interval, +4.3 to "
            "+6.0 %, is beyond 4 %",
        ),
        (
            row("unknown", metric="peak_resident_bytes"),
            "prose: memory unknown: the interval, -5.0 to +9.0 %, is neither within "
            "nor beyond 3 %",
        ),
        (
            row("unknown", low=None, high=None, count=1),
            "prose: time unknown: too few processes for an interval",
        ),
        (row("unknown", cause="too noisy"), "prose: time unknown: too noisy"),
        (row("missing"), "prose: time missing: it is in base and not in head"),
        (
            row("failed", cause="ValueError: no\nsuch thing"),
            "prose: time failed: ValueError: no such thing",
        ),
        (row("unchanged", cause="floor"), "prose: time unchanged: floor"),
    ],
)
def test_each_verdict_has_one_line_of_cause(judged, line):
    assert sentences.cause(judged) == line
    assert (line in terminal(result(judged)).splitlines()) == bool(line)


def test_unknown_comes_with_remedies():
    remedies = (
        "What to do for unknown: more time (--budget), a quieter machine, one "
        "processor alone (--axis cpus=1: steadier, but blind to what runs in "
        "parallel), or a wider threshold for that trial in [tool.feedrate.guard]."
    )
    assert remedies in terminal(result(row("unknown")))
    assert remedies not in terminal(result(row("slower")))


def test_changed_outputs_are_a_warning_besides_the_verdict(capsys):
    fast = result(row("faster", output_changed=True))
    line = (
        "prose: outputs differ between base and head; a faster trial with other "
        "outputs may not do the same work."
    )
    assert line in terminal(fast).splitlines()
    assert " faster " in terminal(fast).split("trios\n")[1].splitlines()[0]
    assert line in output.markdown(fast, Exit.OK)
    assert printed_on_github(capsys, fast) == [
        f"::warning title=Feedrate%3A outputs changed::{line}",
        "::notice title=Feedrate guard::Guard: held (exit 0): 1 faster",
    ]
    both = [row(output_changed=True), row(metric="latency_p95", output_changed=True)]
    assert terminal(result(*both)).count(line) == 1


@pytest.mark.parametrize(
    ("control", "how", "text"),
    [
        (
            [row("slower")],
            "lockstep",
            "beyond its limit of 3 %, the machine is too noisy.",
        ),
        (
            [row("faster")],
            "lockstep",
            "beyond its limit of 3 %, the machine is too noisy.",
        ),
        ([row("unknown")], "lockstep", ": unknown, so it controls nothing."),
        ([row("failed")], "lockstep", "0 trios: failed, so it controls nothing."),
        ([], "lockstep", "A/A control: none, it was not measured."),
        ([], "stored", "A/A control: none, nothing ran live."),
    ],
)
def test_the_control_is_always_shown(control, how, text):
    assert text in terminal(result(row(), control=control, how=how))


def test_a_figure_beyond_its_limit_is_not_rounded_to_the_limit():
    control = row("slower", ratio=1.0152, low=1.012, high=1.018, threshold=0.015)
    text = terminal(result(row(), control=[control]))
    assert "time +1.52 % (+1.20 to +1.80 %), 8 trios: beyond its limit of 1.5 %" in text
    exact = row("unknown", ratio=1.03, low=1.01, high=1.05)
    assert sentences.cells(exact)[0] == "+3.000 %"


def test_one_trio_is_no_plural():
    control = row(ratio=0.9991, low=0.994, high=1.004, threshold=0.015, count=1)
    text = terminal(result(row(count=1), control=[control], false_alarms=0.05))
    assert ", 1 trio: within its limit" in text
    assert "Expected false alarms if nothing changed: at most 5 %." in text
    stored = result(row(), control=[], how="stored", false_alarms=None)
    assert terminal(stored).splitlines()[2].split()[-2:] == ["verdict", "runs"]


def test_an_empty_guard_passes_nowhere(capsys):
    empty = result()
    assert exit_code(empty) == Exit.MISSING
    outcome = "Guard: something missing or failed (exit 5): nothing was compared"
    assert outcome in terminal(empty)
    assert output.markdown(empty, Exit.MISSING).startswith(f"## {outcome}")
    root, all_cases = cases(empty)
    assert (root.get("tests"), root.get("errors")) == ("1", "1")
    (case,) = all_cases.values()
    assert case.find("error").get("message") == "nothing was compared"
    assert printed_on_github(capsys, empty) == [
        f"::error title=Feedrate guard::{outcome}"
    ]


def test_markdown_is_a_table_and_a_list():
    record = result(row("slower", "a|b_[x]"), notes=["<b>*"])
    text = output.markdown(record, Exit.NO)
    assert text.splitlines()[:7] == [
        "## Guard: regressed (exit 1): 1 slower",
        "",
        "base ref 1a2b3c4, head working tree, taking turns live, 43 s",
        "",
        "| trial | change | interval | limit | verdict | trios |",
        "| --- | --: | --: | --: | --- | --: |",
        "| a\\|b\\_\\[x\\]: time | +5.1 % | +4.3 to +6.0 | 3 % | slower | 8 |",
    ]
    assert text.splitlines()[-1] == "- \\<b\\>\\*"


def test_markdown_stays_under_what_a_job_summary_may_have():
    many = [row("failed", f"{n}" * 500, cause="x" * 5000) for n in range(2000)]
    text = output.markdown(result(*many), Exit.MISSING)
    assert len(text.encode()) < 2**20
    assert "... and 1500 more." in text


def test_json_has_the_whole_result_and_its_exit_code_in_words():
    record = result(row("slower", HOSTILE, log_ratios=[0.05, 0.051]))
    text = output.as_json(record, Exit.NO)
    record = json.loads(text)
    assert (record["exit_code"], record["outcome"]) == (1, "regressed")
    assert record["rows"][0]["key"] == HOSTILE
    assert record["rows"][0]["log_ratios"] == [0.05, 0.051]
    assert record["control"][0]["threshold"] == 0.015
    assert "##[" not in text
    assert not [line for line in text.splitlines() if line.strip().startswith("::")]


@pytest.mark.parametrize(
    ("verdict", "passes", "kind"),
    [
        ("unchanged", False, None),
        ("faster", False, None),
        ("slower", False, "failure"),
        ("slower", True, "failure"),
        ("unknown", False, "failure"),
        ("unknown", True, "skipped"),
        ("not_comparable", True, "error"),
        ("missing", True, "error"),
        ("failed", True, "error"),
    ],
)
def test_junit_has_one_case_a_trial_and_metric(verdict, passes, kind):
    record = result(row(verdict), row(metric="latency_p95"))
    root, all_cases = cases(record, unknown_passes=passes)
    assert set(all_cases) == {
        ("guard.seconds_per_example", "prose"),
        ("guard.latency_p95", "prose"),
    }
    judged = all_cases["guard.seconds_per_example", "prose"]
    kinds = [e.tag for e in judged if e.tag != "properties"]
    assert kinds == ([kind] if kind else [])
    plural = {"failure": "failures", "error": "errors", "skipped": "skipped"}
    for tag, name in plural.items():
        assert root.get(name) == root[0].get(name) == str(int(kind == tag))
    assert root.get("tests") == "2"
    assert root.get("time") == "43.210"


def test_junit_has_ratio_and_interval_as_properties():
    _, all_cases = cases(result(row("slower"), row("missing", "gone")))
    properties = {
        p.get("name"): p.get("value")
        for p in all_cases["guard.seconds_per_example", "prose"].iter("property")
    }
    assert properties == {
        "verdict": "slower",
        "ratio": "1.051",
        "low": "1.0432",
        "high": "1.06",
        "threshold": "0.03",
        "count": "8",
        "turns": "0",
        "output_changed": "false",
    }
    gone = all_cases["guard.seconds_per_example", "gone"]
    assert "ratio" not in {p.get("name") for p in gone.iter("property")}


def test_github_is_silent_elsewhere(capsys, tmp_path):
    summary = tmp_path / "summary.md"
    record = result(row("slower"))
    output.github(record, Exit.NO, {"GITHUB_STEP_SUMMARY": str(summary)})
    assert capsys.readouterr() == ("", "")
    assert not summary.exists()


def test_github_gets_annotations_and_appends_to_the_summary(capsys, tmp_path):
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    record = result(row("slower"), row("unknown", "mine.py"))
    lines = printed_on_github(capsys, record, GITHUB_STEP_SUMMARY=str(summary))
    assert lines == [
        "::error title=Feedrate guard::Guard: regressed (exit 1): 1 slower, 1 unknown",
        "::error title=Feedrate%3A slower::prose: time slower: it grew by +5.1 %25; "
        "the whole interval, +4.3 to +6.0 %25, is beyond 3 %25",
        "::warning title=Feedrate%3A unknown::mine.py: time unknown: the interval, "
        "-5.0 to +9.0 %25, is neither within nor beyond 3 %25",
    ]
    text = output.markdown(record, Exit.NO)
    assert summary.read_text(encoding="utf-8") == f"before\n{text}"


def test_an_unwritable_summary_is_a_warning(capsys, tmp_path):
    lines = printed_on_github(capsys, result(row()), GITHUB_STEP_SUMMARY=str(tmp_path))
    assert lines[-1] == (
        "::warning title=Feedrate guard::The job summary could not be written: "
        "Is a directory."
    )


def test_no_more_annotations_than_github_shows(capsys):
    rows = [row("slower", f"mine_{n}.py") for n in range(40)]
    lines = printed_on_github(capsys, result(*rows))
    assert len(lines) == 10
    assert lines[-1] == (
        "::error title=Feedrate guard::and 32 more, in the job summary"
    )


def test_annotations_are_escaped_as_the_runner_unescapes_them(capsys):
    output.annotate("error", "a:b,c%\r\n", "100 %\r\n::notice::x", ON_GITHUB)
    assert capsys.readouterr().err == (
        "::error title=a%3Ab%2Cc%25%0D%0A::100 %25%0D%0A::notice::x\n"
    )


@pytest.mark.parametrize("verdict", ["slower", "unknown", "failed", "unchanged"])
def test_hostile_text_stays_text(verdict, capsys, tmp_path):
    bad = row(verdict, HOSTILE, cause=HOSTILE, output_changed=True)
    record = result(bad, control=[bad], notes=[HOSTILE])
    code = exit_code(record)
    shown = terminal(record) + output.markdown(record, code)
    assert not [x for x in shown.splitlines() if x.strip().startswith("::")]
    assert "##[" not in shown
    assert shown.replace("\n", "").isprintable()
    summary = tmp_path / "summary.md"
    lines = printed_on_github(capsys, record, GITHUB_STEP_SUMMARY=str(summary))
    assert all(x.startswith(("::error ", "::warning ", "::notice ")) for x in lines)
    assert summary.read_text(encoding="utf-8").isascii()
    root, all_cases = cases(record)
    assert len(all_cases) == 1
    assert {e.tag for e in root.iter()} <= {
        *("testsuites", "testsuite", "testcase", "properties", "property"),
        *("failure", "error", "skipped", "system-out"),
    }


def test_every_exit_code_has_its_outcome():
    for verdict, code in (
        ("unchanged", Exit.OK),
        ("slower", Exit.NO),
        ("unknown", Exit.UNKNOWN),
        ("not_comparable", Exit.NOT_COMPARABLE),
        ("missing", Exit.MISSING),
    ):
        record = result(row(verdict))
        assert exit_code(record) == code
        assert f"(exit {code}): 1 {verdict.replace('_', ' ')}" in terminal(record)


def test_a_row_may_have_each_outcome_of_the_table():
    assert set(OUTCOMES) == set(get_args(Verdict))


@pytest.mark.parametrize("verdict", OUTCOMES)
def test_all_forms_use_the_same_word_for_a_verdict(verdict, capsys):
    record = result(row(verdict))
    words = verdict.replace("_", " ")
    assert f" {words} " in terminal(record)
    assert f"| {words} |" in output.markdown(record, exit_code(record))
    _, all_cases = cases(record)
    (case,) = all_cases.values()
    properties = {p.get("name"): p.get("value") for p in case.iter("property")}
    assert properties["verdict"] == words
    assert f": 1 {words}" in printed_on_github(capsys, record)[0]
