"""What AUTOTUNE picked, and whether it beat the same pipeline without it.

An autotuned trial is compared with the trials of its scene that differ from it in
nothing but the axes that take `autotune`, pinned in these or left at none. The fastest
of several is taken by its estimate, which favours it a little: a verdict of `faster`
for AUTOTUNE is the surer one. Fewer than three rounds give no verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from bench import pairs, words
from bench.pipeline import AXES, allowed
from bench.table import machine_labels
from bench.trial import Run

TUNED = tuple(name for name in AXES if "autotune" in allowed(name)[0])
VERDICTS = {"faster": "helped", "slower": "cost speed", "unchanged": "as fast"}


def rows(
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
    if samples.empty:
        return [], 0
    frame = pairs.measured(samples, "strategy")
    spelled = frame[list(TUNED)].astype(str)
    frame = frame.assign(tuned=(spelled == "autotune").any(axis=1))
    by = pairs.all_but(*TUNED)
    tuned = frame.groupby(by, sort=False)["tuned"]
    both = tuned.transform("any") & ~tuned.transform("all")
    frame = frame[both]
    whole = len(frame[frame["tuned"]].drop_duplicates(["machine", "key"]))
    most = whole if most is None else most
    found = []
    for _, group in frame.groupby(by, sort=False):
        if len(found) >= most:
            break
        found += _compared(group)
    found = found[:most]
    picked = _picked(runs, {row["pair"] for row in found})
    for row in found:
        row["picked"] = picked.get(row.pop("pair"), "-")
    return found, whole - len(found)


def _compared(group: pd.DataFrame) -> list[dict[str, object]]:
    pinned = group[~group["tuned"]].groupby("key")["log_seconds"].mean().idxmin()
    first = group.drop_duplicates("key").set_index("key")
    made = []
    tuned = first[first["tuned"]]
    seconds = pairs.seconds(group, [pinned, *tuned.index])
    for number, (key, row) in enumerate(tuned.iterrows(), 1):
        took = pairs.ratio(seconds[:, number], seconds[:, 0])
        speed = pairs.ratio(seconds[:, 0], seconds[:, number])
        values = speed.estimate, speed.low, speed.high
        verdict = pairs.verdict(took, row["consumer"])
        made.append(
            {
                "pair": (row["machine"], key),
                "title": words.title(row),
                "machine": words.visible(row["machine"]),
                "label": words.visible(row["label"], 80),
                "pinned": words.visible(first.loc[pinned, "label"], 80),
                "factor": words.figure(*values),
                "interval": words.bounds(*values),
                "verdict": VERDICTS.get(verdict, "cannot tell"),
            }
        )
    return made


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
        name = words.visible(node.get("name", "?"), 60)
        said += [f"{name}: {', '.join(parts)}"] if parts else []
    return said
