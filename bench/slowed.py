"""A workload beside the same one slowed down: base, head, and the yardstick.

Each comparison takes its turns as the guard does; what was injected is in `injection`.
"""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench import evidence, guard, injection, lockstep
from bench.bars import METRIC
from bench.catalog import ROOT
from bench.injection import Lengths
from bench.lockstep import Side, Trio
from bench.pipeline import pipeline
from bench.requests import Executor
from bench.stats import CONFIDENCE
from bench.trial import Trial

TRIOS = 14  # many and short: processes differ more than the turns of one do
TURN_SECONDS = 10 / TRIOS  # of each trio: ten seconds of turns a comparison
CALIBRATING = 12  # trios
YARDSTICK_EACH = 4  # trios: one of the yardstick: it tells as much as 16 of head's


@dataclass(frozen=True)
class Case:
    """A workload that is slowed down.

    Attributes:
        workload: Its name on the shelf.
        settings: Axes of its pipeline.
        consumer: What pulls the batches.
    """

    workload: str
    settings: dict[str, object]
    consumer: str = "drain"


def calibrate(
    lengths: Lengths,
    server: Executor,
    cases: Sequence[Case],
    folder: Path,
    say: Callable[[str], None],
) -> None:
    """Measure, by lockstep, what the operation in each case's map does to its time."""
    for case in cases:

        def measure(length: int, case: Case = case) -> float:
            base, head, _ = sides(server, case, length, folder)
            trios = _trios(base, head, range(CALIBRATING))
            told = [evidence.head(trio, METRIC) for trio in trios]
            return evidence.interval(told, 1 - CONFIDENCE).estimate

        found = lengths.calibrate(case.workload, measure)
        say(f"calibrated: {found.length} numbers, {case.workload} {found.ratio:.4f}")


def compared(
    sides: tuple[Side, Side, Side], slower: bool, seed: int
) -> dict[str, object]:
    """Trios of base and head; of a slow-down, some of base and yardstick among them.

    Args:
        sides: Base, head and yardstick.
        slower: Whether head has a long operation; without one there is no yardstick.
        seed: Of the first trio.

    Returns:
        What a `bars.Comparison` keeps of it: log-ratios and errors, and the seconds.
    """
    base, head, yardstick = sides
    start = time.monotonic()
    longs = _trios(base, yardstick, itertools.count(), seed)
    trios, measured = [], []
    for number, trio in enumerate(_trios(base, head, range(TRIOS), seed)):
        trios.append(trio)
        if slower and number % YARDSTICK_EACH == 1:
            measured.append(next(longs))
    return {
        "ratios": [evidence.head(trio, METRIC) for trio in trios],
        "controls": [evidence.control(trio, METRIC) for trio in trios],
        "yardstick": [evidence.head(trio, METRIC) for trio in measured],
        "times": injection.TIMES,
        "seconds": time.monotonic() - start,
    }


def sides(
    server: Executor, case: Case, length: int, folder: Path
) -> tuple[Side, Side, Side]:
    """Base, head with an operation of this length, and its yardstick.

    In folders whose names are equally long: a longer path has made text 0.3 % faster.
    """
    made = []
    lengths = (injection.LEAST, length, injection.yardstick(length))
    room = injection.room(length)
    for name, long in zip(("base", "head", "long"), lengths, strict=True):
        place = folder / name
        place.mkdir(exist_ok=True)
        path = injection.write(case.workload, long, place, room)
        made.append(
            Side(
                server,
                Trial(
                    workload=str(path),
                    pipeline=pipeline(case.settings),
                    consumer=case.consumer,
                ),
            )
        )
    return made[0], made[1], made[2]


@contextlib.contextmanager
def neighbour(seed: int) -> Iterator[None]:
    """A noisy process beside what is measured."""
    noisy = subprocess.Popen(
        [sys.executable, "-m", "bench.neighbour", "600", str(seed)],
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
        made = lockstep.trio(
            base,
            head,
            replace(guard.EFFORT, check=number == 0),
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
