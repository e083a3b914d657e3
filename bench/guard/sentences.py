"""This module puts a guard into words: its outcome, a row's cells, one line a cause.

Text from outside (a key, a cause, a ref) becomes one line without control characters
that no CI runner takes for a command.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from bench.analysis.verdicts import GRAVEST_FIRST, OUTCOMES
from bench.errors import EXITS, Exit
from bench.guard.metrics import METRICS
from bench.guard.record import GuardResult, Row
from bench.text import plural, visible

COLUMNS = ("change", "interval", "limit", "verdict")
MOST_DIGITS = 3
LONGEST_KEY = 160
RATE_UNKNOWN = (
    "Stored figures: each ratio includes how the machine's speed changed between the "
    "two times, and no interval does, so the rate of false alarms is unknown."
)
OUTPUTS_CHANGED = (
    "outputs differ between base and head; a faster trial with other outputs may not "
    "do the same work."
)


def title(guarded: GuardResult, code: int) -> str:
    """Return the outcome, its exit code, and how many rows have each verdict."""
    verdicts = [row.verdict for row in guarded.rows]
    counts = [
        f"{verdicts.count(verdict)} {OUTCOMES[verdict].text}"
        for verdict in GRAVEST_FIRST
        if verdict in verdicts
    ]
    summary = ", ".join(counts) or "nothing was compared"
    return f"Guard: {EXITS[Exit(code)].guard} (exit {code}): {summary}"


def compared(guarded: GuardResult) -> str:
    """Return what was compared with what, how, and how long the guard took."""
    how = {"lockstep": "taking turns live", "stored": "stored figures"}[guarded.how]
    seconds = f", {guarded.seconds:.0f} s" if guarded.seconds else ""
    base, head = visible(guarded.base, 120), visible(guarded.head, 120)
    return one_line(f"base {base}, head {head}, {how}{seconds}")


def lines(guarded: GuardResult, most: int | None = None) -> list[str]:
    """Return all text besides the table, one line each, gravest first.

    Args:
        guarded: The result.
        most: The largest number of lines of a kind that has a line for each row; None
            for all.
    """
    rows = gravest_first(guarded.rows)
    changed = dict.fromkeys(row.key for row in rows if row.output_changed)
    causes = [text for row in rows if (text := cause(row))]
    stalls = [f"{name(row)}: {one_line(row.stalls)}" for row in rows if row.stalls]
    outputs = [outputs_changed(key) for key in changed]
    remedies = _remedies(guarded, [row for row in rows if row.verdict == "unknown"])
    return [
        *causes[:most],
        *stalls[:most],
        *outputs[:most],
        *remedies,
        *_control(guarded),
        _false_alarms(guarded),
        *(f"Not looked at: {one_line(line)}" for line in guarded.not_looked_at),
        *(one_line(note) for note in guarded.notes),
    ]


def _remedies(guarded: GuardResult, unknown: list[Row]) -> list[str]:
    """Return one line on what settles rows that are unknown; no line if none is."""
    if not unknown:
        return []
    remedies = ["a quieter machine"]
    if guarded.how == "stored":
        remedies.insert(0, "more rounds")
    else:
        remedies.insert(0, "more time (--budget)")
        if any("cpus=" not in row.key for row in unknown):
            remedies.append(
                "one processor alone (--axis cpus=1: steadier, but blind to what runs "
                "in parallel)"
            )
    remedies.append(
        "a wider threshold for the trial in [tool.feedrate.guard.thresholds]"
    )
    return [f"What to do for unknown: {', '.join(remedies[:-1])}, or {remedies[-1]}."]


def cause(row: Row) -> str:
    """Return one line on why a row has its verdict; empty if the table shows it.

    A cause in the row comes before a cause that the figures show.
    """
    text = one_line(row.cause) if row.cause else _cause_by_figures(row)
    return f"{name(row)} {OUTCOMES[row.verdict].text}: {text}" if text else ""


def _cause_by_figures(row: Row) -> str:
    change, interval, limit, *_ = cells(row)
    if row.verdict == "unknown" and not interval:
        return "too few processes for an interval"
    return {
        "slower": f"grew by {change.removeprefix('+')}; the whole interval, "
        f"{interval} %, is beyond {limit}",
        "unknown": f"the interval, {interval} %, is neither within nor beyond {limit}",
        "missing": "it is in base and not in head",
        "failed": "there is no figure",
        "not_comparable": "there is nothing to compare",
    }.get(row.verdict, "")


def outputs_changed(key: str) -> str:
    """Return the line of a trial whose outputs changed, whatever its speed."""
    return f"{one_line(key, LONGEST_KEY)}: {OUTPUTS_CHANGED}"


def gravest_first(rows: list[Row]) -> list[Row]:
    """Return the rows by verdict, gravest first, and then by how much they grew."""
    order = GRAVEST_FIRST.index
    return sorted(rows, key=lambda row: (order(row.verdict), -(row.ratio or 0)))


def columns(guarded: GuardResult) -> tuple[str, ...]:
    """Return the headings of `cells`; the last one is what the row counts."""
    return (*COLUMNS, "runs" if guarded.how == "stored" else "trios")


def cells(row: Row) -> list[str]:
    """Return the text in each of `columns`."""
    digits = _digits(row)
    change = _percent(row.ratio, digits)
    bounds = [_percent(bound, digits) for bound in (row.low, row.high)]
    return [
        f"{change} %" if change else "-",
        " to ".join(bounds) if all(bounds) else "",
        f"{100 * row.threshold:.3g} %",
        OUTCOMES[row.verdict].text,
        str(row.count),
    ]


def name(row: Row) -> str:
    """Return the trial and the metric of a row."""
    metric = METRICS.get(row.metric)  # a record may be of a later version
    short = metric.short if metric else visible(row.metric, 40)
    return f"{one_line(row.key, LONGEST_KEY)}: {short}"


def one_line(text: str, longest: int = 300) -> str:
    """Return the text as one visible line that no CI runner takes for a command."""
    text = visible(text, longest)
    return text.replace("::", ":\\u003a").replace("##[", "##\\u005b")


def _false_alarms(guarded: GuardResult) -> str:
    if guarded.false_alarms is None:
        return RATE_UNKNOWN
    phases = (row for row in guarded.rows if _is_phase(row))
    count = len(guarded.rows) - sum(1 for _ in phases)
    together = f", all {count} rows of turns together," if count > 1 else ""
    return (
        f"Expected false alarms{together} if nothing changed: at most "
        f"{100 * guarded.false_alarms:.2g} %."
    )


def _is_phase(row: Row) -> bool:
    metric = METRICS.get(row.metric)
    return bool(metric and metric.phases)


def _control(guarded: GuardResult) -> Iterator[str]:
    """Return one line a control; one line as well if there is none."""
    if not guarded.control:
        why = "nothing ran live" if guarded.how == "stored" else "it was not measured"
        yield f"A/A control: none, {why}."
    for row in guarded.control:
        change, interval, limit, *_ = cells(row)
        if row.verdict in ("slower", "faster"):
            state = f"beyond its limit of {limit}, the machine is too noisy"
        elif row.verdict != "unchanged":
            state = f"{OUTCOMES[row.verdict].text}, so it controls nothing"
        elif row.ratio and abs(row.ratio - 1) > row.threshold:
            state = f"beyond its limit of {limit}, but no further than by chance"
        else:
            state = f"within its limit of {limit}"
        bounds = f" (interval {interval} %)" if interval else ""
        yield (
            f"A/A control: {name(row)}, base differs from itself by {change}{bounds}, "
            f"{plural(row.count, 'trio')}: {state}."
        )


def _digits(row: Row) -> int:
    """Return the number of decimals at which no figure rounds to the limit itself."""
    limit = 100 * row.threshold
    figures = [v for v in (row.ratio, row.low, row.high) if _is_figure(v)]
    shares = [100 * abs(figure - 1) for figure in figures]
    for digits in range(1, MOST_DIGITS):
        if all(round(share, digits) != round(limit, digits) for share in shares):
            return digits
    return MOST_DIGITS


def _is_figure(ratio: float | None) -> bool:
    return ratio is not None and math.isfinite(ratio)


def _percent(ratio: float | None, digits: int) -> str:
    if not _is_figure(ratio):
        return ""
    rounded = round(100 * (ratio - 1), digits) + 0.0  # + 0.0: never "-0.0"
    return f"{rounded:+,.{digits}f}"
