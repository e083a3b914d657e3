"""The files for Bencher and github-action-benchmark follow these products' rules."""

import json
import math
import re

import factory
import jsonschema
import pytest

from bench.report import formats, trackers
from bench.shell import ROOT
from bench.trial import Failure

# https://bencher.dev/bmf.json; names and lengths are those of the documentation's
# "Order of Precedence". A slug is as in Bencher's lib/bencher_valid/src/slug.rs.
BMF = {
    "type": "object",
    "propertyNames": {"minLength": 1, "maxLength": 1024},
    "additionalProperties": {
        "type": "object",
        "propertyNames": {"pattern": "^[a-z0-9]+(-[a-z0-9]+)*$", "maxLength": 64},
        "additionalProperties": {
            "type": "object",
            "properties": {
                "value": {"type": "number"},
                "lower_value": {"type": "number"},
                "upper_value": {"type": "number"},
            },
            "required": ["value"],
            "additionalProperties": False,
        },
    },
}
BMF_EXAMPLE = {
    "benchmark_name": {
        "latency": {"value": 88.0, "lower_value": 87.42, "upper_value": 88.88},
        "throughput": {"value": 5.55, "lower_value": 3.14, "upper_value": 6.30},
    },
    "/bin/sh -c ./my_build_script.sh": {"build-time": {"value": 87.0}},
}
BUILT_IN = {"latency", "throughput"}  # Bencher's own, in units other than ours
# The README of github-action-benchmark, and `BenchmarkResult` in its src/extract.ts;
# it stops at an empty list.
GITHUB = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1},
            "unit": {"type": "string", "minLength": 1},
            "value": {"type": "number"},
            "range": {"type": "string"},
            "extra": {"type": "string"},
        },
        "required": ["name", "unit", "value"],
        "additionalProperties": False,
    },
}
GITHUB_EXAMPLE = [
    {"name": "CPU Load", "unit": "Percent", "value": 50},
    {
        "name": "Memory Used",
        "unit": "Megabytes",
        "value": 100,
        "range": "3",
        "extra": "Value for Tooltip: 25\nOptional Num #2: 100",
    },
]
NAIVE, FAST = factory.trial(), factory.trial("vectorized")
TRAIN = factory.trial("vectorized", consumer="train")
SERVE = factory.trial(consumer="serve", workload="prices")
LATENCY = {f"latency_{name}_seconds": 0.002 for name in ("p50", "p95", "p99")}


@pytest.fixture(scope="module")
def report():
    runs = factory.runs({NAIVE: 0.01, FAST: 0.002, TRAIN: 0.02})
    runs += factory.runs({SERVE: 0.001}, facts=LATENCY)
    failure = Failure(type="E", message="m")
    runs.append(factory.run(factory.trial("offline"), error=failure))
    runs += factory.runs({factory.trial("parallel"): 0.001}, flags=["frozen_random"])
    return formats.summed(runs)


def github_lists(report, folder):
    """Return the two lists by the names of their files."""
    paths = trackers.github_action_benchmark(report, folder / "new")
    return {path.stem: json.loads(path.read_text("utf-8")) for path in paths}


def test_the_rules_accept_the_products_examples_and_refuse_others():
    jsonschema.validate(BMF_EXAMPLE, BMF)
    jsonschema.validate(GITHUB_EXAMPLE, GITHUB)
    for wrong, rules in (
        ({"a": {"b": {"lower_value": 1.0}}}, BMF),
        ({"a": {"Not A Slug": {"value": 1.0}}}, BMF),
        ([], GITHUB),
        ([{"name": "a", "value": 1}], GITHUB),
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, rules)


def test_bmf_follows_the_rules_of_bencher(report):
    document = json.loads(trackers.bencher(report))
    jsonschema.validate(document, BMF)
    for measures in document.values():
        assert not BUILT_IN & set(measures)
        for metric in measures.values():
            if len(metric) > 1:
                low, high = metric["lower_value"], metric["upper_value"]
                assert low <= metric["value"] <= high


def test_a_benchmark_has_the_key_of_its_trial_and_every_measure_of_it(report):
    """Failed trials, and trials that may not be ranked, have no figures."""
    document = json.loads(trackers.bencher(report))
    assert set(document) == {trial.key for trial in (NAIVE, FAST, TRAIN, SERVE)}
    usual = {"examples-per-second", "seconds-per-batch", "peak-resident-bytes"}
    usual |= {"cpu-seconds-per-example", "adapt-seconds", "trace-seconds"}
    usual |= {"first-batch-seconds", "fill-seconds"}
    assert set(document[NAIVE.key]) == usual
    latency = {"latency-p50-seconds", "latency-p95-seconds", "latency-p99-seconds"}
    assert set(document[SERVE.key]) == usual | latency


def test_the_figures_are_those_of_the_report(report):
    document = json.loads(trackers.bencher(report))
    (row,) = report.trials[report.trials["key"] == FAST.key].to_dict("records")
    for measure in ("examples_per_second", "seconds_per_batch"):
        assert document[FAST.key][measure.replace("_", "-")] == {
            "value": row[measure],
            "lower_value": row[f"{measure}_low"],
            "upper_value": row[f"{measure}_high"],
        }
    memory = document[FAST.key]["peak-resident-bytes"]
    assert memory["value"] == row["peak_resident_bytes"] == 5e8


def test_a_cost_has_the_median_and_the_range_of_its_runs():
    runs = [
        factory.run(NAIVE, round=number, phases={"adapt": seconds})
        for number, seconds in enumerate((0.3, 0.1, 0.2))
    ]
    document = json.loads(trackers.bencher(formats.summed(runs)))
    assert document["prose"]["adapt-seconds"] == {
        "value": 0.2,
        "lower_value": 0.1,
        "upper_value": 0.3,
    }


def test_one_run_has_no_bounds():
    report = formats.summed([factory.run(NAIVE)])
    figures = list(trackers.figures(report))
    assert figures and all(one.bounds is None for one in figures)
    for metric in json.loads(trackers.bencher(report))["prose"].values():
        assert set(metric) == {"value"}


def test_the_lists_follow_the_rules_of_github_action_benchmark(report, tmp_path):
    lists = github_lists(report, tmp_path)
    assert set(lists) == {"customBiggerIsBetter", "customSmallerIsBetter"}
    for entries in lists.values():
        jsonschema.validate(entries, GITHUB)
        names = [entry["name"] for entry in entries]
        assert len(set(names)) == len(names)
        assert all(math.isfinite(entry["value"]) for entry in entries)
    bigger = {entry["name"] for entry in lists["customBiggerIsBetter"]}
    assert bigger == {
        f"{trial.key} examples_per_second" for trial in (NAIVE, FAST, TRAIN, SERVE)
    }
    smaller = {entry["name"]: entry for entry in lists["customSmallerIsBetter"]}
    assert smaller["prose first_batch_seconds"] == {
        "name": "prose first_batch_seconds",
        "unit": "s",
        "value": 0.05,
        "extra": "naive; 5 runs; median, lowest, highest",
        "range": "0.05 to 0.05",
    }


def test_both_formats_have_the_same_figures(report, tmp_path):
    document = json.loads(trackers.bencher(report))
    entries = [e for own in github_lists(report, tmp_path).values() for e in own]
    assert {entry["name"]: entry["value"] for entry in entries} == {
        f"{key} {slug.replace('-', '_')}": metric["value"]
        for key, measures in document.items()
        for slug, metric in measures.items()
    }


def test_names_stay_from_run_to_run_and_machines_have_their_own():
    first = factory.runs({NAIVE: 0.01, FAST: 0.002})
    later = factory.runs({FAST: 0.003, NAIVE: 0.02}, seed=9)
    names = [
        set(json.loads(trackers.bencher(formats.summed(r)))) for r in (first, later)
    ]
    assert names[0] == names[1] == {NAIVE.key, FAST.key}
    other = factory.runs({NAIVE: 0.02}, machine={**factory.MACHINE, "cpu": "Another"})
    several = json.loads(trackers.bencher(formats.summed(first + other)))
    assert len(several) == 3
    assert sum(" on Another, 4 CPUs" in name for name in several) == 1


def test_a_name_is_one_line_without_control_characters():
    hostile = factory.trial(workload="a\x1b[31m\nb")
    (name,) = json.loads(trackers.bencher(formats.summed([factory.run(hostile)])))
    assert name == "a\\u001b[31m b"


def test_the_documentation_of_results_has_every_measure():
    text = (ROOT / "results" / "README.md").read_text(encoding="utf-8")
    section = text.partition("## Figures for trackers\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    assert re.findall(r"`(\w+)`", " ".join(cells)) == [*trackers.MEASURES]
