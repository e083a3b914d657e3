"""The bar's script for racing: its spaces, and the bar on a machine of known times."""

import argparse
import json
import math
import random
import sys
from pathlib import Path

import msgspec
import pytest

from bench import machine
from bench.commands import run
from bench.plan import plan, sweeps
from bench.race import finals
from bench.run import executors
from bench.run.executors import Outcome
from bench.trial import Effort, Measured, Trial
from results.method import racing as bar


class World:
    """A clock, and an executor of trials that take known time on it."""

    def __init__(self) -> None:
        """At zero."""
        self.now = 0.0

    def perf_counter(self) -> float:
        """Seconds."""
        return self.now

    monotonic = perf_counter

    def start(self) -> None:
        """A server starts."""
        self.now += plan.ROUND_SECONDS

    def stop(self) -> None:
        """It ends at once."""

    def execute(self, verb: str, trial: Trial, effort: Effort, seed: int) -> Outcome:
        """Up to three times as slow as the best, with 3 % of noise."""
        if verb == "prepare":
            traits = {"supports_jit": True, "examples": 1024, "error": None}
            return Outcome(json.dumps(traits).encode(), None, 0.1)
        self.now += plan.run_seconds(effort)
        slower = random.Random(trial.key).uniform(0, math.log(3))
        noise = random.Random(f"{trial.key}/{seed}").gauss(0, 0.03)
        seconds = trial.pipeline.batch_size * 1e-4 * math.exp(slower + noise)
        return Outcome(msgspec.json.encode(Measured(samples=[seconds] * 3)), None, 1.0)


def options(monkeypatch: pytest.MonkeyPatch, *given: str) -> argparse.Namespace:
    """The script's, from a command line."""
    monkeypatch.setattr(sys, "argv", ["racing", *given])
    return bar._options()


@pytest.mark.parametrize("name", bar.SPACES)
def test_each_space_has_at_least_a_hundred_trials_in_one_scene(name: str) -> None:
    """None of them refused."""
    consumer, axes = bar.SPACES[name]
    block = sweeps.Block(workloads=(name,), axes=axes, consumer=consumer)
    made = plan.plan_sweep(
        sweeps.Sweep(name=name, blocks=(block,)), Effort(), 0, 0.0, ""
    )
    assert len(made.trials) >= bar.LEAST_TRIALS
    assert made.refused == {}


def test_minutes_shorten_the_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Down to a fifth of a second, and not their number."""
    free = bar._shortened(Effort(), 120, options(monkeypatch))
    assert free == Effort()
    short = bar._shortened(Effort(), 120, options(monkeypatch, "--minutes", "15"))
    assert (short.rounds, short.steady_seconds) == (5, pytest.approx(0.2, abs=0.02))


def test_the_bar_holds_where_times_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On 108 trials, by the script from end to end; results add up by workload."""
    world, out = World(), tmp_path / "racing.json"
    monkeypatch.setattr(machine, "HEAVY_SHARE", math.inf)
    monkeypatch.setattr(executors, "executor", lambda: world)
    monkeypatch.setattr(finals, "hold", lambda *given: [])  # nobody takes turns in it
    for module in (bar, run):
        monkeypatch.setattr(module, "time", world)
    out.write_text("{}")
    arguments = ("--workload", "photographs", "--folder", str(tmp_path))
    options(monkeypatch, *arguments, "--out", str(out))
    assert bar.main() == 0
    one = json.loads(out.read_text())["photographs"]
    assert (one["trials"], one["exhaustive_runs"]) == (108, 540)
    assert one["race_runs"] < 540 / 2
    assert one["share"] <= 1 / 3
    assert one["ratio"]["estimate"] <= 1.03
    table = out.with_suffix(".md").read_text()
    assert "| photographs (drain) | 108 |" in table
    assert table in capsys.readouterr().out
