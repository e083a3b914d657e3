"""This module compares AUTOTUNE with the fixed settings that it replaces.

An autotuned trial is compared with its counterparts: trials on the same machine with
the same workload and consumer that have fixed values in the axes which the autotuned
trial leaves to AUTOTUNE, and are equal otherwise. The fastest counterpart is selected
by its estimate, which favours it a little. So a verdict of `faster` for AUTOTUNE is
more certain than `slower`. Fewer than three rounds give no verdict.
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
    """Compare each autotuned trial with the fastest trial that has fixed settings.

    Args:
        samples: The table from `table.from_runs`.
        runs: The runs of the table. Their tf.data graphs show the values that AUTOTUNE
            chose.
        most: The largest number of rows to return; None for all.

    Returns:
        A row of text for each autotuned trial: `title`, `machine`, `label` of the
        trial, `pinned` (the label of the trial with fixed settings), `factor` (how many
        times as fast AUTOTUNE is, with `interval`), `verdict` on AUTOTUNE and `picked`
        (the values that AUTOTUNE chose); and the number of rows beyond `most`.
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
    """Return a tuple (group, key, keys of its counterparts) for each autotuned trial.

    A counterpart leaves nothing to AUTOTUNE and equals the trial in all other axes.
    Trials without a counterpart are left out.
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
    """Return the report's row on an autotuned trial and its fastest counterpart."""
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
    """Return the key of the fastest trial, by the mean of its log times.

    Runs of reduced length, which only screened trials for a race, count only if no
    trial has a full run.
    """
    own = group[group["key"].isin(keys)]
    full = own[~own["short"]]
    means = (own if full.empty else full).groupby("key")["log_seconds"].mean()
    return means.idxmin()


def _picked(
    runs: Sequence[Run], wanted: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], str]:
    """Return the parallelism and buffer sizes that AUTOTUNE chose for each trial.

    They are text, read from the tf.data graph of a trial's last run. The dictionary's
    keys are pairs of a machine's label and a trial's key.
    """
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
