"""Does this machine, with this suite, tell a slow-down from none? A test that can fail.

A/A comparisons and slow-downs of known size, in real workloads (see `injection`), with
and without a noisy neighbour, each by so many seconds of turns; then how often the
verdicts and intervals were wrong, how far the drain is from one written by hand, and
how much of the time is spent measuring.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from scipy import stats as distributions

from bench import (
    bars,
    evidence,
    guard,
    injection,
    lockstep,
    overhead,
    runner,
    sweeps,
    table,
)
from bench.bars import METRIC, RULES, Bar, Comparison, judged
from bench.catalog import ROOT
from bench.errors import check_writable
from bench.injection import Lengths
from bench.lockstep import Side, Trio
from bench.pipeline import pipeline
from bench.processes import executor
from bench.requests import Executor
from bench.stats import geometric
from bench.trial import Trial

TRIOS = 14  # many and short: processes differ more than the turns of one do
TURN_SECONDS = 10 / TRIOS  # of each trio: ten seconds of turns a comparison
CALIBRATING = 12  # trios
CALIBRATED_FOR = 4  # rounds: what an operation costs moves with the machine's state
SHARE_SWEEP = "quick"


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


CASES = (
    Case("prose", {"order": "batch_map", "batch_size": 256, "cpus": 1}),
    Case("photographs", {"order": "batch_map", "batch_size": 8, "cpus": 1}),
    Case("cifar_augmentation", {"cpus": 1}, "train"),
)


PROCESSES = 5
BIAS = {1000.0: 0.01, 50.0: 0.03}  # microseconds a batch: the largest relative bias


def main(minutes: float, out: Path | None = None, *, as_json: bool = False) -> int:
    """Run the self-test for about so long and print its bars; 1 if one is missed.

    A file that is there already is gone on with.

    Raises:
        UsageError: The file cannot be written, or is no self-test of this machine.
    """
    check_writable(out)
    stop = time.monotonic() + 60 * minutes
    comparisons = bars.read(out)
    try:
        for one in compare(stop, _say, before=len(comparisons)):
            comparisons.append(one)
            bars.write(out, comparisons, [])
    except KeyboardInterrupt:
        print("\nInterrupted: judged by what there is.", file=sys.stderr)
    found = bars.bars(comparisons) + [bias(length) for length in BIAS] + [share()]
    bars.write(out, comparisons, found)
    if as_json:
        print(json.dumps([asdict(bar) for bar in found], indent=2))
    else:
        bars.show(found)
    return 0 if all(bar.held for bar in found) else 1


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def compare(
    stop: float,
    say: Callable[[str], None],
    *,
    cases: Sequence[Case] = CASES,
    before: int = 0,
) -> Iterator[Comparison]:
    """Comparisons in random order until a moment of the monotonic clock.

    Each round has all workloads and changes once, with and without a neighbour, and a
    server of its own. Every few rounds the slow-downs are calibrated once more.

    Args:
        stop: That moment.
        say: Told what was found, a line each.
        cases: What is slowed down.
        before: Comparisons that were made earlier.
    """
    wanted = {(rule.change, rule.neighbour) for rule in RULES}
    with tempfile.TemporaryDirectory(prefix="feedrate-") as folder:
        lengths = Lengths()
        cells = [(case, *cell) for case in cases for cell in sorted(wanted)]
        begun = before // len(cells)
        for number in itertools.count(begun):
            order = random.Random(number).sample(cells, len(cells))
            done = before % len(cells) if number == begun else 0
            server = executor()
            server.start()
            try:
                if (number - begun) % CALIBRATED_FOR == 0:
                    calibrate(lengths, server, cases, Path(folder), say)
                for case, change, noisy in order[done:]:
                    if time.monotonic() > stop:
                        return
                    length = lengths.slower(case.workload, change)
                    sides = _sides(server, case, length, Path(folder))
                    with neighbour() if noisy else contextlib.nullcontext():
                        one = _compared(sides, case.workload, change, noisy, number)
                    verdict, interval = judged(one, 0.03)
                    beside = "beside a neighbour" if noisy else "alone"
                    say(
                        f"{case.workload}, {100 * change:.0f} % slower, {beside}: "
                        f"{interval.estimate:.4f} ({interval.low:.4f} to "
                        f"{interval.high:.4f}), {verdict}"
                    )
                    yield one
            finally:
                server.stop()


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
            base, head = _sides(server, case, length, folder)
            trios = _trios(base, head, CALIBRATING)
            return float(np.exp(np.mean([evidence.head(t, METRIC)[0] for t in trios])))

        found = lengths.calibrate(case.workload, measure)
        say(f"calibrated: {found.length} in a row, {case.workload} {found.ratio:.4f}")


@contextlib.contextmanager
def neighbour(seed: int = 0) -> Iterator[None]:
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


def bias(microseconds: float, pairs: int = 60) -> Bar:
    """The drain against one written by hand, at batches of this length."""
    told = [_told(microseconds, pairs) for _ in range(PROCESSES)]
    logs = [
        distributions.trim_mean(np.log(one["ratios"]), evidence.TRIMMED) for one in told
    ]
    ratio = geometric(np.exp(logs))
    most = BIAS[microseconds]
    length = np.median([one["microseconds"] for one in told])
    return Bar(
        name=f"drain against hand-written, batches of {length:.0f} us",
        wanted=f"within {most:.0%}",
        found=f"{ratio.estimate:.3f} ({ratio.low:.3f} to {ratio.high:.3f})",
        held=1 / (1 + most) <= ratio.estimate <= 1 + most,
    )


def _told(microseconds: float, pairs: int) -> dict:
    done = subprocess.run(
        [sys.executable, "-m", "bench.bias", str(microseconds), str(pairs)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def share() -> Bar:
    """How much of a sweep's wall time is spent in windows, at the default settings."""
    sweep = sweeps.find(SHARE_SWEEP)
    made = runner.rounds(
        sweeps.trials(sweep)[0], executor(), sweep.effort, sweep=sweep.name, seed=0
    )
    found = overhead.measured_share(table.runs_frame(list(made)))
    return Bar(
        name=f"wall time in timed or warm-up windows, sweep {SHARE_SWEEP}",
        wanted=f"at least {overhead.GOAL:.0%}",
        found=f"{found:.0%}",
        held=found >= overhead.GOAL,
    )


def _compared(
    sides: tuple[Side, Side], workload: str, change: float, noisy: bool, seed: int
) -> Comparison:
    start = time.monotonic()
    trios = list(_trios(*sides, TRIOS, seed))
    return Comparison(
        workload=workload,
        change=change,
        neighbour=noisy,
        ratios=[evidence.head(trio, METRIC) for trio in trios],
        controls=[evidence.control(trio, METRIC) for trio in trios],
        seconds=time.monotonic() - start,
    )


def _trios(base: Side, head: Side, count: int, seed: int = 0) -> Iterator[Trio]:
    """So many trios, as the guard takes them; outputs are checked in the first."""
    warmed: dict[str, dict] = {}
    for number in range(count):
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


def _sides(
    server: Executor, case: Case, length: int, folder: Path
) -> tuple[Side, Side]:
    """Base, with the shortest operation, and head, with one of this length."""
    made = []
    for name, long in (("base", injection.LEAST), ("head", length)):
        place = folder / name
        place.mkdir(exist_ok=True)
        path = injection.write(case.workload, long, place)
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
    return made[0], made[1]
