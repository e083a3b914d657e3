"""Stored baselines and result folders: compared where they may be, else said why."""

import json
import math
from dataclasses import replace

import factory
import numpy as np
import pytest
from scipy.stats import t

import run_bench
from bench import baseline, compare, guard_settings, machine, store, stored
from bench.errors import UsageError
from bench.guarded import exit_code
from bench.trial import Failure

TRIAL = factory.trial("vectorized")
OTHER = factory.trial("naive")
LIMITS = guard_settings.Settings().thresholds


def runs(seconds: float, trial=TRIAL, seed: int = 0, **fields):
    return factory.runs(
        {trial: seconds}, rounds=9, run_noise=0.004, seed=seed, **fields
    )


def judged(base, head, **settings):
    kept, _ = baseline.of(base)
    now, failed = baseline.of(head)
    limits = {key: LIMITS(key) for key in kept.trials}
    return baseline.judge(kept, now, failed, limits, alpha=0.05, **settings)


@pytest.mark.parametrize(
    ("seconds", "verdict"),
    [(0.01, "unchanged"), (0.011, "slower"), (0.009, "faster"), (0.0103, "unknown")],
)
def test_ratios_of_runs_have_verdicts(seconds: float, verdict: str) -> None:
    (row,), notes = judged(runs(0.01), runs(seconds, seed=1))
    assert row.verdict == verdict
    assert row.ratio == pytest.approx(seconds / 0.01, rel=0.01)
    assert (row.count, notes) == (9, [])


def test_what_is_gone_or_fails_is_a_row_and_what_is_new_a_note() -> None:
    base = runs(0.01) + runs(0.01, OTHER)
    error = Failure(type="ValueError", message="no", phase="check")
    head = [factory.run(OTHER, error=error), *runs(0.01, factory.trial("prefetched"))]
    rows, notes = judged(base, head)
    assert {row.key: (row.verdict, row.cause) for row in rows} == {
        TRIAL.key: ("missing", "it is in the baseline and was not run now"),
        OTHER.key: ("failed", "ValueError: no"),
    }
    new = factory.trial("prefetched").key
    assert notes == [f"Not in the baseline, so not judged: {new}."]


def test_other_machines_inputs_and_pipelines_are_not_compared() -> None:
    other = dict(factory.MACHINE, cpu="another")
    (row,), _ = judged(runs(0.01), runs(0.01, machine=other))
    assert (row.verdict, row.cause) == (
        "not_comparable",
        "the baseline is from another machine or other versions",
    )
    (row,), _ = judged(
        runs(0.01, input_fingerprint="a"), runs(0.01, input_fingerprint="b")
    )
    assert row.cause == "the inputs differ"
    moved = [replace(run, key=TRIAL.key, trial=OTHER) for run in runs(0.01, OTHER)]
    (row,), _ = judged(runs(0.01), moved)
    assert row.cause == "the whole pipeline behind this key differs"


def test_a_named_trial_may_stand_for_the_machines_speed() -> None:
    """All is twice as slow there, and the other trial 10 % slower besides."""
    other = dict(factory.MACHINE, cpu="another")
    base = runs(0.01) + runs(0.02, OTHER)
    head = runs(0.02, seed=1, machine=other) + runs(0.044, OTHER, seed=2, machine=other)
    (row,), notes = judged(base, head, scale_by=TRIAL.key)
    assert (row.key, row.verdict) == (OTHER.key, "slower")
    assert row.ratio == pytest.approx(1.1, rel=0.02)
    assert notes[0].startswith("Times are divided by 2")
    with pytest.raises(UsageError, match="it must be a trial of the baseline"):
        judged(base, head, scale_by="nosuch")


def test_few_noisy_runs_of_the_scale_widen_the_interval() -> None:
    """The scale is an estimate too: its error is in every interval that it divides."""
    other = dict(factory.MACHINE, cpu="another")
    base, head = runs(0.02, OTHER), runs(0.02, OTHER, seed=2, machine=other)

    def width(noise: float) -> float:
        few = factory.runs({TRIAL: 0.01}, rounds=3, run_noise=noise, seed=3)
        now = factory.runs(
            {TRIAL: 0.01}, rounds=3, run_noise=noise, seed=4, machine=other
        )
        (row,), _ = judged(base + few, head + now, scale_by=TRIAL.key)
        return np.log(row.high / row.low)

    same = [replace(run, machine=factory.MACHINE) for run in head]
    (row,), _ = judged(base, same)
    alone = np.log(row.high / row.low)
    assert width(1e-6) == pytest.approx(alone, rel=0.01)
    assert width(0.05) > 5 * alone


def test_intervals_over_a_scale_miss_as_often_as_they_say() -> None:
    """A difference of 0 with 3 runs a side, the scale's runs the noisier: 5 % missed.

    With the scale taken as exact it was 23 %.
    """
    rng, missed, times = np.random.default_rng(0), 0, 1000
    for _ in range(times):
        both = [
            baseline.Difference(*compare.welch(*rng.normal(0, noise, (2, 3))))
            for noise in (0.01, 0.02)
        ]
        found = baseline.scaled(*both)
        missed += abs(found.estimate) > t.ppf(0.975, found.freedom) * found.error
    assert missed / times < 0.065


def p95(samples: int, batches: int = 20, seed: int = 0):
    return factory.runs(
        {TRIAL: 0.01}, samples=samples, seed=seed, batches_per_sample=batches
    )


@pytest.mark.parametrize(
    ("head", "cause"),
    [
        (
            p95(100),
            "a run has 12 windows in base and 100 in head, and a 95th percentile "
            "depends on that number",
        ),
        (
            p95(12, batches=8),
            "a run has 20 batches in a window in base and 8 in head, and a 95th "
            "percentile depends on that number",
        ),
        (p95(14, batches=24, seed=1), ""),
    ],
)
def test_95th_percentiles_of_unlike_windows_are_not_compared(head, cause) -> None:
    sides = [baseline.of(made)[0] for made in (p95(12), head)]
    limits = {TRIAL.key: {"latency_p95": 0.2, "seconds_per_example": 0.2}}
    (of_windows, of_times), _ = baseline.judge(*sides, {}, limits, alpha=0.05)
    assert of_windows.cause == cause
    assert of_windows.verdict == ("not_comparable" if cause else "unchanged")
    assert of_times.verdict == "unchanged"
    older = replace(sides[0].trials[TRIAL.key], windows=[])
    older = replace(sides[0], trials={TRIAL.key: older})
    (row, _), _ = baseline.judge(older, sides[1], {}, limits, alpha=0.05)
    assert row.cause == (
        "the baseline does not say how many windows it rests on: save it anew"
    )


def test_changed_outputs_are_said() -> None:
    base = runs(0.01, output_fingerprint="a")
    (row,), _ = judged(base, runs(0.01, seed=1, output_fingerprint="b"))
    assert row.output_changed


def test_a_baseline_is_stored_and_read(tmp_path) -> None:
    made, _ = baseline.of(runs(0.01))
    baseline.save(made, tmp_path / "base.json")
    assert baseline.load(tmp_path / "base.json") == made


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not a baseline: "),
        ('{"started": 1}', "is not a baseline: "),
        (
            '{"schema": 9, "started": "", "machine": {}}',
            "has schema 9, and this version reads 1: save it anew.",
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


def folder(path, made):
    path.mkdir()
    for run in made:
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
    assert run_bench.main(["guard", a, c]) == 5
    assert "missing" in capsys.readouterr().out


def test_a_baseline_of_another_machine_measures_nothing(tmp_path, monkeypatch) -> None:
    made, _ = baseline.of(runs(0.01))
    path = tmp_path / "base.json"
    baseline.save(made, path)
    monkeypatch.setattr(stored, "_measured", lambda *_: pytest.fail("it measured"))
    from bench import live

    found = stored.against_baseline(path, live.wanted())
    assert exit_code(found) == 4
    assert [row.verdict for row in found.rows] == ["not_comparable"]


def test_three_rounds_are_made_whatever_the_budget(monkeypatch) -> None:
    """An interval needs them."""
    from bench import live, processes

    class Fake:
        def start(self):
            pass

        def stop(self):
            pass

        def execute(self, verb, trial, effort, seed):
            import msgspec

            from bench.requests import Outcome
            from bench.trial import Measured

            sample = np.random.default_rng(seed).normal(0.01, 1e-4)
            found = Measured(samples=[float(sample)])
            return Outcome(msgspec.json.encode(found), None, 1.0)

    monkeypatch.setattr(stored, "executor", Fake)
    monkeypatch.setattr(machine, "HEAVY_SHARE", math.inf)  # none is repeated
    wanted = live.wanted(["prose"], budget_seconds=0.0)
    told = []
    wanted = replace(wanted, said=told.append)
    assert len(stored._measured([TRIAL], wanted)) == 3
    total = wanted.sweep.effort.rounds
    assert [line.split()[0] for line in told] == [f"[{n}/{total}]" for n in (1, 2, 3)]
    assert all(line.endswith(f"k examples/s {TRIAL.key}") for line in told)
    assert processes.executor is not Fake
