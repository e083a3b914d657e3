"""The bars of the self-test: how often a verdict or an interval may be wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
from scipy.stats import binomtest

from bench import machine, shell
from bench.analysis.intervals import CONFIDENCE, Interval
from bench.errors import UsageError, write_whole
from bench.guard import estimate
from bench.guard.sequential_test import RowTest

METRIC = "seconds_per_example"
ENOUGH = 72  # comparisons from which a bar is taken as it stands


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One comparison: what was injected, and what each trio said.

    Attributes:
        workload: Which case.
        change: The slow-down that was aimed at, such as 0.05.
        neighbour: Whether a noisy one ran beside it.
        shares: What was injected, as the log-ratio of head that it should make in each
            trio; 0 of equal sides. See `slowed.share`.
        ratios: Log-ratio of head and its error, a pair a trio; None where a trio had
            too few turns to tell the error.
        controls: The same of base against base.
        seconds: How long it took in all.
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
    """What must hold, and what was found.

    Attributes:
        name: In words.
        wanted: The bar, in words.
        found: In words, with the interval of a share.
        held: Whether it holds, or the comparisons are too few to say that it does not.
        few: Whether it is held for that only.
    """

    name: str
    wanted: str
    found: str
    held: bool
    few: bool = False


@dataclass(frozen=True)
class Record:
    """What a self-test leaves: where it ran, each comparison, and the bars."""

    machine: dict[str, object]
    comparisons: list[Comparison]
    bars: list[Bar]


@dataclass(frozen=True)
class Rule:
    """A bar on a share of comparisons: of those slowed by `change`, called so.

    Attributes:
        change: Injected.
        margin: Of the verdict.
        neighbour: Beside a noisy one or not.
        least: The least share that must be called so; None where `most` is.
        most: The largest share that may be.
        called: The verdicts that are counted.
        name: What that is.
    """

    change: float
    margin: float
    neighbour: bool
    least: float | None = None
    most: float | None = None
    called: tuple[str, ...] = ("slower",)
    name: str = ""


CHANGED = {"called": ("slower", "faster"), "name": "false alarms"}
CLEARED = {"called": ("unchanged", "faster"), "name": "5% slower called none"}
RULES = (
    Rule(0.0, 0.03, False, most=1 / 72, **CHANGED),
    Rule(0.05, 0.03, False, least=70 / 72),
    Rule(0.05, 0.03, False, most=1 / 72, **CLEARED),
    Rule(0.0, 0.01, False, most=2 / 72, **CHANGED),
    Rule(0.02, 0.01, False, least=60 / 72),
    Rule(0.10, 0.03, False, least=70 / 72),
    Rule(0.0, 0.03, True, most=2 / 72, **CHANGED),
    Rule(0.05, 0.03, True, least=65 / 72),
    Rule(0.05, 0.03, True, most=1 / 72, **CLEARED),
)
COVERAGE = 0.90
BESIDE = {False: "", True: " beside a noisy neighbour"}
Judge = Callable[[Comparison, float], tuple[str, Interval]]
Told = Sequence[tuple[Comparison, float]]  # comparisons, each with what was injected


def decide(one: Comparison, margin: float) -> tuple[str, Interval]:
    """The verdict of the guard on a comparison, and its interval.

    The time is up with the last trio.
    """
    watch = RowTest(one.workload, METRIC, margin, 1 - CONFIDENCE)
    ratios, controls = _known(one.ratios), _known(one.controls)
    for pair in zip(ratios, controls, strict=True):
        if watch.open:
            watch.take(*pair)
    watch.finish()
    return watch.verdict, estimate.interval(ratios, 1 - CONFIDENCE, controls)


def _known(found: Sequence[tuple[float, float | None]]) -> list[tuple[float, float]]:
    return [(ratio, math.nan if error is None else error) for ratio, error in found]


def bars(comparisons: Sequence[Comparison], judge: Judge = decide) -> list[Bar]:
    """The rules on verdicts, and the coverage of intervals.

    Args:
        comparisons: What was compared.
        judge: The estimator that is on trial.
    """
    told = [(one, injected(one)) for one in comparisons]
    found = [_bar(rule, told, judge) for rule in RULES]
    return found + [
        _coverage(comparisons, judge, slowed, noisy)
        for slowed in (True, False)
        for noisy in (False, True)
    ]


def _coverage(
    comparisons: Sequence[Comparison], judge: Judge, slowed: bool, noisy: bool
) -> Bar:
    """How often the interval holds the truth: of slow-downs, or of equal sides."""
    covered = [
        interval.low <= 1 <= interval.high
        for one in comparisons
        if (bool(one.change), one.neighbour) == (slowed, noisy)
        for interval in [judge(unslowed(one), 0.03)[1]]
    ]
    wanted = f"at least {COVERAGE:.0%} (nominal {CONFIDENCE:.0%})"
    which = "slow-downs cover what was injected" if slowed else "equal sides cover 1"
    name = f"intervals of {which}{BESIDE[noisy]}"
    return checked_share(name, wanted, covered, COVERAGE)


def injected(one: Comparison) -> float:
    """By what share head was slower on average; 0 of equal sides."""
    return float(np.expm1(np.mean(one.shares)))


def unslowed(one: Comparison) -> Comparison:
    """The same, less what was injected: what is left of each trio ought to be 0.

    So an interval is not excused by trios that differ as the injected did.
    """
    pairs = zip(one.ratios, one.shares, strict=True)
    return replace(one, ratios=[(r - share, error) for (r, error), share in pairs])


def _spread(shares: Sequence[float]) -> str:
    """What the slow-downs were, so that nobody trusts their names."""
    if not shares:
        return ""
    low, middle, high = np.percentile(100 * np.array(shares), [5, 50, 95])
    return f", injected were {middle:.1f}% (nine of ten {low:.1f} to {high:.1f})"


def read(path: Path | None) -> list[Comparison]:
    """The comparisons that are in a file already; none if there is no file.

    Raises:
        UsageError: It is no self-test of this machine.
    """
    if not (path and path.is_file() and path.stat().st_size):
        return []
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=Record)
    except msgspec.MsgspecError as error:
        raise UsageError(
            f"'{path}' is no self-test ({error}). Give another file to --out."
        ) from error
    if machine.identity(kept.machine) != machine.identity(machine.fingerprint()):
        raise UsageError(
            f"'{path}' is a self-test of another machine, or of other versions. Give "
            "another file to --out."
        )
    return kept.comparisons


def write(path: Path | None, comparisons: list[Comparison], found: list[Bar]) -> None:
    """Everything so far, so that nothing measured is lost."""
    if path:
        record = Record(machine.fingerprint(), comparisons, found)
        text = msgspec.json.encode(record).replace(b'{"workload"', b'\n{"workload"')
        write_whole(path, text + b"\n")


def show(found: Sequence[Bar]) -> None:
    """The bars as a table."""
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("", "what", "wanted", "found"):
        grid.add_column(column, overflow="fold")
    for bar in found:
        mark = Text("held", "green") if bar.held else Text("missed", "red")
        mark = Text("too few", "yellow") if bar.few else mark
        grid.add_row(mark, *(Text(t) for t in (bar.name, bar.wanted, bar.found)))
    shell.console(highlight=False).print(grid)


def _bar(rule: Rule, told: Told, judge: Judge) -> Bar:
    some = [
        (one, share)
        for one, share in told
        if (one.change, one.neighbour) == (rule.change, rule.neighbour)
    ]
    called = [judge(one, rule.margin)[0] in rule.called for one, _ in some]
    name = rule.name or f"{rule.change:.0%} slower caught"
    name = f"{name} at a margin of {rule.margin:.0%}{BESIDE[rule.neighbour]}"
    if rule.least is None:
        wanted = f"at most {rule.most:.1%}"
        return checked_share(name, wanted, called, rule.most, at_most=True)
    bar = checked_share(name, f"at least {rule.least:.0%}", called, rule.least)
    return replace(bar, found=bar.found + _spread([share for _, share in some]))


def checked_share(
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
    few = bool(excused and not better)
    return Bar(name=name, wanted=wanted, found=found, held=better or few, few=few)
