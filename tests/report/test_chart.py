"""The chart shows scenes apart, and the page names what the chart leaves out."""

import factory

from bench.analysis import table
from bench.report import chart, formats, summary

NAIVE = factory.trial()


def ranked(runs):
    return summary.ranked(table.from_runs(runs))


def scenes(runs):
    return list(chart._rows(ranked(runs))["scene"].unique())


def test_machines_that_differ_late_in_their_names_are_apart():
    runs = []
    for keras in ("3.14.0", "3.15.0"):
        machine = {**factory.MACHINE, "cpu": 60 * "x", "keras": keras}
        runs += factory.runs({NAIVE: 0.01}, rounds=2, machine=machine)
    label = f"{60 * 'x'}, 4 CPUs, TensorFlow 2.21.0, Keras 3."
    assert scenes(runs) == [f"prose, drain on {label}{end}" for end in ("14.0", "15.0")]


def test_scenes_whose_names_are_cut_alike_are_apart():
    trials = [factory.trial(workload=80 * "x" + end) for end in "ab"]
    title = f"{60 * 'x'}... (81 characters), drain"
    runs = factory.runs(dict.fromkeys(trials, 0.01), rounds=2)
    assert scenes(runs) == [title, f"{title}, scene 1"]


def test_the_page_names_what_the_chart_leaves_out(tmp_path, monkeypatch):
    trials = [
        factory.trial(strategy, workload=workload)
        for workload in ("prose", "prices", "hashing")
        for strategy in ("naive", "vectorized")
    ]
    runs = factory.runs(dict.fromkeys(trials, 0.01), rounds=2)
    assert chart.left_out(ranked(runs)) == ""
    monkeypatch.setattr(chart, "MOST_SCENES", 2)
    monkeypatch.setattr(chart, "MOST_BARS", 1)
    assert len(chart._rows(ranked(runs))) == 2
    monkeypatch.setattr(summary.Report, "figures", lambda report: ())
    report = formats.summed(runs)
    report.content["source"] = "made up"
    formats.write(report, tmp_path, ["html"])
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    sentence = (
        "Left out here, but in the tables below: 1 of 3 comparisons and 2 trials "
        "beyond the 1 fastest of a comparison."
    )
    assert sentence in page


def test_where_nothing_was_measured_nothing_is_left_out():
    failure = factory.Failure(type="Timeout", message="120 s")
    assert chart.left_out(ranked([factory.run(NAIVE, error=failure)])) == ""
    assert chart.left_out(ranked([])) == ""
