"""This module has the self-test's requirements: how often verdicts may be wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
from scipy.stats import binomtest

from bench import machine, shell, store
from bench.analysis.intervals import CONFIDENCE, Interval
from bench.errors import UsageError, write_atomically
from bench.guard import estimate
from bench.guard.sequential_test import RowTest

METRIC = "seconds_per_example"
ENOUGH = 72  # comparisons; with fewer, a bar fails only beyond chance


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A comparison has the slow-down injected into head, and the results of each trio.

    A trio is three processes that take turns: base, control (base again) and head.

    Attributes:
        workload: The name of the workload.
        change: The intended slow-down as a share, such as 0.05.
        neighbour: Whether a noisy neighbour ran beside the comparison.
        shares: The log of the ratio of head to base that the injected time should
            cause, a number for each trio; 0 for equal sides. See `comparison.share`.
        ratios: The measured log-ratio of head and its standard error, a pair for each
            trio. The error is None if a trio had too few turns to estimate it.
        controls: The measured log-ratio of control to base and its standard error, a
            pair for each trio.
        seconds: The duration of the whole comparison; seconds.
    """

    workload: str
    change: float
    neighbour: bool
    shares: list[float]
    ratios: list[tuple[float, float | None]]
    controls: list[tuple[float, float | None]]
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A bar is a requirement on the self-test's results, and whether they meet it.

    Attributes:
        name: What is measured, in words.
        wanted: The requirement, in words.
        found: The measured value, in words; a share has its interval.
        held: Whether the bar is met, or the comparisons are too few for a failure.
        few: Whether the bar is met only because the comparisons are few.
    """

    name: str
    wanted: str
    found: str
    held: bool
    few: bool = False


@dataclass(frozen=True, kw_only=True)
class Record:
    """A record is the content of the file that a self-test writes.

    Attributes:
        schema: The version of this record's layout.
        machine: The facts that identify the machine and the versions.
        comparisons: All comparisons.
        bars: All bars; empty until the last comparison is made.
    """

    schema: int = 1
    machine: dict[str, object]
    comparisons: list[Comparison]
    bars: list[Bar]


@dataclass(frozen=True)
class Rule:
    """A rule limits the share of comparisons that get certain verdicts.

    Attributes:
        change: The intended slow-down of the comparisons that count; 0 for equal sides.
        margin: The margin of the verdicts that are counted, such as 0.03.
        neighbour: Whether a noisy process ran beside these comparisons.
        least: The least share with a verdict of `called`; None if `most` is set.
        most: The largest share with a verdict of `called`; None if `least` is set.
        called: The verdicts that are counted.
        name: The first words of the name of the bar (requirement); empty for the
            default, such as `5% slower caught`.
    """

    change: float
    margin: float
    neighbour: bool
    least: float | None = None
    most: float | None = None
    called: tuple[str, ...] = ("slower",)
    name: str = ""


FALSE_ALARMS = {"called": ("slower", "faster"), "name": "false alarms"}
MISSES = {"called": ("unchanged", "faster"), "name": "5% slower called unchanged"}
RULES = (
    Rule(0.0, 0.03, False, most=1 / 72, **FALSE_ALARMS),
    Rule(0.05, 0.03, False, least=70 / 72),
    Rule(0.05, 0.03, False, most=1 / 72, **MISSES),
    Rule(0.0, 0.01, False, most=2 / 72, **FALSE_ALARMS),
    Rule(0.02, 0.01, False, least=60 / 72),
    Rule(0.10, 0.03, False, least=70 / 72),
    Rule(0.0, 0.03, True, most=2 / 72, **FALSE_ALARMS),
    Rule(0.05, 0.03, True, least=65 / 72),
    Rule(0.05, 0.03, True, most=1 / 72, **MISSES),
)
COVERAGE = 0.90
BESIDE = {False: "", True: " beside a noisy neighbour"}
# Returns the verdict on a comparison at a margin, and the interval of the ratio.
Decide = Callable[[Comparison, float], tuple[str, Interval]]


def decide(comparison: Comparison, margin: float) -> tuple[str, Interval]:
    """Return the guard's verdict on a comparison, and the interval of the ratio.

    The test ends with the last trio, as if the guard's time were over.
    """
    test = RowTest(comparison.workload, METRIC, margin, 1 - CONFIDENCE)
    ratios, controls = _floats(comparison.ratios), _floats(comparison.controls)
    for pair in zip(ratios, controls, strict=True):
        if test.open:
            test.add_log_ratios(*pair)
    test.finish()
    return test.verdict, estimate.interval(ratios, 1 - CONFIDENCE, controls)


def _floats(pairs: Sequence[tuple[float, float | None]]) -> list[tuple[float, float]]:
    return [(ratio, math.nan if error is None else error) for ratio, error in pairs]


def bars(comparisons: Sequence[Comparison], decide: Decide = decide) -> list[Bar]:
    """Return the self-test's requirements on verdicts and on coverage of intervals.

    Each states whether the comparisons meet it.

    Args:
        comparisons: All comparisons.
        decide: The function that gives a comparison its verdict and interval, and is
            tested.
    """
    return [_bar(rule, comparisons, decide) for rule in RULES] + [
        _coverage(comparisons, decide, slowed, noisy)
        for slowed in (True, False)
        for noisy in (False, True)
    ]


def _coverage(
    comparisons: Sequence[Comparison], decide: Decide, slowed: bool, noisy: bool
) -> Bar:
    """Return the requirement on how often intervals cover the true ratio."""
    intervals = [
        decide(unslowed(comparison), 0.03)[1]
        for comparison in comparisons
        if (bool(comparison.change), comparison.neighbour) == (slowed, noisy)
    ]
    covered = [interval.low <= 1 <= interval.high for interval in intervals]
    wanted = f"at least {COVERAGE:.0%} (nominal {CONFIDENCE:.0%})"
    which = "slow-downs cover what was injected" if slowed else "equal sides cover 1"
    name = f"intervals of {which}{BESIDE[noisy]}"
    return checked_share(name, wanted, covered, COVERAGE)


def injected(comparison: Comparison) -> float:
    """Return the share by which head was slowed on average; 0 for equal sides."""
    return float(np.expm1(np.mean(comparison.shares)))


def unslowed(comparison: Comparison) -> Comparison:
    """Return a comparison without the injected slow-down: its true log-ratios are 0.

    The injected size differs from trio to trio. Left in, it would widen the interval,
    and a wide interval hides a wrong estimate.
    """
    pairs = zip(comparison.ratios, comparison.shares, strict=True)
    return replace(
        comparison, ratios=[(r - share, error) for (r, error), share in pairs]
    )


def _spread(shares: Sequence[float]) -> str:
    """Return the median and range of the injected slow-downs, as text.

    They differ from the intended slow-downs.
    """
    if not shares:
        return ""
    low, middle, high = np.percentile(100 * np.array(shares), [5, 50, 95])
    return f", injected were {middle:.1f}% (nine of ten {low:.1f} to {high:.1f})"


def read(path: Path | None) -> list[Comparison]:
    """Return the comparisons of a self-test's file; none if there is no file.

    Raises:
        UsageError: The file is no self-test of this machine.
    """
    if not (path and path.is_file() and path.stat().st_size):
        return []
    remedy = "name another file with --out"
    record = store.decode(path.read_bytes(), Record, str(path), "a self-test", remedy)
    if machine.identity(record.machine) != machine.identity(machine.fingerprint()):
        raise UsageError(
            f"'{path}' is a self-test of another machine, or of other versions. Name "
            "another file with --out."
        )
    return record.comparisons


def write(path: Path | None, comparisons: list[Comparison], bars: list[Bar]) -> None:
    """Write all comparisons and requirements as JSON, a comparison on each line."""
    if path:
        record = Record(
            machine=machine.fingerprint(), comparisons=comparisons, bars=bars
        )
        text = msgspec.json.encode(record).replace(b'{"workload"', b'\n{"workload"')
        write_atomically(path, text + b"\n")


def show(bars: Sequence[Bar]) -> None:
    """Print the self-test's requirements as a table, each with its measured value."""
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("", "bar", "required", "measured"):
        grid.add_column(column, overflow="fold")
    for bar in bars:
        mark = Text("met", "green") if bar.held else Text("missed", "red")
        mark = Text("too few", "yellow") if bar.few else mark
        grid.add_row(mark, *(Text(cell) for cell in (bar.name, bar.wanted, bar.found)))
    shell.console(highlight=False).print(grid)


def _bar(rule: Rule, comparisons: Sequence[Comparison], decide: Decide) -> Bar:
    cell = (rule.change, rule.neighbour)
    selected = [one for one in comparisons if (one.change, one.neighbour) == cell]
    called = [decide(one, rule.margin)[0] in rule.called for one in selected]
    name = rule.name or f"{rule.change:.0%} slower caught"
    name = f"{name} at a margin of {rule.margin:.0%}{BESIDE[rule.neighbour]}"
    if rule.least is None:
        wanted = f"at most {rule.most:.1%}"
        return checked_share(name, wanted, called, rule.most, at_most=True)
    bar = checked_share(name, f"at least {rule.least:.0%}", called, rule.least)
    return replace(bar, found=bar.found + _spread(list(map(injected, selected))))


def checked_share(
    name: str, wanted: str, cases: Sequence[bool], bar: float, *, at_most: bool = False
) -> Bar:
    """Return a requirement on the share of true cases, and whether the cases meet it.

    With fewer than `ENOUGH` cases the requirement fails only if the share's interval
    (Clopper and Pearson, 95 %) lies beyond the limit `bar`.
    """
    if not cases:
        return Bar(name=name, wanted=wanted, found="no comparison", held=False)
    count, total = sum(cases), len(cases)
    low, high = binomtest(count, total).proportion_ci()
    better = count / total <= bar if at_most else count / total >= bar
    excused = total < ENOUGH and (low <= bar if at_most else high >= bar)
    found = f"{count} of {total} ({low:.0%} to {high:.0%})"
    few = bool(excused and not better)
    return Bar(name=name, wanted=wanted, found=found, held=better or few, few=few)
