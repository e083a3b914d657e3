"""Latency of one warm call of every layer, in this process, by pytest-benchmark.

Off unless asked for, since it measures for minutes:

    pytest tests/test_latency.py --benchmark-enable --benchmark-save=base
    pytest tests/test_latency.py --benchmark-enable --benchmark-compare \
        --benchmark-compare-fail=median:10%

CONTRIBUTING.md says what such a comparison can promise, and what it cannot.
"""

import json

import pytest
import shelf
import tensorflow as tf

from bench.catalog import ROOT
from bench.measure.layers import graph_function, to_numpy

pytestmark = pytest.mark.alone
pytest_plugins = "pytester"

NOT_ASKED = "latencies are measured only when asked for: --benchmark-enable"
WORK = """
def test_{name}(benchmark):
    benchmark(lambda: sum(range({loops})))
"""


@pytest.mark.parametrize("entry", shelf.ENTRIES, ids=lambda entry: entry.name)
def test_latency(entry, benchmark):
    """A batch of 64 examples through a traced function, until its values are back."""
    if benchmark.disabled:
        pytest.skip(NOT_ASKED)
    benchmark.group = f"a warm call on {shelf.COUNT} examples"
    batch = tf.constant(shelf.features(entry.path.stem))
    called = graph_function(shelf.layers(entry))
    for _ in range(3):  # traces, and fills what is filled once
        output = to_numpy(called(batch))
    shelf.module(entry.path.stem).check(
        shelf.features(entry.path.stem), output, **entry.variant
    )
    benchmark(lambda: to_numpy(called(batch)))


def test_it_is_off_unless_asked_for(request):
    options = request.config.option
    if options.benchmark_enable:
        pytest.skip("it was asked for")
    assert options.benchmark_disable


def test_a_layer_is_measured_when_asked_for(pytester):
    """As a user starts it, but that the libraries are loaded already."""
    options = ["-c", ROOT / "pyproject.toml", "--rootdir", ROOT, "-k", "rescaling"]
    options += ["--benchmark-enable", "--benchmark-json=told.json"]
    options += ["--benchmark-max-time=0.05", "--benchmark-quiet"]
    done = pytester.runpytest_inprocess(ROOT / "tests" / "test_latency.py", *options)
    done.assert_outcomes(passed=1, deselected=len(shelf.ENTRIES) + 4)
    (one,) = json.loads((pytester.path / "told.json").read_text())["benchmarks"]
    assert one["name"] == "test_latency[rescaling]"
    assert one["group"] == "a warm call on 64 examples"
    assert one["stats"]["rounds"] >= 5
    assert 0 < one["stats"]["median"] < 1


def compared(pytester, name, loops, *fails):
    """Exit code of comparing `test_{name}` with a saved `test_work` of 1000 loops."""
    options = ["-p", "no:cacheprovider", "--benchmark-max-time=0.1"]
    path = pytester.path / "test_it.py"
    path.write_text(WORK.format(name="work", loops=1000))
    assert pytester.runpytest_subprocess(*options, "--benchmark-save=base").ret == 0
    path.write_text(WORK.format(name=name, loops=loops))
    options += [f"--benchmark-compare-fail={fail}" for fail in fails]
    return pytester.runpytest_subprocess(*options, "--benchmark-compare").ret


@pytest.mark.parametrize(
    ("name", "loops", "fails", "failed"),
    [
        ("work", 20_000, ["median:100%"], True),
        ("work", 20_000, ["median:100%", "median:99999%"], False),  # the last counts
        ("renamed", 20_000, ["median:100%"], False),  # nothing to compare, no failure
    ],
)
def test_what_compare_fail_can_and_cannot_promise(pytester, name, loops, fails, failed):
    """What CONTRIBUTING.md says of it holds for the version that is installed."""
    assert (compared(pytester, name, loops, *fails) != 0) == failed
