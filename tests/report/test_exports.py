"""The formats for other programs can be read back and match the programs' own files."""

import json
import os
import subprocess
import sys

import factory
import numpy as np
import pandas as pd
import pytest

from bench import store
from bench.analysis import table
from bench.report import exports
from bench.report import formats as report
from bench.trial import Failure

RUNS = factory.runs(
    {factory.trial(): 0.01, factory.trial("vectorized", consumer="train"): 0.002}
)
RUNS.append(factory.run(factory.trial("offline"), error=Failure(type="E", message="m")))
BENCHMARK = """
def test_sum(benchmark):
    benchmark.pedantic(sum, args=([1, 2],), rounds=12, iterations=3)
"""


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Read a file that pytest-benchmark itself wrote."""
    folder = tmp_path_factory.mktemp("reference")
    (folder / "test_it.py").write_text(BENCHMARK)
    path = folder / "own.json"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["test_it.py", f"--benchmark-json={path}"]
    # It measures nothing in a worker of xdist.
    environment = {**os.environ, "PYTEST_ADDOPTS": "", "PYTEST_XDIST_WORKER": ""}
    subprocess.run(command, cwd=folder, env=environment, check=True)
    return json.loads(path.read_text())


def kinds(value):
    """Return the names and kinds of the values of a JSON document."""
    if isinstance(value, dict):
        return {name: kinds(inner) for name, inner in value.items()}
    if isinstance(value, bool) or value is None:
        return "flag or nothing"
    if isinstance(value, int | float):
        return "number"
    return type(value).__name__


def test_pytest_benchmark_has_the_form_of_its_own_file(reference):
    ours = json.loads(exports.pytest_benchmark(RUNS))
    assert set(ours) == set(reference)
    assert set(ours["machine_info"]) <= {*reference["machine_info"]}
    assert set(ours["commit_info"]) <= {*reference["commit_info"], "dirty"}
    (theirs,) = reference["benchmarks"]
    assert len(ours["benchmarks"]) == 2
    for benchmark in ours["benchmarks"]:
        assert set(benchmark) == set(theirs)
        assert kinds(benchmark["stats"]) == kinds(theirs["stats"])
        assert set(benchmark["options"]) == set(theirs["options"])


def test_the_figures_are_those_that_pytest_benchmark_gives_of_the_data(reference):
    (theirs,) = reference["benchmarks"]
    stats = theirs["stats"]
    ours = exports._statistics(np.array(stats["data"]), stats["iterations"])
    quartiles = ("q1", "q3", "iqr", "ld15iqr", "hd15iqr", "iqr_outliers", "outliers")
    for name in set(stats) - set(quartiles):  # it has its own definition of quartiles
        assert ours[name] == pytest.approx(stats[name]), name


def test_pytest_benchmark_compares_our_file_with_its_own_command(tmp_path):
    path = tmp_path / "0001_ours.json"
    path.write_text(exports.pytest_benchmark(RUNS))
    program = "import pytest_benchmark.cli as cli; cli.main()"
    command = [sys.executable, "-c", program, "compare", str(path)]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "prose[consumer=train,order=batch_map]" in done.stdout


def test_two_machines_are_two_groups():
    other = factory.runs({factory.trial(): 0.02}, machine={"cpu": "Another"})
    document = json.loads(exports.pytest_benchmark(RUNS + other))
    groups = {benchmark["group"] for benchmark in document["benchmarks"]}
    assert len(groups) == 3
    assert any("Another" in group for group in groups)


def test_only_failures_still_make_a_file():
    document = json.loads(exports.pytest_benchmark(RUNS[-1:]))
    assert document["benchmarks"] == []


def test_parquet_is_the_table(tmp_path):
    mixed = factory.run(factory.trial(), facts={"a": 1.0})
    words = factory.run(factory.trial(), facts={"a": "yes"}, round=1)
    samples = table.from_runs([*RUNS, mixed, words])
    exports.parquet(samples, tmp_path / "t.parquet")
    read = pd.read_parquet(tmp_path / "t.parquet")
    assert list(read.columns) == list(samples.columns)
    assert set(read["fact_a"].dropna()) == {"1.0", "yes"}
    for name in ("seconds_per_batch", "batch_size", "key"):
        assert read[name].equals(samples[name].astype(read[name].dtype)), name


def test_all_formats_are_written(tmp_path):
    """The page on layers needs layers; tests/report/test_layer_page.py writes it."""
    forms = {n: form for n, form in report.FORMATS.items() if n != "layers"}
    traced = factory.run(
        factory.trial(), round=5, spans=[("wait", 0.0, 0.1), ("train", 0.1, 0.2)]
    )
    for run in [*RUNS, traced]:
        store.append(tmp_path, run)
    out = tmp_path / "out"
    paths = report.write(tmp_path, out, forms)
    assert all(path.is_file() for path in paths)
    assert {path.name for path in out.iterdir()} == {
        form.file for form in forms.values()
    }
    assert {path for path in paths if path.parent == out / "plots"} == {
        *(out / "plots").iterdir()
    }
    scenes = json.loads((out / "report.json").read_text())["scenes"]
    assert [scene["title"] for scene in scenes] == ["prose, drain", "prose, train"]
