"""This module compares a workload with its slowed version, by turns as the guard does.

The injected slow-down is a number of seconds a batch (see `injection`). The turns of
base show which share of a batch's time that is. A trio is three processes that take
turns: base, control (the code of base again) and head, which is slowed.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bench.guard import estimate, session, trio
from bench.guard.trio import Side, Trio
from bench.pipeline import pipeline
from bench.run.protocol import Executor
from bench.selftest import injection
from bench.selftest.criteria import METRIC
from bench.shell import ROOT
from bench.trial import Trial

TRIOS = 14  # many short trios: processes differ more than the turns of a process
TURN_SECONDS = 10 / TRIOS  # of each trio; a comparison has ten seconds of turns


@dataclass(frozen=True)
class Case:
    """A case is a workload that is slowed down, with its pipeline and consumer.

    Attributes:
        workload: The name of the workload on the shelf.
        settings: The values of the pipeline's axes, with which its layers are called
            once a batch.
        consumer: The consumer of the batches.
    """

    workload: str
    settings: dict[str, object]
    consumer: str = "drain"


def compare(
    server: Executor, case: Case, change: float, folder: Path, seed: int
) -> dict[str, object]:
    """Compare base with a slowed head, by trios of processes that take turns.

    The time of a batch varies by a third within a minute, so the slow-down of a trio is
    a share of the time that a batch took in the previous trio.

    Args:
        server: A started executor.
        case: The workload that is slowed down.
        change: The share of its time by which head should be slower, such as 0.05.
        folder: The folder of the workloads' files.
        seed: The seed of the order of turns.

    Returns:
        The measured fields of a `criteria.Comparison`.
    """
    start = time.monotonic()
    base, head = (side(server, case, folder / name) for name in ("base", "head"))
    usual = batch_seconds(base) if change else 0.0
    measured = _trios(base, head, range(TRIOS), seed)
    trios, injected = [], []
    for _ in range(TRIOS):
        injected.append(change * usual)
        injection.lengthen(Path(head.trial.workload), injected[-1])
        trios.append(next(measured))
        usual = _batch_seconds(trios[-1])
    return {
        "shares": [share(*pair) for pair in zip(trios, injected, strict=True)],
        "ratios": [estimate.head_log_ratio(trio, METRIC) for trio in trios],
        "controls": [estimate.control_log_ratio(trio, METRIC) for trio in trios],
        "seconds": time.monotonic() - start,
    }


def share(trio: Trio, injected: float) -> float:
    """Return the log of the ratio of head to base that a slow-down should cause.

    The function lengthens the turns of base, and then those of control, by the injected
    time. The change of the centre of their log-ratios is the expected log-ratio: this
    weighs fast and slow turns as the guard's estimate does.

    Args:
        trio: The turns of three processes.
        injected: The seconds a batch that head takes longer.
    """
    sides = np.array([[turn.seconds for turn in row[:2]] for row in trio.turns]).T
    changes = [
        estimate.centre(np.log((slowed + injected) / other))
        - estimate.centre(np.log(slowed / other))
        for slowed, other in (sides, sides[::-1])
    ]
    return float(np.mean(changes))


def batch_seconds(base: Side) -> float:
    """Measure, by one trio of processes, how many seconds a batch takes now."""
    (trio,) = _trios(base, base, range(1))
    return _batch_seconds(trio)


def _batch_seconds(trio: Trio) -> float:
    """Return the median turn of base and control, in seconds a batch.

    The code of both is the same.
    """
    return float(np.median([turn.seconds for row in trio.turns for turn in row[:2]]))


def side(server: Executor, case: Case, folder: Path) -> Side:
    """Write a case's file, and return the side (process and trial) that measures it.

    The injected operation has its shortest duration. The folders of two sides need
    names of equal length: a longer path has made text 0.3 % faster.
    """
    folder.mkdir(exist_ok=True)
    path = injection.write(case.workload, 0.0, folder)
    trial = Trial(
        workload=str(path), pipeline=pipeline(case.settings), consumer=case.consumer
    )
    return Side(server, trial)


@contextlib.contextmanager
def neighbour(seed: int) -> Iterator[None]:
    """Run a program that uses the processors in bursts, while the block runs."""
    noisy = subprocess.Popen(
        [sys.executable, "-m", "bench.selftest.neighbour", "600", str(seed)],
        stdin=subprocess.PIPE,
        cwd=ROOT,
    )
    try:
        yield
    finally:
        noisy.stdin.close()
        noisy.wait()


def _trios(
    base: Side, head: Side, numbers: Iterable[int], seed: int = 0
) -> Iterator[Trio]:
    """Yield trios: the timed turns of base, control and head, measured as by the guard.

    Only the trio of number 0 checks the outputs of its pipelines.
    """
    preparation: dict[str, dict] = {}
    for number in numbers:
        result = trio.run_trio(
            base,
            head,
            replace(session.EFFORT, check=number == 0),
            seconds=TURN_SECONDS,
            seed=seed,
            number=number,
            preparation=preparation,
        )
        if result.failures:
            role, failure = next(iter(result.failures.items()))
            raise RuntimeError(f"{role} failed: {failure.type}: {failure.message}")
        preparation = preparation or result.preparation
        yield result
