"""These tests time one warm call of every layer in this process, by pytest-benchmark.

They are off unless requested, since they measure for minutes:

    pytest tests/test_latency.py --benchmark-enable --benchmark-save=base
    pytest tests/test_latency.py --benchmark-enable --benchmark-compare \
        --benchmark-compare-fail=median:10%

CONTRIBUTING.md explains what such a comparison can detect, and what it cannot.
"""

import json

import pytest
import shelf
import tensorflow as tf

from bench.catalog import ROOT
from bench.measure.layers import graph_function, to_numpy

pytest_plugins = "pytester"

OFF = "latencies are measured only on request: --benchmark-enable"
WORK = """
def test_{name}(benchmark):
    benchmark(lambda: sum(range({loops})))
"""


@pytest.mark.parametrize("entry", shelf.ENTRIES, ids=lambda entry: entry.name)
def test_latency(entry, benchmark):
    """Time a batch of 64 examples in a traced function, until its values are back."""
    if benchmark.disabled:
        pytest.skip(OFF)
    benchmark.group = f"a warm call on {shelf.COUNT} examples"
    batch = tf.constant(shelf.features(entry.path.stem))
    call = graph_function(shelf.layers(entry))
    for _ in range(3):  # traces, and fills caches
        output = to_numpy(call(batch))
    shelf.module(entry.path.stem).check(
        shelf.features(entry.path.stem), output, **entry.variant
    )
    benchmark(lambda: to_numpy(call(batch)))


def test_latencies_are_off_unless_requested(request):
    options = request.config.option
    if options.benchmark_enable:
        pytest.skip("latencies were requested")
    assert options.benchmark_disable


@pytest.fixture
def outside_workers(monkeypatch):
    """Let a new pytest measure, which pytest-benchmark refuses in workers of xdist."""
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)


@pytest.mark.usefixtures("outside_workers")
def test_a_layer_is_measured_on_request(pytester):
    """The test starts as a user starts it, but with loaded libraries."""
    options = ["-c", ROOT / "pyproject.toml", "--rootdir", ROOT, "-k", "rescaling"]
    options += ["--benchmark-enable", "--benchmark-json=latency.json"]
    options += ["--benchmark-max-time=0.05", "--benchmark-quiet"]
    done = pytester.runpytest_inprocess(ROOT / "tests" / "test_latency.py", *options)
    done.assert_outcomes(passed=1, deselected=len(shelf.ENTRIES) + 4)
    (benchmark,) = json.loads((pytester.path / "latency.json").read_text())[
        "benchmarks"
    ]
    assert benchmark["name"] == "test_latency[rescaling]"
    assert benchmark["group"] == "a warm call on 64 examples"
    assert benchmark["stats"]["rounds"] >= 5
    assert 0 < benchmark["stats"]["median"] < 1


def compared(pytester, name, loops, *fails):
    """Return the exit code of comparing a test with a saved one of 1000 loops."""
    options = ["-p", "no:cacheprovider", "--benchmark-max-time=0.1"]
    path = pytester.path / "test_it.py"
    path.write_text(WORK.format(name="work", loops=1000))
    assert pytester.runpytest_subprocess(*options, "--benchmark-save=base").ret == 0
    path.write_text(WORK.format(name=name, loops=loops))
    options += [f"--benchmark-compare-fail={fail}" for fail in fails]
    return pytester.runpytest_subprocess(*options, "--benchmark-compare").ret


@pytest.mark.usefixtures("outside_workers")
@pytest.mark.parametrize(
    ("name", "loops", "fails", "failed"),
    [
        ("work", 20_000, ["median:100%"], True),
        (
            "work",
            20_000,
            ["median:100%", "median:99999%"],
            False,
        ),  # the last option counts
        ("renamed", 20_000, ["median:100%"], False),  # nothing to compare
    ],
)
def test_compare_fail_detects_what_contributing_promises(
    pytester, name, loops, fails, failed
):
    """CONTRIBUTING.md describes the installed version of pytest-benchmark."""
    assert (compared(pytester, name, loops, *fails) != 0) == failed
