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
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np

from bench.analysis import table
from bench.analysis.intervals import geometric
from bench.catalog import ROOT
from bench.errors import check_writable
from bench.guard import estimate
from bench.plan import sweeps
from bench.run import rounds
from bench.run.executors import executor
from bench.selftest import comparison, criteria, injection, overhead
from bench.selftest.comparison import Case
from bench.selftest.criteria import RULES, Bar, Comparison, decide

RARE = {0.10: 4}  # injected in one round of so many: nobody doubts that it is caught
SHARE_SWEEP = "quick"

# A turn of each takes 5 to 10 ms. What turns meet is forgotten in tens of milliseconds,
# and with four times as many examples a batch (training: twice) the log-ratios of trios
# scatter 1.9 times (training: 1.6 times) as much.
CASES = (
    Case("prose", {"order": "batch_map", "batch_size": 256, "cpus": 1}),
    Case("photographs", {"order": "batch_map", "batch_size": 2, "cpus": 1}),
    Case(
        "cifar_augmentation",
        {"order": "batch_map", "batch_size": 16, "cpus": 1},
        "train",
    ),
)


PROCESSES = 5
OPERATION = 400.0  # microseconds: about what is injected into training
OPERATION_BIAS = 0.03  # the most that it may take more or less, of itself
BIAS = {1000.0: 0.01, 50.0: 0.03}  # microseconds a batch: the most


def main(minutes: float, out: Path | None = None, *, as_json: bool = False) -> int:
    """Run the self-test for about so long and print its bars; 1 if one is missed.

    A file that is there already is gone on with. Whatever ends it before its time, it
    tells the bars of what there is.

    Raises:
        UsageError: The file cannot be written, or is no self-test of this machine.
        RuntimeError: A process of it failed.
    """
    check_writable(out)
    stop = time.monotonic() + 60 * minutes
    comparisons, found = criteria.read(out), []
    try:
        for one in compare(stop, _say, before=tuple(comparisons)):
            comparisons.append(one)
            criteria.write(out, comparisons, [])
        for measure in (operation, *(partial(bias, each) for each in BIAS), share):
            found.append(measure())
    finally:
        found = [*criteria.bars(comparisons), *found]
        criteria.write(out, comparisons, found)
        if as_json:
            print(json.dumps([asdict(bar) for bar in found], indent=2))
        else:
            criteria.show(found)
    return 0 if all(bar.held for bar in found) else 1


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def compare(
    stop: float,
    say: Callable[[str], None],
    *,
    cases: Sequence[Case] = CASES,
    before: Sequence[Comparison] = (),
) -> Iterator[Comparison]:
    """Comparisons in random order until a moment of the monotonic clock.

    Each round has all workloads and changes, with and without a neighbour, and a server
    of its own.

    Args:
        stop: That moment.
        say: Told what was found, a line each.
        cases: What is slowed down.
        before: Comparisons that were made earlier: these are gone on with.
    """
    done, seeds = len(before), itertools.count(len(before))
    with tempfile.TemporaryDirectory(prefix="feedrate-") as folder:
        for number in itertools.count():
            cells = _round(number, cases)
            cells, done = cells[done:], max(0, done - len(cells))
            if not cells:
                continue
            server = executor()
            server.start()
            try:
                for case, change, noisy in cells:
                    if time.monotonic() > stop:
                        return
                    beside = contextlib.nullcontext()
                    if noisy:  # another each time, or all would meet the same bursts
                        beside = comparison.neighbour(next(seeds))
                    with beside:
                        taken = comparison.compare(
                            server, case, change, Path(folder), number
                        )
                    one = Comparison(
                        workload=case.workload, change=change, neighbour=noisy, **taken
                    )
                    say(_told_of(one))
                    yield one
            finally:
                server.stop()


def _round(number: int, cases: Sequence[Case]) -> list[tuple[Case, float, bool]]:
    """What is compared in a round: a case, the change, beside a neighbour or not."""
    wanted = {
        (rule.change, rule.neighbour)
        for rule in RULES
        if number % RARE.get(rule.change, 1) == 0
    }
    cells = [(case, *cell) for case in cases for cell in sorted(wanted)]
    return random.Random(number).sample(cells, len(cells))


def _told_of(one: Comparison) -> str:
    verdict, interval = decide(one, 0.03)
    beside = "beside a neighbour" if one.neighbour else "alone"
    return (
        f"{one.workload}, {100 * criteria.injected(one):.1f} % slower, {beside}: "
        f"{interval.estimate:.4f} ({interval.low:.4f} to {interval.high:.4f}), "
        f"{verdict}"
    )


def operation(microseconds: float = OPERATION, pairs: int = 400) -> Bar:
    """Whether what is injected takes as long as it says."""
    arguments = "operation", microseconds, pairs, injection.LEAST
    answers = [_clockwork(*arguments) for _ in range(PROCESSES)]
    ratios = [estimate.centre(answer["ratios"]) for answer in answers]
    name = f"operation of {microseconds:g} us against what it says"
    return _near(name, ratios, OPERATION_BIAS)


def bias(microseconds: float, pairs: int = 60) -> Bar:
    """The drain against one written by hand, at batches of this length."""
    answers = [_clockwork("drain", microseconds, pairs) for _ in range(PROCESSES)]
    ratios = [np.exp(estimate.centre(np.log(answer["ratios"]))) for answer in answers]
    length = np.median([answer["microseconds"] for answer in answers])
    name = f"drain against hand-written, batches of {length:.0f} us"
    return _near(name, ratios, BIAS[microseconds])


def _near(name: str, ratios: Sequence[float], most: float) -> Bar:
    """A bar on a ratio that ought to be 1; a figure of each process."""
    ratio = geometric(np.array(ratios))
    return Bar(
        name=name,
        wanted=f"within {most:.0%}",
        found=f"{ratio.estimate:.3f} ({ratio.low:.3f} to {ratio.high:.3f})",
        held=1 / (1 + most) <= ratio.estimate <= 1 + most,
    )


def _clockwork(what: str, microseconds: float, pairs: int, *least: float) -> dict:
    """The JSON that a command of `bench.measure.clockwork` prints."""
    arguments = map(str, (what, microseconds, pairs, *least))
    done = subprocess.run(
        [sys.executable, "-m", "bench.measure.clockwork", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"bench.measure.clockwork {what} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def share() -> Bar:
    """How much of a sweep's wall time is spent in windows, at the default settings."""
    sweep = sweeps.find(SHARE_SWEEP)
    made = rounds.rounds(
        sweeps.trials(sweep)[0], executor(), sweep.effort, sweep=sweep.name, seed=0
    )
    found = overhead.measured_share(table.runs_frame(list(made)))
    return Bar(
        name=f"wall time in timed or warm-up windows, sweep {SHARE_SWEEP}",
        wanted=f"at least {overhead.GOAL:.0%}",
        found=f"{found:.0%}",
        held=found >= overhead.GOAL,
    )
