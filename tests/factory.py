"""Synthetic runs with known effects, for tests of everything that reads runs."""

from collections.abc import Sequence

import numpy as np

from bench.pipeline import STRATEGIES, Pipeline
from bench.trial import Effort, Failure, Measured, Run, Trial

MACHINE = {
    "host": "testbed",
    "system": "Linux-6.1-x86_64",
    "cpu": "Example CPU 3.0 GHz",
    "cpu_count": 4,
    "memory_bytes": 8 * 2**30,
    "governor": "performance",
    "gpus": [],
    "python": "3.11.9",
    "tensorflow": "2.21.0",
    "keras": "3.15.1",
    "numpy": "2.4.0",
    "git_commit": "0123456789abcdef",
    "git_dirty": False,
}
PHASES = {
    "adapt": 0.2,
    "trace": 0.5,
    "first_batch": 0.05,
    "fill": 0.02,
    "ramp": 0.4,
    "steady": 1.0,
}


def trial(strategy: str = "naive", workload: str = "prose", **settings) -> Trial:
    """Return a trial of a strategy; `settings` are fields of Trial or Pipeline."""
    own = {n: settings.pop(n) for n in ("consumer", "unit", "data") if n in settings}
    axes = {**STRATEGIES[strategy], **settings}
    return Trial(workload=workload, pipeline=Pipeline(**axes), **own)


def run(
    trial: Trial,
    samples: Sequence[float] = (0.01, 0.0101, 0.0099),
    *,
    round: int = 0,
    error: Failure | None = None,
    machine: dict | None = None,
    conditions: dict | None = None,
    sweep: str = "quick",
    **measured,
) -> Run:
    """Return a run; `measured` are fields of Measured."""
    if error is None:
        facts = {
            "samples": [float(sample) for sample in samples],
            "batches_per_sample": 20,
            "phases": PHASES,
            "overhead": {"fork": 0.01, "tensorflow": 0.2},
            "cpu_seconds_per_example": 1e-4,
            "peak_resident_bytes": 5 * 10**8,
            "start_resident_bytes": 3 * 10**8,
            **measured,
        }
    else:
        facts = {"error": error, **measured}
    return Run(
        key=trial.key,
        trial=trial,
        sweep=sweep,
        round=round,
        position=0,
        seed=1,
        effort=Effort(rounds=5),
        started="2025-01-01T00:00:00+00:00",
        seconds=2.0,
        machine=MACHINE if machine is None else machine,
        conditions=conditions or {"load_at_start": 0.1, "foreign_cpu_share": 0.01},
        measured=Measured(**facts),
    )


def runs(
    seconds: dict[Trial, float],
    *,
    rounds: int = 5,
    samples: int = 12,
    run_noise: float = 0.01,
    round_noise: float = 0.0,
    seed: int = 0,
    **fields,
) -> list[Run]:
    """Return runs of several trials whose true seconds a batch are known.

    Args:
        seconds: The true seconds a batch of each trial.
        rounds: The number of runs of each trial.
        samples: The number of samples of each run.
        run_noise: The relative standard deviation between runs.
        round_noise: The relative standard deviation between rounds; all trials of a
            round share its noise.
        seed: The seed of the noise.
        fields: Further arguments of `run`.
    """
    rng = np.random.default_rng(seed)
    all_runs = []
    for round_number in range(rounds):
        drift = rng.normal(0, round_noise)
        for one, true in seconds.items():
            level = np.log(true) + drift + rng.normal(0, run_noise)
            series = np.exp(level + rng.normal(0, run_noise / 2, samples))
            all_runs.append(run(one, series, round=round_number, **fields))
    return all_runs
