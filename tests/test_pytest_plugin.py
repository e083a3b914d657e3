"""Tests of the fixture `guard_workload`, with a guard that measures nothing."""

import types

import pytest

from bench import pytest_plugin
from bench.catalog import ROOT
from bench.errors import UsageError
from bench.guard import live
from bench.guard.record import BUDGET_SECONDS, GuardResult, Row

pytest_plugins = "pytester"

TEST = """
    def test_no_slower(guard_workload):
        result = guard_workload("mine.py", against_ref="main", threshold=0.05{more})
        assert result.rows[0].key == "mine.py"
"""


@pytest.fixture
def guard(monkeypatch):
    """Replace the guard by one that stores its requests and returns `guard.answer`."""
    guard = types.SimpleNamespace(requests=[], answer=None)

    def against_ref(repo, ref, wanted):
        (block,) = wanted.sweep.blocks
        workloads = list(block.workloads)
        guard.requests.append((repo, ref, workloads, wanted))
        if isinstance(guard.answer, Exception):
            raise guard.answer
        return guard.answer

    monkeypatch.setattr(live, "against_ref", against_ref)
    return guard


def result(verdict, **fields):
    row = Row(key="mine.py", metric="seconds_per_example", verdict=verdict, **fields)
    return GuardResult(base="ref main", head="working tree", how="lockstep", rows=[row])


def run(pytester, *arguments, more=""):
    pytester.makepyfile(TEST.format(more=more))
    options = ("-p", "bench.pytest_plugin", "-p", "no:cacheprovider", *arguments)
    return pytester.runpytest_inprocess(*options)


def test_unchanged_passes_and_the_request_is_that_of_the_test(pytester, guard):
    guard.answer = result("unchanged", ratio=1.0, low=0.99, high=1.01)
    run(pytester).assert_outcomes(passed=1)
    ((repo, ref, workloads, wanted),) = guard.requests
    assert (repo, ref) == (pytester.path, "main")
    assert workloads == [str(pytester.path / "mine.py")]
    assert wanted.thresholds("mine.py")["seconds_per_example"] == 0.05
    assert wanted.budget_seconds == BUDGET_SECONDS


def test_several_workloads_a_budget_and_the_projects_own_threshold(pytester, guard):
    guard.answer = result("faster", ratio=0.9, low=0.89, high=0.91)
    pytester.makepyprojecttoml('[tool.feedrate.guard]\nthreshold = "7%"')
    pytester.makepyfile(
        """
        def test_no_slower(guard_workload):
            guard_workload(["a.py", "prose"], against_ref="v1", budget_seconds=20)
        """
    )
    done = pytester.runpytest_inprocess("-p", "bench.pytest_plugin")
    done.assert_outcomes(passed=1)
    _, ref, workloads, wanted = guard.requests[0]
    assert (ref, workloads) == ("v1", [str(pytester.path / "a.py"), "prose"])
    assert wanted.budget_seconds == 20
    assert wanted.thresholds("prose")["seconds_per_example"] == 0.07


def test_slower_fails_with_the_figures_and_no_traceback(pytester, guard):
    guard.answer = result(
        "slower", ratio=1.081, low=1.07, high=1.09, threshold=0.05, count=6
    )
    done = run(pytester)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(
        [
            "Guard: regressed (exit 1): 1 slower",
            "mine.py: time slower: grew by 8.1 %; the whole interval, +7.0 to "
            "+9.0 %, is beyond 5 %",
        ]
    )
    assert "Traceback" not in done.stdout.str()
    assert "pytest_plugin.py" not in done.stdout.str()


@pytest.mark.parametrize("verdict", ["unknown", "missing", "failed", "not_comparable"])
def test_a_trial_without_a_verdict_fails(verdict, pytester, guard):
    guard.answer = result(verdict)
    run(pytester).assert_outcomes(failed=1)


def test_a_guard_without_rows_fails(pytester, guard):
    guard.answer = GuardResult(base="ref main", head="head", how="lockstep", rows=[])
    run(pytester).assert_outcomes(failed=1)


def test_unknown_may_be_skipped_but_is_shown(pytester, guard):
    guard.answer = result("unknown", ratio=1.02, low=0.9, high=1.1)
    done = run(pytester, "-rs", more=", unknown_passes=True")
    done.assert_outcomes(skipped=1)
    done.stdout.fnmatch_lines(["SKIPPED*Guard: could not tell (exit 3): 1 unknown*"])


def test_missing_fails_even_if_unknown_passes(pytester, guard):
    guard.answer = result("missing")
    run(pytester, more=", unknown_passes=True").assert_outcomes(failed=1)


def test_bad_use_fails_in_one_line(pytester, guard):
    guard.answer = UsageError("No ref 'main' in this repository.")
    done = run(pytester)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["No ref 'main' in this repository."])
    assert "Traceback" not in done.stdout.str()


def test_the_ratio_is_in_pytests_own_junit_report(pytester, guard):
    guard.answer = result("unchanged", ratio=1.0, low=0.99, high=1.01)
    run(pytester, "--junit-xml=junit.xml").assert_outcomes(passed=1)
    assert (
        '<property name="mine.py seconds_per_example" '
        'value="1.0 (0.99 to 1.01), unchanged"'
    ) in (pytester.path / "junit.xml").read_text()


def test_it_does_not_pass_with_benchmarks_disabled(pytester, guard):
    done = run(pytester, "--benchmark-disable")
    done.assert_outcomes(errors=1)
    assert guard.requests == []
    assert pytest_plugin.NOT_DISABLED == (
        "guard_workload measures, and --benchmark-disable forbids that: it does not "
        "pass without measuring. Leave the option out, or deselect this test."
    )
    done.stdout.fnmatch_lines([pytest_plugin.NOT_DISABLED])


def test_it_does_not_pass_in_a_worker_of_xdist(pytester, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makepyfile(TEST.format(more=""))
    options = ("-p", "bench.pytest_plugin", "-p", "no:cacheprovider", "-n1")
    done = pytester.runpytest_subprocess(*options, timeout=300)
    done.assert_outcomes(errors=1)
    assert pytest_plugin.NOT_PARALLEL == (
        "guard_workload measures, and pytest-xdist runs other tests beside it, which "
        "makes all figures worthless. Run the guard's tests in a pytest of their own, "
        "without -n."
    )
    done.stdout.fnmatch_lines([pytest_plugin.NOT_PARALLEL])


def test_it_runs_where_xdist_is_installed_and_not_used(pytester, guard):
    guard.answer = result("unchanged", ratio=1.0, low=0.99, high=1.01)
    run(pytester, "-n0").assert_outcomes(passed=1)
