"""This module warns of uneven time: long windows, and untimed parts of an epoch.

A window is a number of batches that are timed together; a long one is a lump. A trial's
rate counts all its time. Where the rate differs from the usual rate, a caution gives
the cause. Where only a part of an epoch was timed, a caution gives the share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from bench.flags import FLAGS
from bench.report.labels import names
from bench.report.sentences import Caution, listed
from bench.text import figure

WORTH_SAYING = 1.05  # times: mean over usual seconds
WHOLE = 0.995  # of an epoch
NOT_WHOLE = f"Not ranked. {FLAGS['partly_timed'].remedy}"
PART = "Each rate is that of the timed examples; --unit epoch times all examples."
NEEDED = (
    *("mean_over_usual", "usual_examples_per_second", "stall_factor", "stall_batch"),
    *("stall_windows", "stall_count", "stall_epoch", "stall_width"),
    *("fact_share_timed", "fact_recurs", "fact_not_timed"),
)

Row = Mapping[str, object]


def cautions(rows: Sequence[Row]) -> list[Caution]:
    """Return cautions about trials that were timed in part, or that have long windows.

    Args:
        rows: The rows of one scene from `stats.trials`, with `NEEDED` where known.
    """
    short_names = names([row["label"] for row in rows])
    warnings, parts = [], []
    for row in rows:
        name, share = short_names[row["label"]], _share(row)
        left = row.get("fact_not_timed")
        if isinstance(left, str) and left:
            part = f"partly timed: {share} of an epoch was timed, and not how {left}."
            warnings.append(Caution(f"{name}: {part}", NOT_WHOLE))
        elif share:
            parts.append(f"{share} ({name})")
        lump = sentence(row)
        if lump:
            usual = f"{figure(row['usual_examples_per_second'])} examples a second"
            remedy = f"The rate counts this; the usual one is {usual}."
            warnings.append(Caution(f"{name}: {lump}", remedy))
    if parts:
        what = f"A part of an epoch was timed: {listed(parts)}."
        warnings.append(Caution(what, PART))
    return warnings


def sentence(row: Row) -> str:
    """Return a sentence on a trial's windows that take longer than usual.

    A window is a number of batches that are timed together. The text is empty if no
    window matters.

    Args:
        row: A trial's row from `stats.trials`, with `NEEDED` where known.
    """
    mean = row.get("mean_over_usual")
    if not mean or pd.isna(mean) or not mean > WORTH_SAYING:
        return ""
    factor, windows = row.get("stall_factor"), row.get("stall_windows")
    count = max(1, int(row.get("stall_count") or 0)) if factor == factor else 0
    if not count or factor < 2:
        return f"its mean time is {figure(mean)} times its usual one."
    each = f"one window in {round(windows / count)}"
    which = each if count > 1 else f"one of {int(windows)} windows"
    return f"{which} takes up to {figure(factor)} times as long as usual{_why(row)}."


def _why(row: Row) -> str:
    """Return as text where in the epoch the longest window is, or its known cause."""
    batch, epoch = row["stall_batch"], row["stall_epoch"]
    if pd.isna(batch) or not epoch > 1:
        return ""
    width = row["stall_width"]
    at_start = batch < width or batch + width > epoch
    recurs = row.get("fact_recurs")
    if at_start and isinstance(recurs, str) and recurs:
        return f": {recurs}"
    if width >= epoch:  # the window is the epoch, so it has no place in it
        return ""
    last = min(batch + width, epoch)
    several = f"batches {batch:,.0f} to {last:,.0f}"
    where = f"batch {batch:,.0f}" if width == 1 else several
    begins = " where an epoch begins," if at_start else ""
    return f",{begins} at {where} of {epoch:,.0f}"


def _share(row: Row) -> str:
    """Return the timed share of an epoch as text; empty if it is all, or unknown."""
    share = row.get("fact_share_timed", np.nan)
    known = not pd.isna(share) and share < WHOLE
    return f"{100 * share:.2g} %" if known else ""
