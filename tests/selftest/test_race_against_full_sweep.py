"""The race against the full sweep: its spaces, and a machine of known times."""

import argparse
import json
import math
import random
import sys
from pathlib import Path

import msgspec
import pytest

from bench import machine
from bench.plan import plan, sweeps
from bench.race import race as races
from bench.race import sweep_runs
from bench.run import executors
from bench.run.executors import Outcome
from bench.selftest import race_against_full_sweep
from bench.trial import Effort, Measured, Trial


class World:
    """A world is a clock, and an executor of trials that take known time."""

    def __init__(self) -> None:
        """Start the clock at zero."""
        self.now = 0.0

    def perf_counter(self) -> float:
        """Return seconds."""
        return self.now

    monotonic = perf_counter

    def start(self) -> None:
        """Let a server start."""
        self.now += plan.ROUND_SECONDS

    def stop(self) -> None:
        """End the server at once."""

    def execute(self, verb: str, trial: Trial, effort: Effort, seed: int) -> Outcome:
        """Take up to three times as long as the best trial, with 3 % of noise."""
        if verb == "prepare":
            traits = {"supports_jit": True, "examples": 1024, "error": None}
            return Outcome(json.dumps(traits).encode(), None, 0.1)
        self.now += plan.run_seconds(effort)
        slower = random.Random(trial.key).uniform(0, math.log(3))
        noise = random.Random(f"{trial.key}/{seed}").gauss(0, 0.03)
        seconds = trial.pipeline.batch_size * 1e-4 * math.exp(slower + noise)
        return Outcome(msgspec.json.encode(Measured(samples=[seconds] * 3)), None, 1.0)


def options(monkeypatch: pytest.MonkeyPatch, *words: str) -> argparse.Namespace:
    """Parse the program's options."""
    monkeypatch.setattr(sys, "argv", ["race", *words])
    return race_against_full_sweep._options()


@pytest.mark.parametrize("name", race_against_full_sweep.SPACES)
def test_each_space_has_at_least_a_hundred_trials_in_one_scene(name: str) -> None:
    """No trial is refused."""
    consumer, axes = race_against_full_sweep.SPACES[name]
    block = sweeps.Block(workloads=(name,), axes=axes, consumer=consumer)
    planned = plan.plan_sweep(
        sweeps.Sweep(name=name, blocks=(block,)), Effort(), 0, 0.0, ""
    )
    assert len(planned.trials) >= race_against_full_sweep.LEAST_TRIALS
    assert planned.refused == {}


def test_minutes_shorten_the_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The steady time shrinks to a fifth of a second; the number of rounds stays."""
    free = race_against_full_sweep._shortened(Effort(), 120, options(monkeypatch))
    assert free == Effort()
    short = race_against_full_sweep._shortened(
        Effort(), 120, options(monkeypatch, "--minutes", "15")
    )
    assert (short.rounds, short.steady_seconds) == (5, pytest.approx(0.2, abs=0.02))


def test_the_race_passes_where_times_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The program runs from end to end on 108 trials."""
    world, out = World(), tmp_path / "racing.json"
    monkeypatch.setattr(machine, "HEAVY_SHARE", math.inf)
    monkeypatch.setattr(executors, "executor", lambda: world)
    monkeypatch.setattr(races, "run_last_round", lambda *arguments: [])  # no turns here
    for module in (race_against_full_sweep, sweep_runs):
        monkeypatch.setattr(module, "time", world)
    out.write_text("{}")
    arguments = ("--workload", "photographs", "--folder", str(tmp_path))
    options(monkeypatch, *arguments, "--out", str(out))
    assert race_against_full_sweep.main() == 0
    result = json.loads(out.read_text())["photographs"]
    assert (result["trials"], result["exhaustive_runs"]) == (108, 540)
    assert result["race_runs"] < 540 / 2
    assert result["share"] <= 1 / 3
    assert result["ratio"]["estimate"] <= 1.03
    table = out.with_suffix(".md").read_text()
    assert "| photographs (drain) | 108 |" in table
    assert table in capsys.readouterr().out
