"""The bars of the self-test: how often a verdict or an interval may be wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scipy.stats import binomtest

from bench import evidence
from bench.stats import CONFIDENCE, Interval
from bench.watch import Watch

METRIC = "seconds_per_example"
ENOUGH = 60  # comparisons from which a bar is taken as it stands


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
Judge = Callable[[Comparison, float], tuple[str, Interval]]


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
    name = "intervals cover the truth"
    return [*found, checked_share(name, wanted, covered, COVERAGE)]


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
        return checked_share(name, wanted, called, rule.most, at_most=True)
    name = f"{rule.change:.0%} slower caught at a margin of {rule.margin:.0%}{beside}"
    return checked_share(name, f"at least {rule.least:.0%}", called, rule.least)


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
    return Bar(name=name, wanted=wanted, found=found, held=bool(better or excused))
