"""A workload beside the same one slowed down, by turns as the guard takes them.

What is injected is seconds a batch (see `injection`); which share of the time that is,
the turns of base tell.
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

from bench.catalog import ROOT
from bench.guard import estimate, session, trio
from bench.guard.trio import Side, Trio
from bench.pipeline import pipeline
from bench.run.protocol import Executor
from bench.selftest import injection
from bench.selftest.criteria import METRIC
from bench.trial import Trial

TRIOS = 14  # many and short: processes differ more than the turns of one do
TURN_SECONDS = 10 / TRIOS  # of each trio: ten seconds of turns a comparison


@dataclass(frozen=True)
class Case:
    """A workload that is slowed down.

    Attributes:
        workload: Its name on the shelf.
        settings: Axes of its pipeline, whose layers are called once a batch.
        consumer: What pulls the batches.
    """

    workload: str
    settings: dict[str, object]
    consumer: str = "drain"


def compare(
    server: Executor, case: Case, change: float, folder: Path, seed: int
) -> dict[str, object]:
    """Trios of base and head, after one of base alone.

    How long a batch takes moves by a third within a minute, so what is injected into a
    trio is a share of what a batch took in the one before.

    Args:
        server: Started.
        case: What is slowed down.
        change: The share of its time that head shall take more, such as 0.05.
        folder: For the files.
        seed: Of the first trio.

    Returns:
        What a `bars.Comparison` keeps of it: log-ratios and errors, and the seconds.
    """
    start = time.monotonic()
    base, head = (side(server, case, folder / name) for name in ("base", "head"))
    usual = batch_seconds(base) if change else 0.0
    taken = _trios(base, head, range(TRIOS), seed)
    trios, more = [], []
    for _ in range(TRIOS):
        more.append(change * usual)
        injection.lengthen(Path(head.trial.workload), more[-1])
        trios.append(next(taken))
        usual = _batch_seconds(trios[-1])
    return {
        "shares": [share(trio, one) for trio, one in zip(trios, more, strict=True)],
        "ratios": [estimate.head(trio, METRIC) for trio in trios],
        "controls": [estimate.control(trio, METRIC) for trio in trios],
        "seconds": time.monotonic() - start,
    }


def share(trio: Trio, more: float) -> float:
    """What the log-ratio of head should be, by the turns of both bases.

    The centre of what log-ratios of base to base would be if one of the two had taken
    so much longer, less what it is: it weighs fast and slow turns as the estimate does.

    Args:
        trio: Its turns.
        more: Seconds a batch that head took longer.
    """
    bases = np.array([[turn.seconds for turn in row[:2]] for row in trio.turns]).T
    told = [
        estimate.centre(np.log((one + more) / other))
        - estimate.centre(np.log(one / other))
        for one, other in (bases, bases[::-1])
    ]
    return float(np.mean(told))


def batch_seconds(base: Side) -> float:
    """How long a batch of a case takes now, by one trio."""
    (trio,) = _trios(base, base, range(1))
    return _batch_seconds(trio)


def _batch_seconds(trio: Trio) -> float:
    """Of base and its control, which ran the same."""
    taken = [turn.seconds for turns in trio.turns for turn in turns[:2]]
    return float(np.median(taken))


def side(server: Executor, case: Case, place: Path) -> Side:
    """A case with an operation that takes no longer than it must, until it is said.

    In folders whose names are equally long: a longer path has made text 0.3 % faster.
    """
    place.mkdir(exist_ok=True)
    path = injection.write(case.workload, 0.0, place)
    trial = Trial(
        workload=str(path), pipeline=pipeline(case.settings), consumer=case.consumer
    )
    return Side(server, trial)


@contextlib.contextmanager
def neighbour(seed: int) -> Iterator[None]:
    """A noisy process beside what is measured."""
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
    """Trios of these numbers, as the guard takes them; the first checks outputs."""
    warmed: dict[str, dict] = {}
    for number in numbers:
        made = trio.trio(
            base,
            head,
            replace(session.EFFORT, check=number == 0),
            seconds=TURN_SECONDS,
            seed=seed,
            number=number,
            warmed=warmed,
        )
        if made.failures:
            role, failure = next(iter(made.failures.items()))
            raise RuntimeError(f"{role} failed: {failure.type}: {failure.message}")
        warmed = warmed or made.warmed
        yield made
