"""This module compares how many times as fast a trial is on one machine and another.

Times of two machines are never averaged or compared: each machine is a block. The
factor of a trial over its baseline is taken within the rounds of one machine, and can
then be compared between machines. The ratio of two factors has Welch's 95 % interval
over the rounds of both, and verdicts count all such ratios together (Holm 1979).
"""

from __future__ import annotations

import pandas as pd

from bench import text
from bench.analysis import decisions, pairs, stats
from bench.analysis.decisions import Comparison, Decision
from bench.analysis.verdicts import UNCHANGED, UNKNOWN
from bench.plan import screening

HOLDS, DIFFERS = "holds", "differs"
OUTCOMES = {
    HOLDS: "the factors agree within the margin, or the verdict is the same on both",
    DIFFERS: "one factor is larger than the other by more than the margin",
    UNKNOWN: "the rounds do not settle it",
}
ENDS = ("", "_low", "_high")
COLUMNS = (
    *("title", "key", "label", "first_machine", "second_machine", "rounds"),
    *(f"{name}{end}" for name in ("first", "second", "change") for end in ENDS),
    *("first_verdict", "second_verdict", "outcome"),
)


def compare(samples: pd.DataFrame) -> pd.DataFrame:
    """Compare the factor of each trial between the first machine and each other one.

    Trials without a rank, and scenes (sets of comparable trials) whose baselines differ
    between the machines, have no row.

    Args:
        samples: The table from `table.from_runs`.

    Returns:
        A row for each trial and pair of machines with `COLUMNS`: `first` and `second`,
        how many times as fast as the baseline the trial is on each machine; `change`,
        the second over the first, with 95 % intervals; `rounds`, those of the machine
        with fewer; the verdict on each machine; and `outcome`, one of `OUTCOMES`.
    """
    rows: list[dict[str, object]] = []
    comparisons: list[Comparison] = []
    if len(samples) and samples["machine"].nunique() > 1:
        trials, runs = stats.trials(samples), pairs.measured(samples)
        for _, scene in trials.groupby(list(screening.SCENE), sort=False):
            (_, first), *others = scene.groupby("machine", sort=False)
            for _, second in others:
                for row, comparison in _scene(first, second, runs):
                    rows.append(row)
                    comparisons.append(comparison)
    judged = decisions.judge(comparisons)
    decided = [_decided(*both) for both in zip(rows, judged, strict=True)]
    return pd.DataFrame(decided, columns=list(COLUMNS))


def sentences(compared: pd.DataFrame) -> list[str]:
    """Return a sentence that counts the outcomes; none if nothing was compared."""
    if compared.empty:
        return []
    counts = compared["outcome"].value_counts()
    parts = [f"{name} for {counts.get(name, 0)}" for name in (HOLDS, DIFFERS)]
    return [
        "Two machines measured the same trials. How many times as fast a trial is as "
        f"its baseline {' and '.join(parts)} of {len(compared)} comparisons between "
        f"machines, and is unknown for {counts.get(UNKNOWN, 0)}."
    ]


def _scene(
    first: pd.DataFrame, second: pd.DataFrame, runs: pd.DataFrame
) -> list[tuple[dict[str, object], Comparison]]:
    """Return the trials of one scene that two machines have, each to be compared."""
    sides = [side.set_index("key") for side in (first, second)]
    baselines = [side.index[side["is_baseline"]] for side in sides]
    if not all(map(len, baselines)) or baselines[0][0] != baselines[1][0]:
        return []
    own = [runs[runs["machine"] == side["machine"].iloc[0]] for side in sides]
    compared = []
    for key in sides[0].index.intersection(sides[1].index, sort=False):
        rows = [side.loc[key] for side in sides]
        if any(row["is_baseline"] or not row["ranked"] for row in rows):
            continue
        seconds = [pairs.seconds(some, [baselines[0][0], key]) for some in own]
        ratios = [values[:, 1] / values[:, 0] for values in seconds]
        base, head = (values[values > 0] for values in ratios)  # without NaN
        if not len(base) or not len(head):
            continue
        margin = decisions.MARGINS[rows[0]["consumer"]]
        compared.append((_row(*rows), Comparison(base=base, head=head, margin=margin)))
    return compared


def _row(first: pd.Series, second: pd.Series) -> dict[str, object]:
    row: dict[str, object] = {
        "title": text.scene_title(first),
        "key": first.name,
        "label": first["label"],
        "rounds": int(min(first["pairs"], second["pairs"])),
    }
    for name, side in (("first", first), ("second", second)):
        row |= {f"{name}{end}": side[f"factor{end}"] for end in ENDS}
        row[f"{name}_machine"] = side["machine"]
        row[f"{name}_verdict"] = side["verdict"]
    return row


def _decided(row: dict[str, object], decision: Decision) -> dict[str, object]:
    """Return a row with its change and its outcome."""
    ratio = decision.ratio  # of seconds over the baseline's, the second over the first
    same = row["first_verdict"] == row["second_verdict"] != UNKNOWN
    if decision.verdict == UNCHANGED or (decision.verdict == UNKNOWN and same):
        outcome = HOLDS
    else:
        outcome = UNKNOWN if decision.verdict == UNKNOWN else DIFFERS
    return {
        **row,
        "change": 1 / ratio.estimate,
        "change_low": 1 / ratio.high,
        "change_high": 1 / ratio.low,
        "outcome": outcome,
    }
