"""The glossary of a report explains the words that this report uses, and no others."""

from __future__ import annotations

import pandas as pd

from bench.flags import FLAGS, UNMARKED
from bench.pipeline import STRATEGIES
from bench.trial import CONSUMER_ROWS

MEANINGS = {
    "naive": "examples are mapped one at a time, then batched, without parallel calls, "
    "prefetch and cache",
    "vectorized": "examples are batched first, then each batch is mapped in one call",
    "parallel": "as naive, but two map calls run at a time",
    "prefetched": "as naive, but two batches are prepared ahead",
    "cached_raw": "as naive, but a cache before map holds the records",
    "cached_mapped": "as naive, but a cache after map holds the mapped examples, so "
    "only the first epoch maps",
    "autotuned": "examples are batched first; tf.data itself chooses parallel calls "
    "and prefetch",
    "in_model": "the layers run within the model; two batches are prepared ahead",
    "offline": "examples are mapped once beforehand and stored; two batches are "
    "prepared ahead",
}
MARKS = {name: flag.mark for name, flag in FLAGS.items()}
MARKS |= {"not_steady": "not steady", "unstable": "unstable"}
MARKED = {name: flag.meaning for name, flag in FLAGS.items()}
MARKED |= {
    "not_steady": "samples still rose or fell while they were timed.",
    "unstable": "runs differ by more than 10 % (standard deviation).",
}
JOULES = (
    "energy, counted for whole processor packages (RAPL) or GPUs (NVML), other "
    "processes included."
)


def marks(row: pd.Series | dict[str, object]) -> list[str]:
    """Return the names of facts that weaken a trial's result, such as `unstable`.

    They are keys of `MARKS`, or flags that this version does not know. The list is
    empty if nothing weakens the result.

    Args:
        row: The trial's row, with `flags`, `unstable` and `not_steady`.
    """
    names = [flag for flag in row["flags"].split(";") if flag and flag != UNMARKED]
    names += [name for name in ("unstable", "not_steady") if row[name]]
    return list(dict.fromkeys(names))


def entries(trials: pd.DataFrame, *, joules: bool = False) -> list[tuple[str, str]]:
    """Return the terms that this report uses, with their meanings, in reading order.

    Args:
        trials: The table from `stats.trials`.
        joules: Whether the report shows energy.
    """
    if trials.empty:
        return []
    used = set(trials["consumer"])
    terms = [(n, row.meaning) for n, row in CONSUMER_ROWS.items() if n in used]
    used = {row.partition(",")[0] for row in trials["label"]}
    used |= {"naive"} if any("=" in name for name in used) else set()
    for name, settings in STRATEGIES.items():
        if name in used:
            axes = ", ".join(f"{axis}={value}" for axis, value in settings.items())
            terms.append((name, MEANINGS[name] + (f" ({axes})." if axes else ".")))
    if any("=" in label for label in trials["label"]):
        terms.append(("name=value", "a setting that differs from the plain pipeline."))
    needed = trials[["flags", "unstable", "not_steady"]].to_dict("records")
    marked = {mark for row in needed for mark in marks(row)}
    terms += [(MARKS[mark], MARKED[mark]) for mark in MARKS if mark in marked]
    cut = int(trials["flags"].str.contains(UNMARKED).sum())
    if cut:
        meaning = (
            f"in {cut} of {len(trials)} trials the warm-up ended by its time limit; "
            "a mark names the trials whose samples then still drifted."
        )
        terms.append(("warm-up", meaning))
    return [*terms, ("joules", JOULES)] if joules else terms


def about(samples: pd.DataFrame) -> str:
    """Return the names of the sweeps and the days of a report: `quick, 2026-11-21`."""
    sweeps = [name for name in samples["sweep"].unique() if name]
    days = sorted(str(started)[:10] for started in samples["started"].unique())
    when = " to ".join(dict.fromkeys([days[0], days[-1]])) if days else ""
    more = [f"{len(sweeps) - 3} more"] if len(sweeps) > 3 else []
    return ", ".join([*sweeps[:3], *more, *([when] if when else [])])
