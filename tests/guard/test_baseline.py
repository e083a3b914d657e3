"""Stored baselines and result folders are compared, or the reason is stated."""

import json
import math
import os
import subprocess
import sys
from dataclasses import replace

import factory
import msgspec
import numpy as np
import pytest

import run_bench
from bench import catalog, machine, store
from bench.errors import UsageError
from bench.guard import baseline, live, settings, stored
from bench.guard.record import exit_code
from bench.run.protocol import Outcome
from bench.trial import Failure, Measured

TRIAL = factory.trial("vectorized")
OTHER = factory.trial("naive")
LIMITS = settings.Settings().thresholds


def runs(seconds: float, trial=TRIAL, seed: int = 0, **fields):
    return factory.runs(
        {trial: seconds}, rounds=9, run_noise=0.004, seed=seed, **fields
    )


def judged(base, head):
    sides = [baseline.from_runs(runs) for runs in (base, head)]
    return baseline.judge(*sides, LIMITS)


@pytest.mark.parametrize(
    ("seconds", "verdict"),
    [(0.01, "unchanged"), (0.011, "slower"), (0.009, "faster"), (0.0103, "unknown")],
)
def test_ratios_of_runs_have_verdicts(seconds: float, verdict: str) -> None:
    (row,) = judged(runs(0.01), runs(seconds, seed=1))
    assert row.verdict == verdict
    assert row.ratio == pytest.approx(seconds / 0.01, rel=0.01)
    assert row.count == 9


def test_what_is_gone_fails_or_is_new_is_a_row_on_either_side() -> None:
    """Nothing that either side has passes unseen."""
    broken = Failure(type="ValueError", message="no", phase="check")
    new, lost, both = (factory.trial(prefetch=n) for n in (3, 4, 5))
    base = runs(0.01) + runs(0.01, OTHER)
    base += [factory.run(trial, error=broken) for trial in (lost, both)]
    head = [factory.run(trial, error=broken) for trial in (OTHER, both)]
    head += runs(0.01, new) + runs(0.01, lost)
    rows = judged(base, head)
    assert {row.key: (row.verdict, row.cause) for row in rows} == {
        TRIAL.key: ("missing", "it is in base and not in head"),
        OTHER.key: ("failed", "ValueError in check: no"),
        both.key: ("failed", "ValueError in check: no"),
        lost.key: ("not_comparable", "base failed: ValueError in check: no"),
        new.key: ("not_comparable", "it is not in base"),
    }


def test_a_folder_of_more_trials_than_its_base_does_not_hold(tmp_path, capsys) -> None:
    """Exit code 4, also where the base's own trial failed."""
    broken = Failure(type="ValueError", message="no")
    a = folder(tmp_path / "a", [*runs(0.01), factory.run(OTHER, error=broken)])
    b = folder(tmp_path / "b", runs(0.01) + runs(0.01, OTHER))
    assert run_bench.main(["guard", a, b]) == 4
    assert "base failed: ValueError: no" in capsys.readouterr().out
    c = folder(tmp_path / "c", runs(0.01))
    assert run_bench.main(["guard", c, b]) == 4
    assert "it is not in base" in capsys.readouterr().out


def test_a_workload_that_the_baseline_lacks_is_a_row(monkeypatch, tmp_path) -> None:
    """Beside one that it has; and the guard's own processes are not foreign to it."""
    here = runs(0.01, machine=machine.fingerprint(), process_cpu_seconds=1e6)
    path, measured_trials = tmp_path / "base.json", []
    baseline.save(baseline.from_runs(here).baseline, path)

    def measured(trials, *_):
        measured_trials.extend(trials)
        return here

    monkeypatch.setattr(stored, "_measured", measured)
    wanted = live.guard_request(["prose", "prices"])
    result = stored.against_baseline(path, wanted, tmp_path / "runs")
    assert {row.key: (row.verdict, row.cause) for row in result.rows} == {
        TRIAL.key: ("unchanged", ""),
        "prices": ("not_comparable", "it is not in base"),
    }
    assert measured_trials == [TRIAL]
    assert exit_code(result) == 4
    assert result.conditions["foreign_cpu_share"] == 0.0


def test_a_baseline_of_other_limits_is_not_comparable() -> None:
    """A baseline from before limits were stored counts as one without limits."""
    none = {**factory.MACHINE, "cpu_limit": None, "memory_limit_bytes": None}
    (row,) = judged(runs(0.01), runs(0.01, machine=none))
    assert row.verdict == "unchanged"
    for limit in ({"cpu_limit": 2}, {"memory_limit_bytes": 2**30}):
        (row,) = judged(runs(0.01), runs(0.01, machine=none | limit))
        assert row.verdict == "not_comparable"
        assert row.cause == "base has another machine, container limit or version"


def test_other_machines_inputs_and_pipelines_are_not_compared() -> None:
    other = dict(factory.MACHINE, cpu="another")
    (row,) = judged(runs(0.01), runs(0.01, machine=other))
    assert (row.verdict, row.cause) == (
        "not_comparable",
        "base has another machine, container limit or version",
    )
    (row,) = judged(
        runs(0.01, input_fingerprint="a"), runs(0.01, input_fingerprint="b")
    )
    assert row.cause == "the inputs differ"
    moved = [replace(run, key=TRIAL.key, trial=OTHER) for run in runs(0.01, OTHER)]
    (row,) = judged(runs(0.01), moved)
    assert row.cause == "the whole pipeline behind this key differs"


def test_two_runs_of_a_side_have_no_verdict() -> None:
    """Two agree by chance too often; three are judged."""
    few = [
        factory.runs({TRIAL: s}, rounds=n, run_noise=1e-4, seed=n)
        for s, n in ((0.01, 2), (0.02, 2), (0.01, 3), (0.02, 3))
    ]
    (row,) = judged(*few[:2])
    assert (row.verdict, row.count) == ("unknown", 2)
    assert row.cause == "2 runs of a side: a verdict needs 3"
    assert row.ratio == pytest.approx(2.0, rel=0.01)
    (row,) = judged(*few[2:])
    assert (row.verdict, row.cause) == ("slower", "")


def p95(samples: int, batches: int = 20, seed: int = 0):
    return factory.runs(
        {TRIAL: 0.01}, samples=samples, seed=seed, batches_per_sample=batches
    )


@pytest.mark.parametrize(
    ("head", "cause"),
    [
        (
            p95(100),
            "a run has 12 windows in base and 100 in head, and the p95 of "
            "windows depends on that number",
        ),
        (
            p95(12, batches=8),
            "a run has 20 batches in a window in base and 8 in head, and the p95 of "
            "windows depends on that number",
        ),
        (p95(14, batches=24, seed=1), ""),
    ],
)
def test_95th_percentiles_of_unlike_windows_are_not_compared(head, cause) -> None:
    sides = [baseline.from_runs(side) for side in (p95(12), head)]
    limits = dict.fromkeys(("latency_p95", "seconds_per_example"), 0.2)
    of_windows, of_times = baseline.judge(*sides, lambda key, margin: limits)
    assert of_windows.cause == cause
    assert of_windows.verdict == ("not_comparable" if cause else "unchanged")
    assert of_times.verdict == "unchanged"


def test_changed_outputs_are_reported() -> None:
    base = runs(0.01, output_fingerprint="a")
    (row,) = judged(base, runs(0.01, seed=1, output_fingerprint="b"))
    assert row.output_changed


def test_a_baseline_is_stored_and_read(tmp_path) -> None:
    one = baseline.from_runs(runs(0.01)).baseline
    baseline.save(one, tmp_path / "base.json")
    assert baseline.load(tmp_path / "base.json").baseline == one


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not a baseline: "),
        ('{"started": 1}', "not a baseline: "),
        (
            '{"schema": 1, "started": "", "machine": {}, "trials": {"prose": {"trial": '
            '{"workload": "prose"}, "inputs": "", "outputs": "", "runs": {}}}}',
            "not a baseline: Object missing required field `windows`",
        ),
        (
            '{"schema": 9, "started": "", "machine": {}}',
            "schema 9, and this version reads 1; save it again.",
        ),
    ],
)
def test_a_broken_baseline_says_what_is_wrong(tmp_path, content, message) -> None:
    path = tmp_path / "base.json"
    path.write_text(content)
    with pytest.raises(UsageError) as error:
        baseline.load(path)
    assert message in str(error.value)
    with pytest.raises(UsageError) as error:
        baseline.load(tmp_path / "none.json")
    assert str(error.value) == (
        f"No baseline at '{tmp_path}/none.json': No such file or directory. Make one "
        f"on this machine with guard --save-baseline {tmp_path}/none.json."
    )


def folder(path, runs):
    path.mkdir()
    for run in runs:
        store.append(path, run)
    return str(path)


def test_two_folders_are_guarded_from_the_command_line(tmp_path, capsys) -> None:
    a = folder(tmp_path / "a", runs(0.01) + runs(0.01, OTHER))
    b = folder(tmp_path / "b", runs(0.012, seed=1) + runs(0.01, OTHER, seed=2))
    junit, out = tmp_path / "junit.xml", tmp_path / "out.json"
    code = run_bench.main(["guard", a, b, "--junit", str(junit), "--out", str(out)])
    assert code == 1
    assert "regressed (exit 1)" in capsys.readouterr().out
    assert 'failures="1"' in junit.read_text()
    assert json.loads(out.read_text())["exit_code"] == 1
    assert run_bench.main(["guard", a, a, "--json"]) in (0, 3)
    assert json.loads(capsys.readouterr().out)["how"] == "stored"
    c = folder(tmp_path / "c", runs(0.01, seed=1))
    with (tmp_path / "c" / store.FILE).open("a") as file:
        file.write('{"cut o')
    assert run_bench.main(["guard", a, c]) == 5
    printed = capsys.readouterr().out
    assert "missing" in printed
    assert "the last line is cut off" in printed
    empty = folder(tmp_path / "empty", [])
    (tmp_path / "empty" / store.FILE).touch()
    assert run_bench.main(["guard", a, empty]) == 2
    assert capsys.readouterr().err == (
        f"error: '{empty}' has no runs, so there is nothing to compare.\n"
    )


def test_who_reads_a_verdict_may_leave(tmp_path) -> None:
    """The exit code stays, and what is to be written is."""
    a = folder(tmp_path / "a", runs(0.01))
    b = folder(tmp_path / "b", runs(0.01, seed=1))
    for flags in ([], ["--json"]):
        out = tmp_path / "summary.md"
        with subprocess.Popen(
            [sys.executable, catalog.ROOT / "run_bench.py", "guard", a, b, *flags],
            stdout=subprocess.PIPE,
            env=os.environ
            | {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(out)},
        ) as running:
            running.stdout.close()
        assert running.returncode == 0
        assert "held" in out.read_text()
        out.unlink()


def test_a_baseline_of_another_machine_measures_nothing(tmp_path, monkeypatch) -> None:
    path = tmp_path / "base.json"
    baseline.save(baseline.from_runs(runs(0.01)).baseline, path)
    monkeypatch.setattr(stored, "_measured", lambda *_: pytest.fail("it measured"))
    result = stored.against_baseline(path, live.guard_request(), tmp_path / "runs")
    assert exit_code(result) == 4
    assert [row.verdict for row in result.rows] == ["not_comparable"]


class Fake:
    """Processes that need no time, and of which the user stops one."""

    def __init__(self, stops_at: int = 0):
        self.executed, self.stops_at = 0, stops_at

    def start(self):
        pass

    def stop(self):
        pass

    def execute(self, verb, trial, effort, seed):
        self.executed += 1
        if self.executed == self.stops_at:
            raise KeyboardInterrupt
        sample = np.random.default_rng(seed).normal(0.01, 1e-4)
        measured = Measured(samples=[float(sample)])
        return Outcome(msgspec.json.encode(measured), None, 1.0)


def test_three_rounds_are_made_whatever_the_budget(monkeypatch, tmp_path) -> None:
    """An interval needs them."""
    monkeypatch.setattr(stored, "executor", Fake)
    monkeypatch.setattr(machine, "HEAVY_SHARE", math.inf)  # none is repeated
    wanted = live.guard_request(["prose"], budget_seconds=0.0)
    lines = []
    wanted = replace(wanted, report_progress=lines.append)
    measured = stored._measured([TRIAL], wanted, tmp_path / "runs")
    assert len(measured) == 3
    assert store.load(tmp_path / "runs")[0] == measured
    total = wanted.sweep.effort.rounds
    assert [line.split()[0] for line in lines] == [f"[{n}/{total}]" for n in (1, 2, 3)]
    assert all(line.endswith(f"k examples/s {TRIAL.key}") for line in lines)


def test_an_interrupt_keeps_every_run_that_had_ended(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(stored, "executor", lambda: Fake(stops_at=3))
    monkeypatch.setattr(machine, "HEAVY_SHARE", math.inf)
    lines, runs = [], tmp_path / "runs"
    with pytest.raises(KeyboardInterrupt):
        stored.save(
            tmp_path / "base.json",
            live.guard_request(["prose"], report_progress=lines.append),
            runs,
        )
    assert len(store.load(runs)[0]) == 2
    assert lines[-1] == f"2 runs stored in {runs}; for guard A B, and for report."
    assert not (tmp_path / "base.json").exists()


def test_a_folder_that_cannot_be_written_is_reported_before_anything_runs(
    monkeypatch, tmp_path
) -> None:
    fake = Fake()
    monkeypatch.setattr(stored, "executor", lambda: fake)
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="Each run is stored there as it ends"):
        stored._measured(
            [TRIAL], live.guard_request(["prose"]), tmp_path / "file" / "runs"
        )
    assert fake.executed == 0
