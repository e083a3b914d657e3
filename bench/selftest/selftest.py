"""This module tests whether the suite can detect slow-downs on this machine.

The self-test compares real workloads with themselves, with injected slow-downs of known
size (see `injection`) and without, beside a noisy neighbour and alone. It checks how
often verdicts and intervals are wrong. It also compares the drain with a loop written
by hand, and measures which share of a sweep's wall time goes into windows:

    measured share = sum of windows / sum of the runs' seconds

over all runs, failed runs included. A run's seconds go from the request for its process
to the end of that process, so the start of a round's server does not count. Windows are
the phases in which the consumer pulls batches: the first batch, the filling of caches,
calibration, ramp and steady phase. Adapting, building, tracing and preprocessing
beforehand are reported, but are no windows. The rest is the overhead of the suite.
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
import pandas as pd

from bench.analysis import table
from bench.analysis.intervals import geometric
from bench.errors import Exit, check_writable
from bench.guard import estimate
from bench.plan import sweeps
from bench.run import rounds
from bench.run.executors import executor
from bench.selftest import comparison, criteria, injection
from bench.selftest.comparison import Case
from bench.selftest.criteria import RULES, Bar, Comparison, decide
from bench.shell import ROOT
from bench.trial import phases_of

RARE = {0.10: 4}  # this change, easy to detect, is injected in one round of four
SHARE_SWEEP, LEAST_SHARE = "quick", 0.7
WINDOWS = phases_of("window")

# Turns of 5 to 10 ms: the machine's state changes within tens of milliseconds, so that
# longer turns scatter more; see results/method/README.md.
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
OPERATION = 400.0  # microseconds: about as much as is injected into training
OPERATION_BIAS = 0.03  # the largest deviation, as a share
BIAS = {1000.0: 0.01, 50.0: 0.03}  # the largest deviation, by microseconds a batch


def main(minutes: float, out: Path | None = None, *, as_json: bool = False) -> int:
    """Run the self-test and print its bars (requirements), also if it is interrupted.

    Args:
        minutes: About how long to compare.
        out: The file of the comparisons; the self-test continues those that it holds.
        as_json: Whether to print JSON in place of a table.

    Returns:
        The exit code: 0 if every bar is met, else 1.

    Raises:
        UsageError: The file cannot be written, or is no self-test of this machine.
        RuntimeError: A process of the self-test failed.
    """
    check_writable(out)
    stop = time.monotonic() + 60 * minutes
    comparisons, bars = criteria.read(out), []
    try:
        for result in compare(stop, _print, before=tuple(comparisons)):
            comparisons.append(result)
            criteria.write(out, comparisons, [])
        for measure in (operation, *(partial(bias, length) for length in BIAS), share):
            bars.append(measure())
    finally:
        bars = [*criteria.bars(comparisons), *bars]
        criteria.write(out, comparisons, bars)
        if as_json:
            print(json.dumps([asdict(bar) for bar in bars], indent=2))
        else:
            criteria.show(bars)
    return Exit.OK if all(bar.held for bar in bars) else Exit.NO


def _print(line: str) -> None:
    print(line, file=sys.stderr)


def compare(
    stop: float,
    report: Callable[[str], None],
    *,
    cases: Sequence[Case] = CASES,
    before: Sequence[Comparison] = (),
) -> Iterator[Comparison]:
    """Yield comparisons in random order until a moment of the monotonic clock.

    Each round has all workloads and slow-downs, with and without a noisy process beside
    them, and a fork server of its own.

    Args:
        stop: The moment to stop, in seconds of the monotonic clock.
        report: Receives a line about each comparison.
        cases: The workloads that are slowed down.
        before: Earlier comparisons, which are not repeated.
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
                    if noisy:  # with a new seed, or all would meet the same bursts
                        beside = comparison.neighbour(next(seeds))
                    with beside:
                        figures = comparison.compare(
                            server, case, change, Path(folder), number
                        )
                    result = Comparison(
                        workload=case.workload,
                        change=change,
                        neighbour=noisy,
                        **figures,
                    )
                    report(_line(result))
                    yield result
            finally:
                server.stop()


def _round(number: int, cases: Sequence[Case]) -> list[tuple[Case, float, bool]]:
    """Return a round's comparisons: case, slow-down, whether a noisy process runs."""
    changes = {
        (rule.change, rule.neighbour)
        for rule in RULES
        if number % RARE.get(rule.change, 1) == 0
    }
    cells = [(case, *cell) for case in cases for cell in sorted(changes)]
    return random.Random(number).sample(cells, len(cells))


def _line(result: Comparison) -> str:
    verdict, interval = decide(result, 0.03)
    beside = "beside a neighbour" if result.neighbour else "alone"
    return (
        f"{result.workload}, {100 * criteria.injected(result):.1f} % slower, {beside}: "
        f"{interval.estimate:.4f} ({interval.low:.4f} to {interval.high:.4f}), "
        f"{verdict}"
    )


def operation(microseconds: float = OPERATION, pairs: int = 400) -> Bar:
    """Check that the injected operation takes as long as it should.

    The result is a bar (requirement) with the measured ratio.
    """
    arguments = "operation", microseconds, pairs, injection.LEAST
    answers = [_clockwork(*arguments) for _ in range(PROCESSES)]
    ratios = [estimate.centre(answer["ratios"]) for answer in answers]
    name = f"duration of an operation of {microseconds:g} us"
    return _near(name, ratios, OPERATION_BIAS)


def bias(microseconds: float, pairs: int = 60) -> Bar:
    """Check that the drain takes as long as a loop written by hand.

    The result is a bar (requirement) with the measured ratio.

    Args:
        microseconds: The duration of a batch, in microseconds.
        pairs: How often each process times the drain and the loop.
    """
    answers = [_clockwork("drain", microseconds, pairs) for _ in range(PROCESSES)]
    ratios = [np.exp(estimate.centre(np.log(answer["ratios"]))) for answer in answers]
    length = np.median([answer["microseconds"] for answer in answers])
    name = f"drain against hand-written, batches of {length:.0f} us"
    return _near(name, ratios, BIAS[microseconds])


def _near(name: str, ratios: Sequence[float], most: float) -> Bar:
    """Return a requirement that a ratio is near 1, from one ratio for each process."""
    ratio = geometric(np.array(ratios))
    return Bar(
        name=name,
        wanted=f"within {most:.0%}",
        found=f"{ratio.estimate:.3f} ({ratio.low:.3f} to {ratio.high:.3f})",
        held=1 / (1 + most) <= ratio.estimate <= 1 + most,
    )


def _clockwork(what: str, microseconds: float, pairs: int, *least: float) -> dict:
    """Return the JSON that a command of `bench.measure.clockwork` prints."""
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
    """Check that a sweep pulls batches for most of its time.

    The result is a bar (requirement) with the measured share.
    """
    sweep = sweeps.find(SHARE_SWEEP)
    runs = rounds.rounds(
        sweeps.trials(sweep)[0], executor(), sweep.effort, sweep=sweep.name, seed=0
    )
    measured = measured_share(table.runs_frame(list(runs)))
    return Bar(
        name=f"wall time in timed or warm-up windows, sweep {SHARE_SWEEP}",
        wanted=f"at least {LEAST_SHARE:.0%}",
        found=f"{measured:.0%}",
        held=measured >= LEAST_SHARE,
    )


def measured_share(runs: pd.DataFrame) -> float:
    """Return the share of the runs' time in which batches are pulled, from 0 to 1.

    Args:
        runs: The table from `table.runs_frame`.

    Returns:
        The share; NaN without runs.
    """
    windows = runs[[f"{name}_seconds" for name in WINDOWS]].astype(float).sum(axis=1)
    total = runs["run_seconds"].sum()
    return float(windows.sum() / total) if total > 0 else float("nan")
