"""Does this machine, with this suite, tell a slow-down from none? A test that can fail.

A/A comparisons and slow-downs of known size, in real workloads (see `injection`), with
and without a noisy neighbour, each by so many seconds of turns; then how often the
verdicts and intervals were wrong, how far the drain is from one written by hand, and
how much of the time is spent measuring.
"""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from bench import evidence, guard, injection, lockstep, overhead, runner, sweeps, table
from bench.catalog import ROOT
from bench.injection import Calibrated
from bench.lockstep import Side
from bench.pipeline import pipeline
from bench.processes import executor
from bench.requests import Executor
from bench.stats import Interval
from bench.trial import Effort, Trial
from bench.watch import Watch

METRIC = "seconds_per_example"
CONFIDENCE = 0.95
TRIOS = 5
TURN_SECONDS = 2.0  # of each trio: ten seconds of turns a comparison
CALIBRATING = 4  # trios
ENOUGH = 60  # comparisons from which a bar is taken as it stands
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
    Case("prose", {"order": "batch_map", "batch_size": 256}),
    Case("photographs", {"order": "batch_map", "batch_size": 8}),
    Case("cifar_augmentation", {}, "train"),
)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One comparison: what was injected, and what each trio said.

    Attributes:
        workload: Which case.
        change: The slow-down that was injected, such as 0.05.
        neighbour: Whether a noisy one ran beside it.
        ratios: Log-ratio of head and its error, a pair a trio.
        controls: The same of base against base.
        seconds: How long it took in all.
    """

    workload: str
    change: float
    neighbour: bool
    ratios: list[tuple[float, float]]
    controls: list[tuple[float, float]]
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Bar:
    """What must hold, and what was found.

    Attributes:
        name: In words.
        wanted: The bar, in words.
        found: In words, with the interval of a share.
        held: Whether it holds, or the comparisons are too few to say that it does not.
    """

    name: str
    wanted: str
    found: str
    held: bool


@dataclass(frozen=True)
class Rule:
    """A bar on a share of comparisons: of those slowed by `change`, called slower.

    Attributes:
        change: Injected.
        margin: Of the verdict.
        neighbour: Beside a noisy one or not.
        least: The least share that must be called slower; None where `most` is.
        most: The largest share that may be.
    """

    change: float
    margin: float
    neighbour: bool
    least: float | None = None
    most: float | None = None


RULES = (
    Rule(0.0, 0.03, False, most=1 / 72),
    Rule(0.05, 0.03, False, least=70 / 72),
    Rule(0.0, 0.01, False, most=2 / 72),
    Rule(0.02, 0.01, False, least=60 / 72),
    Rule(0.0, 0.03, True, most=2 / 72),
    Rule(0.05, 0.03, True, least=65 / 72),
)
COVERAGE = 0.90
BIAS = {1000.0: 0.01, 50.0: 0.03}  # microseconds a batch: the largest relative bias
Judge = Callable[[Comparison, float], tuple[str, Interval]]


def main(minutes: float, out: Path | None = None) -> int:
    """Run the self-test for about so long and print its bars; 1 if one is missed."""
    stop = time.monotonic() + 60 * minutes
    comparisons = list(compare(stop, say=lambda line: print(line, file=sys.stderr)))
    found = bars(comparisons) + [bias(length) for length in BIAS] + [share()]
    if out:
        record = {"comparisons": [asdict(one) for one in comparisons]}
        record["bars"] = [asdict(bar) for bar in found]
        out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    show(found)
    return 0 if all(bar.held for bar in found) else 1


def compare(
    stop: float, say: Callable[[str], None], cases: Sequence[Case] = CASES
) -> Iterator[Comparison]:
    """Comparisons in random order until a moment of the monotonic clock.

    Each round has all workloads and changes once, with and without a neighbour, and a
    server of its own.
    """
    wanted = {(rule.change, rule.neighbour) for rule in RULES}
    with tempfile.TemporaryDirectory(prefix="feedrate-") as folder:
        lengths: dict[str, Calibrated] = {}
        for number in range(10**6):
            cells = [(case, *cell) for case in cases for cell in sorted(wanted)]
            random.Random(number).shuffle(cells)
            server = executor()
            server.start()
            try:
                for case, change, noisy in cells:
                    if case.workload not in lengths:
                        say(f"calibrating the slow-down of {case.workload}")
                        lengths[case.workload] = calibrated(server, case, Path(folder))
                    if time.monotonic() > stop:
                        return
                    length = lengths[case.workload].length_for(change)
                    sides = _sides(server, case, length, Path(folder))
                    with neighbour() if noisy else contextlib.nullcontext():
                        one = _compared(sides, case.workload, change, noisy, number)
                    verdict, interval = judged(one, 0.03)
                    beside = "beside a neighbour" if noisy else "alone"
                    say(
                        f"{case.workload}, {100 * change:.0f} % slower, {beside}: "
                        f"{interval}, {verdict}"
                    )
                    yield one
            finally:
                server.stop()


def calibrated(server: Executor, case: Case, folder: Path) -> Calibrated:
    """How long an operation in the case's map makes it how much slower, by lockstep."""

    def measure(length: int) -> float:
        base, head = _sides(server, case, length, folder)
        ratios = [
            evidence.head(_trio(base, head, n, TURN_SECONDS), METRIC)[0]
            for n in range(CALIBRATING)
        ]
        return float(np.exp(np.mean(ratios)))

    return injection.calibrate(measure)


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


def judged(one: Comparison, margin: float) -> tuple[str, Interval]:
    """The verdict of the guard on a comparison, and its interval."""
    watch = Watch(one.workload, METRIC, margin, 1 - CONFIDENCE)
    for ratio, control in zip(one.ratios, one.controls, strict=True):
        if not watch.settled:
            watch.take(ratio, control)
    watch.finish()
    return watch.verdict, evidence.interval(one.ratios, 1 - CONFIDENCE)


def bars(comparisons: Sequence[Comparison], judge: Judge = judged) -> list[Bar]:
    """The rules on verdicts, and the coverage of intervals.

    Args:
        comparisons: What was compared.
        judge: The estimator that is on trial.
    """
    found = [_bar(rule, comparisons, judge) for rule in RULES]
    covered = [
        interval.low <= 1 + one.change <= interval.high
        for one in comparisons
        for interval in [judge(one, 0.03)[1]]
        if not one.neighbour
    ]
    wanted = f"at least {COVERAGE:.0%} (nominal {CONFIDENCE:.0%})"
    return [*found, _share("intervals cover the truth", wanted, covered, COVERAGE)]


def bias(microseconds: float, pairs: int = 200) -> Bar:
    """The drain against one written by hand, at batches of this length."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.bias", str(microseconds), str(pairs)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    told = json.loads(done.stdout.splitlines()[-1])
    most = BIAS[microseconds]
    within = told["low"] <= 1 + most and told["high"] >= 1 / (1 + most)
    return Bar(
        name=f"drain against hand-written, batches of {told['microseconds']:.0f} us",
        wanted=f"within {most:.0%}",
        found=f"{told['ratio']:.3f} ({told['low']:.3f} to {told['high']:.3f})",
        held=within,
    )


def share(rounds: int = 1) -> Bar:
    """How much of a sweep's wall time is spent in windows, at the default settings."""
    sweep = sweeps.find(SHARE_SWEEP)
    effort = Effort(**{**asdict(sweep.effort), "rounds": rounds})
    made = runner.rounds(
        sweeps.trials(sweep)[0], executor(), effort, sweep=sweep.name, seed=0
    )
    found = overhead.measured_share(table.runs_frame(list(made)))
    return Bar(
        name=f"wall time in timed or warm-up windows, sweep {SHARE_SWEEP}",
        wanted=f"at least {overhead.GOAL:.0%}",
        found=f"{found:.0%}",
        held=found >= overhead.GOAL,
    )


def show(found: Sequence[Bar]) -> None:
    """The bars as a table."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("", "what", "wanted", "found"):
        grid.add_column(column, overflow="fold")
    for bar in found:
        mark = Text("held", "green") if bar.held else Text("missed", "red")
        grid.add_row(mark, *(Text(t) for t in (bar.name, bar.wanted, bar.found)))
    Console(highlight=False).print(grid)


def _bar(rule: Rule, comparisons: Sequence[Comparison], judge: Judge) -> Bar:
    called = [
        judge(one, rule.margin)[0] == "slower"
        for one in comparisons
        if (one.change, one.neighbour) == (rule.change, rule.neighbour)
    ]
    beside = " beside a noisy neighbour" if rule.neighbour else ""
    if rule.least is None:
        name = f"false alarms at a margin of {rule.margin:.0%}{beside}"
        wanted = f"at most {rule.most:.1%}"
        return _share(name, wanted, called, rule.most, at_most=True)
    name = f"{rule.change:.0%} slower caught at a margin of {rule.margin:.0%}{beside}"
    return _share(name, f"at least {rule.least:.0%}", called, rule.least)


def _share(
    name: str, wanted: str, said: Sequence[bool], bar: float, *, at_most: bool = False
) -> Bar:
    """A bar on a share; with few comparisons only what chance does not excuse misses.

    The interval is Clopper and Pearson's, 95 %.
    """
    if not said:
        return Bar(name=name, wanted=wanted, found="no comparison", held=False)
    count, total = sum(said), len(said)
    low, high = binomtest(count, total).proportion_ci()
    better = count / total <= bar if at_most else count / total >= bar
    excused = total < ENOUGH and (low <= bar if at_most else high >= bar)
    found = f"{count} of {total} ({low:.0%} to {high:.0%})"
    return Bar(name=name, wanted=wanted, found=found, held=bool(better or excused))


def _compared(
    sides: tuple[Side, Side], workload: str, change: float, noisy: bool, seed: int
) -> Comparison:
    start = time.monotonic()
    trios = [_trio(*sides, n, TURN_SECONDS, seed) for n in range(TRIOS)]
    return Comparison(
        workload=workload,
        change=change,
        neighbour=noisy,
        ratios=[evidence.head(trio, METRIC) for trio in trios],
        controls=[evidence.control(trio, METRIC) for trio in trios],
        seconds=time.monotonic() - start,
    )


def _trio(
    base: Side, head: Side, number: int, seconds: float, seed: int = 0
) -> lockstep.Trio:
    made = lockstep.trio(
        base, head, guard.EFFORT, seconds=seconds, seed=seed, number=number
    )
    if made.failures:
        role, failure = next(iter(made.failures.items()))
        raise RuntimeError(f"{role} failed: {failure.type}: {failure.message}")
    return made


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
