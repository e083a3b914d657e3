"""What AUTOTUNE picked, and whether it beat the same pipeline without it.

An autotuned trial is compared with the trials of its scene that differ from it in
nothing but the axes that it leaves to AUTOTUNE, pinned in these or left at none. The
fastest of several is taken by its estimate, which favours it a little: a verdict of
`faster` for AUTOTUNE is the surer one. Fewer than three rounds give no verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from bench import text
from bench.analysis import pairs
from bench.analysis.table import machine_labels
from bench.pipeline import AXES, allowed
from bench.trial import Run

TUNED = tuple(name for name in AXES if "autotune" in allowed(name)[0])
VERDICTS = {"faster": "helped", "slower": "cost speed", "unchanged": "as fast"}


def comparisons(
    samples: pd.DataFrame, runs: Sequence[Run], most: int | None = None
) -> tuple[list[dict[str, str]], int]:
    """A row of text for each autotuned trial that has a pinned one to compare with.

    Args:
        samples: From `table.from_runs`.
        runs: The records behind it, for the graphs that ran.
        most: Rows to make; all if not given.

    Returns:
        The rows, and how many more there are.
    """
    frame = samples if samples.empty else pairs.measured(samples, "strategy")
    if frame.empty:
        return [], 0
    frame = frame.assign(
        tuned=(frame[list(TUNED)].astype(str) == "autotune").any(axis=1),
        group=frame.groupby(pairs.all_but(*TUNED), sort=False).ngroup(),
    )
    comparable = _comparable(frame)
    places = frame.groupby("group").indices
    found = [
        _compared(frame.iloc[places[group]], key, rivals)
        for group, key, rivals in comparable[:most]
    ]
    picked = _picked(runs, {row["pair"] for row in found})
    for row in found:
        row["picked"] = picked.get(row.pop("pair"), "-")
    return found, len(comparable) - len(found)


def _comparable(frame: pd.DataFrame) -> list[tuple[int, str, list[str]]]:
    """Group and key of each tuned trial, and the keys of the pinned ones alike, if any.

    Alike is what leaves nothing to AUTOTUNE and is equal in all that this one fixes.
    """
    trials = frame.drop_duplicates(["group", "key"]).sort_values("group", kind="stable")
    rows = trials[["group", "key", "tuned", *TUNED]].to_dict("records")
    pinned: dict[int, list[dict[str, object]]] = {}
    for row in rows:
        if not row["tuned"]:
            pinned.setdefault(row["group"], []).append(row)
    found = []
    for row in (row for row in rows if row["tuned"]):
        fixed = [name for name in TUNED if row[name] != "autotune"]
        alike = [
            rival["key"]
            for rival in pinned.get(row["group"], [])
            if all(rival[name] == row[name] for name in fixed)
        ]
        if alike:
            found.append((row["group"], row["key"], alike))
    return found


def _compared(
    group: pd.DataFrame, key: str, rivals: Sequence[str]
) -> dict[str, object]:
    """A tuned trial beside the fastest of its rivals."""
    pinned = _fastest(group, rivals)
    first = group.drop_duplicates("key").set_index("key")
    row = first.loc[key]
    seconds = pairs.seconds(group, [pinned, key])
    took = pairs.ratio(seconds[:, 1], seconds[:, 0])
    speed = pairs.ratio(seconds[:, 0], seconds[:, 1])
    values = speed.estimate, speed.low, speed.high
    verdict = pairs.verdict(took, row["consumer"])
    return {
        "pair": (row["machine"], key),
        "title": text.title(row),
        "machine": text.visible(row["machine"]),
        "label": text.visible(row["label"], 80),
        "pinned": text.visible(first.loc[pinned, "label"], 80),
        "factor": text.figure(*values),
        "interval": text.bounds(*values),
        "verdict": VERDICTS.get(verdict, "cannot tell"),
    }


def _fastest(group: pd.DataFrame, keys: Sequence[str]) -> str:
    """By all runs but those short ones that chose who raced, where there are others."""
    own = group[group["key"].isin(keys)]
    full = own[~own["short"]]
    means = (own if full.empty else full).groupby("key")["log_seconds"].mean()
    return means.idxmin()


def _picked(
    runs: Sequence[Run], wanted: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], str]:
    """Parallelism and buffers of the last graph that ran, by machine and key."""
    wanted = set(wanted)
    found = {}
    for run, label in zip(runs, machine_labels(runs), strict=True):
        pair = label, run.key
        if pair in wanted and run.measured.graph:
            found[pair] = "; ".join(_nodes(run)) or "nothing"
    return found


def _nodes(run: Run) -> list[str]:
    said = []
    for node in run.measured.graph:
        parts = [
            f"{name} {float(node[field]):g}"
            for field, name in (("parallelism", "parallel"), ("buffer_size", "buffer"))
            if node.get(field)
        ]
        name = text.visible(node.get("name", "?"), 60)
        said += [f"{name}: {', '.join(parts)}"] if parts else []
    return said
