"""This module shows published claims with their verdicts, as text and as Markdown."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bench import shell, text
from bench.analysis.claim_verdicts import (
    FAILS,
    HOLDS,
    TURNS,
    UNMEASURED,
    UNSETTLED,
    UNTESTABLE,
    VERDICTS,
)

UNITS = {  # of what is compared or counted
    "speed": "times as fast",
    "later_speed": "times as fast",
    "later_over_first": "times as fast",
    "resident_bytes": "times less memory",
    "fact_cache_bytes": "times fewer bytes",
    "fact_records_read_per_example": "times fewer records",
    "fact_positive_share": "of the labels",
    "fact_source_iterators": "iterators",
    "fact_export_max_difference": "apart at the most",
}
RATE = (
    "Each interval is one of 95 %, uncorrected for their number: of cases right at "
    "their limit about 1 in 40 is called wrongly to either side. What is counted "
    "without error and compared with nothing has the range over its rounds instead."
)


def markdown(judged: pd.DataFrame) -> str:
    """Return a Markdown table with a line for each claim, for a README.

    A cell has the workloads with one verdict. A figure by turns is marked; all others
    are by rounds.

    Args:
        judged: The table from `claim_verdicts.evaluate`.
    """
    lines = [
        "| claim | predicted | holds | does not hold | not settled |",
        "| :-- | :-- | :-- | :-- | :-- |",
    ]
    for (sentence, source), part in judged.groupby(["sentence", "source"], sort=False):
        predicted = text.markdown(_predicted(part.iloc[0]))
        cells = [
            "; ".join(
                _short(row) for _, row in part[part["verdict"] == verdict].iterrows()
            )
            for verdict in (HOLDS, FAILS, UNSETTLED)
        ]
        if any(cells):
            claim = f"{text.markdown(sentence)} <sub>{text.markdown(source)}</sub>"
            lines.append(f"| {claim} | {predicted} | {' | '.join(cells)} |")
    for verdict in (UNTESTABLE, UNMEASURED):
        count = judged.loc[judged["verdict"] == verdict, "claim"].nunique()
        if count:
            lines += ["", f"{count} more: {verdict}."]
    return "\n".join([*lines, "", RATE])


def _predicted(row: pd.Series) -> str:
    """Return a claim's prediction as text, with its unit."""
    unit = UNITS.get(row["measure"], "times" if row["than"] else "")
    if row["predicted"] == "1":
        unit = unit.removesuffix("s")
    return f"{row['predicted']} {unit}".strip()


def _short(row: pd.Series) -> str:
    """Return a workload with its measured factor and interval, in Markdown."""
    case = _texts(row)
    factor = f" {case['factor']}" if case["factor"] else ""
    bounds = f" ({case['interval']})" if case["interval"] else ""
    by = f", by {TURNS}" if case["by"] == TURNS else ""
    return text.markdown(case["workload"] + factor + bounds + by)


def _texts(row: pd.Series) -> dict[str, str]:
    """Return a row of the table of tested claims with all values as text."""
    names = ("claim", "workload", "machine", "data", "sentence", "source", "predicted")
    names += ("measure", "trial", "than", "by", "verdict", "reason")
    values = row["factor"], row["low"], row["high"]
    return {
        **{name: str(row[name]) for name in names},
        "factor": text.figure(*values) if np.isfinite(row["factor"]) else "",
        "interval": text.bounds(*values) if row["low"] < row["high"] else "",
        "rounds": str(row["rounds"]),
    }


def show(judged: pd.DataFrame) -> None:
    """Print the tested claims as tables of at most 80 columns.

    Each claim's sentence is above the table of its workloads.

    Args:
        judged: The table from `claim_verdicts.evaluate`.
    """
    from rich.table import Table
    from rich.text import Text

    console = shell.console(width=80, highlight=False)
    many = judged[["machine", "data"]].drop_duplicates().shape[0] > 1
    for (name, sentence, source), part in judged.groupby(
        ["claim", "sentence", "source"], sort=False
    ):
        console.print(Text(f"{name}: {sentence}", style="bold"))
        console.print(Text(f"  [{source}]", style="dim"))
        grid = Table(box=None, show_header=False, padding=(0, 1), pad_edge=True)
        for ratio in (3, 3, 6):
            grid.add_column(ratio=ratio, overflow="fold")
        for case in (_texts(row) for _, row in _merged(part).iterrows()):
            where = f" on {case['machine']} {case['data']}".rstrip() if many else ""
            factor = f"{case['factor']} ({case['interval']})" if case["factor"] else ""
            factor = factor.replace(" ()", "")
            by = f"by {case['by']}" if case["by"] == TURNS else ""
            detail = "; ".join(p for p in (case["reason"], factor, by) if p)
            predicted = f"predicted {case['predicted']}"
            if case["verdict"] not in (UNMEASURED, UNTESTABLE):
                detail = "; ".join(p for p in (detail, predicted) if p)
            grid.add_row(
                Text(case["workload"] + where), Text(case["verdict"]), Text(detail)
            )
        console.print(grid)
    counts = judged["verdict"].value_counts()
    console.print(
        ", ".join(f"{counts[name]} {name}" for name in VERDICTS if name in counts)
    )
    console.print(RATE)


def _merged(part: pd.DataFrame) -> pd.DataFrame:
    """Return a claim's rows, merged into one row if no workload has a verdict."""
    blank = part["verdict"].isin((UNMEASURED, UNTESTABLE))
    names = part["workload"].drop_duplicates()
    if not blank.all() or part["verdict"].nunique() > 1 or len(names) == 1:
        return part
    more = f"{names.iloc[0]} and {len(names) - 1} more"
    return part.head(1).assign(workload=more)
