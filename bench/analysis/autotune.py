"""This module compares AUTOTUNE with the fixed settings that it replaces.

An autotuned trial is compared with the trials of its scene that differ only in the axes
that the trial leaves to AUTOTUNE; these axes have fixed values in the other trials. The
fastest of several such trials is chosen by its estimate, which favours it a little. So
a verdict of `faster` for AUTOTUNE is more certain than `slower`. Fewer than three
rounds have no verdict.
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


def comparisons(
    samples: pd.DataFrame, runs: Sequence[Run], most: int | None = None
) -> tuple[list[dict[str, str]], int]:
    """Compare each autotuned trial with the fastest of its fixed counterparts.

    Args:
        samples: The table from `table.from_runs`.
        runs: The runs of the table, for the graphs that ran.
        most: The most rows; None for all.

    Returns:
        A row of text for each trial: `title`, `machine`, `label` of the autotuned trial
        and `pinned` of its counterpart, `factor` (how many times as fast AUTOTUNE is,
        with `interval`), `verdict` on AUTOTUNE and the values that AUTOTUNE `picked`;
        and the number of further rows.
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
    rows = [
        _compared(frame.iloc[places[group]], key, rivals)
        for group, key, rivals in comparable[:most]
    ]
    picked = _picked(runs, {row["pair"] for row in rows})
    for row in rows:
        row["picked"] = picked.get(row.pop("pair"), "-")
    return rows, len(comparable) - len(rows)


def _comparable(frame: pd.DataFrame) -> list[tuple[int, str, list[str]]]:
    """Return group and key of each autotuned trial, with the keys of its counterparts.

    A counterpart leaves nothing to AUTOTUNE and equals the trial in every fixed axis.
    """
    trials = frame.drop_duplicates(["group", "key"]).sort_values("group", kind="stable")
    rows = trials[["group", "key", "tuned", *TUNED]].to_dict("records")
    pinned: dict[int, list[dict[str, object]]] = {}
    for row in rows:
        if not row["tuned"]:
            pinned.setdefault(row["group"], []).append(row)
    comparable = []
    for row in (row for row in rows if row["tuned"]):
        fixed = [name for name in TUNED if row[name] != "autotune"]
        alike = [
            rival["key"]
            for rival in pinned.get(row["group"], [])
            if all(rival[name] == row[name] for name in fixed)
        ]
        if alike:
            comparable.append((row["group"], row["key"], alike))
    return comparable


def _compared(
    group: pd.DataFrame, key: str, rivals: Sequence[str]
) -> dict[str, object]:
    """Compare an autotuned trial with the fastest of its counterparts."""
    pinned = _fastest(group, rivals)
    first = group.drop_duplicates("key").set_index("key")
    row = first.loc[key]
    seconds = pairs.seconds(group, [pinned, key])
    took = pairs.ratio(seconds[:, 1], seconds[:, 0])
    speed = pairs.ratio(seconds[:, 0], seconds[:, 1])
    values = speed.estimate, speed.low, speed.high
    return {
        "pair": (row["machine"], key),
        "title": text.scene_title(row),
        "machine": text.visible(row["machine"]),
        "label": text.visible(row["label"], 80),
        "pinned": text.visible(first.loc[pinned, "label"], 80),
        "factor": text.figure(*values),
        "interval": text.bounds(*values),
        "verdict": pairs.verdict(took, row["consumer"]),
    }


def _fastest(group: pd.DataFrame, keys: Sequence[str]) -> str:
    """Return the key of the fastest trial, by its full runs where there are some."""
    own = group[group["key"].isin(keys)]
    full = own[~own["short"]]
    means = (own if full.empty else full).groupby("key")["log_seconds"].mean()
    return means.idxmin()


def _picked(
    runs: Sequence[Run], wanted: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], str]:
    """Return the parallelism and buffers in the last graph, by machine and key."""
    wanted = set(wanted)
    picked = {}
    for run, label in zip(runs, machine_labels(runs), strict=True):
        pair = label, run.key
        if pair in wanted and run.measured.graph:
            picked[pair] = "; ".join(_nodes(run)) or "nothing"
    return picked


def _nodes(run: Run) -> list[str]:
    nodes = []
    for node in run.measured.graph:
        parts = [
            f"{name} {float(node[field]):g}"
            for field, name in (("parallelism", "parallel"), ("buffer_size", "buffer"))
            if node.get(field)
        ]
        name = text.visible(node.get("name", "?"), 60)
        nodes += [f"{name}: {', '.join(parts)}"] if parts else []
    return nodes
