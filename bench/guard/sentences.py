"""A guard in words: its outcome, the cells of a row, and one line a cause.

Every text that came from outside (a key, a cause, a ref) is shown as one line without
control characters, and never as a command to a CI runner.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from bench.errors import EXITS, Exit
from bench.guard.metrics import METRICS
from bench.guard.record import GuardResult, Row
from bench.run.progress import plural
from bench.text import visible

WORST_FIRST = (
    *("failed", "missing", "slower", "not_comparable"),
    *("unknown", "faster", "unchanged"),
)
COLUMNS = ("change", "interval", "limit", "verdict")
MOST_DIGITS = 3
LONGEST_KEY = 160
BETTER_SETTLED = (
    "What to do for unknown: more time (--budget), a quieter machine, one processor "
    "alone (--axis cpus=1: steadier, but blind to what runs in parallel), or a wider "
    "threshold for that trial in [tool.feedrate.guard]."
)
UNKNOWN_RATE = (
    "Stored figures: what the machine's speed did between the two times is in every "
    "ratio and in no interval, so no rate of false alarms is known."
)
DIFFERENT = "outputs changed between base and head; faster but different is not faster."


def title(guarded: GuardResult, code: int) -> str:
    """The outcome, its exit code, and how many rows have each verdict."""
    verdicts = [row.verdict for row in guarded.rows]
    counts = [
        f"{verdicts.count(v)} {verdict_words(v)}" for v in WORST_FIRST if v in verdicts
    ]
    of = ", ".join(counts) or "nothing was compared"
    return f"Guard: {EXITS[Exit(code)].guard} (exit {code}): {of}"


def compared(guarded: GuardResult) -> str:
    """What with what, how, and how long it took."""
    how = {"lockstep": "taking turns live", "stored": "stored figures"}[guarded.how]
    took = f", {guarded.seconds:.0f} s" if guarded.seconds else ""
    base, head = visible(guarded.base, 120), visible(guarded.head, 120)
    return one_line(f"base {base}, head {head}, {how}{took}")


def lines(guarded: GuardResult, most: int | None = None) -> list[str]:
    """Everything besides the table, a line each, gravest first.

    Args:
        guarded: The record.
        most: Of the lines that there is one a row of; all if not given.
    """
    rows = worst_first(guarded.rows)
    changed = dict.fromkeys(row.key for row in rows if row.output_changed)
    said = [text for row in rows if (text := cause(row))][:most]
    said += [f"{name(row)}: {one_line(row.stalls)}" for row in rows if row.stalls][
        :most
    ]
    said += [different(key) for key in changed][:most]
    if any(row.verdict == "unknown" for row in rows):
        said.append(BETTER_SETTLED)
    said += _control(guarded)
    said.append(_false_alarms(guarded))
    said += [f"Not looked at: {one_line(line)}" for line in guarded.not_looked_at]
    return said + [one_line(note) for note in guarded.notes]


def cause(row: Row) -> str:
    """Why a row's verdict is what it is, one line; empty where nothing is to be said.

    A cause given by the guard goes before one that is read off the figures.
    """
    if row.cause and row.verdict == "unknown":
        return f"{name(row)}: {one_line(row.cause)}"
    if row.cause:
        return f"{name(row)} {verdict_words(row.verdict)}: {one_line(row.cause)}"
    change, interval, limit, *_ = cells(row)
    found = {
        "slower": f"grew by {change} ({interval} %), all of it beyond {limit}",
        "unknown": f"not settled: {change} ({interval} %) is neither within nor "
        f"beyond {limit}",
        "missing": "missing: in base and not in head",
        "failed": "failed",
        "not_comparable": "not comparable",
    }
    if row.verdict == "unknown" and not interval:
        return f"{name(row)} not settled: too few processes for an interval"
    return f"{name(row)} {found[row.verdict]}" if row.verdict in found else ""


def different(key: str) -> str:
    """That a trial's outputs changed, whatever its speed."""
    return f"{one_line(key, LONGEST_KEY)}: {DIFFERENT}"


def worst_first(rows: list[Row]) -> list[Row]:
    """Rows by verdict, gravest first, and then by how much they grew."""
    order = WORST_FIRST.index
    return sorted(rows, key=lambda row: (order(row.verdict), -(row.ratio or 0)))


def columns(guarded: GuardResult) -> tuple[str, ...]:
    """What `cells` are: the last counts trios of processes, or runs of each side."""
    return (*COLUMNS, "runs" if guarded.how == "stored" else "trios")


def cells(row: Row) -> list[str]:
    """What is in each of `columns`."""
    digits = _digits(row)
    change = _percent(row.ratio, digits)
    bounds = [_percent(bound, digits) for bound in (row.low, row.high)]
    different_now = row.verdict == "faster" and row.output_changed
    return [
        f"{change} %" if change else "-",
        " to ".join(bounds) if all(bounds) else "",
        f"{100 * row.threshold:.3g} %",
        "different" if different_now else verdict_words(row.verdict),
        str(row.count),
    ]


def name(row: Row) -> str:
    """The trial and the metric."""
    known = METRICS.get(row.metric)  # a record may be of a later version
    metric = known.short if known else visible(row.metric, 40)
    return f"{one_line(row.key, LONGEST_KEY)}: {metric}"


def verdict_words(verdict: str) -> str:
    """A verdict in words."""
    return verdict.replace("_", " ")


def one_line(text: str, longest: int = 300) -> str:
    """One visible line that no CI runner takes for a command."""
    text = visible(text, longest)
    return text.replace("::", ":\\u003a").replace("##[", "##\\u005b")


def _false_alarms(guarded: GuardResult) -> str:
    if guarded.false_alarms is None:
        return UNKNOWN_RATE
    count = sum(not METRICS[row.metric].phases for row in guarded.rows)
    together = f", all {count} rows of turns together," if count > 1 else ""
    return (
        f"Expected false alarms{together} if nothing changed: at most "
        f"{100 * guarded.false_alarms:.2g} %."
    )


def _control(guarded: GuardResult) -> Iterator[str]:
    if not guarded.control:
        why = "nothing ran live" if guarded.how == "stored" else "it was not measured"
        yield f"A/A control: none, {why}."
    for row in guarded.control:
        change, interval, limit, *_ = cells(row)
        beyond = f"beyond its limit of {limit}, too noisy to blame anybody"
        within = f"within its limit of {limit}"
        if row.ratio and abs(row.ratio - 1) > row.threshold:
            within = f"beyond its limit of {limit}, but no further than by chance"
        found = {
            "unchanged": within,
            "unknown": "not settled",
            "slower": beyond,
            "faster": beyond,
        }.get(row.verdict, f"{verdict_words(row.verdict)}, so no control")
        bounds = f" ({interval} %)" if interval else ""
        yield (
            f"A/A control, base against base: {name(row)} {change}{bounds}, "
            f"{plural(row.count, 'trio')}: {found}."
        )


def _digits(row: Row) -> int:
    """One behind the point, or so many that no figure reads as the limit itself."""
    limit = 100 * row.threshold
    shares = [100 * abs(v - 1) for v in (row.ratio, row.low, row.high) if _told(v)]
    for digits in range(1, MOST_DIGITS):
        if all(round(share, digits) != round(limit, digits) for share in shares):
            return digits
    return MOST_DIGITS


def _told(ratio: float | None) -> bool:
    return ratio is not None and math.isfinite(ratio)


def _percent(ratio: float | None, digits: int) -> str:
    if not _told(ratio):
        return ""
    rounded = round(100 * (ratio - 1), digits) + 0.0  # + 0.0: never "-0.0"
    return f"{rounded:+,.{digits}f}"
