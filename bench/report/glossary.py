"""What the words of a report mean: those that it uses, and no others."""

from __future__ import annotations

import pandas as pd

from bench.flags import FLAGS, UNSAID
from bench.pipeline import STRATEGIES

CONSUMERS = {
    "drain": "batches are pulled as fast as they come, and nothing is done with them: "
    "the speed of the input pipeline alone.",
    "train": "a model is trained on the batches: the speed of both together.",
    "model": "a model is trained on one batch that is there: the speed of the model "
    "alone.",
    "serve": "a model answers one request after the other, preprocessing included.",
}
MEANINGS = {
    "naive": "examples are mapped one at a time, then batched; nothing in parallel, no "
    "prefetch, no cache",
    "vectorized": "batched first, then a batch is mapped at once",
    "parallel": "as naive, two map calls at a time",
    "prefetched": "as naive, two batches are prepared ahead",
    "cached_raw": "as naive, what was read is kept before map",
    "cached_mapped": "as naive, mapped examples are kept, so only the first epoch maps",
    "autotuned": "batched first; tf.data itself chooses parallel calls and prefetch",
    "in_model": "the layers run within the model, two batches are prepared ahead",
    "offline": "examples are mapped once before, and stored; two batches are prepared "
    "ahead",
}
MARKS = {name: flag.mark for name, flag in FLAGS.items()}
MARKS |= {"not_steady": "not steady", "unstable": "unstable"}
MARKED = {name: flag.meaning for name, flag in FLAGS.items()}
MARKED |= {
    "not_steady": "samples still rose or fell while they were timed.",
    "unstable": "runs differ by more than 10 %.",
}


def marks(row: pd.Series | dict[str, object]) -> list[str]:
    """What weakens a trial, by the names of `MARKS`; an unknown flag is itself."""
    found = [flag for flag in row["flags"].split(";") if flag and flag != UNSAID]
    found += [name for name in ("unstable", "not_steady") if row[name]]
    return list(dict.fromkeys(found))


def entries(trials: pd.DataFrame) -> list[tuple[str, str]]:
    """Terms of this report and their meanings, in the order of reading."""
    if trials.empty:
        return []
    found = [(n, CONSUMERS[n]) for n in CONSUMERS if n in set(trials["consumer"])]
    used = {row.partition(",")[0] for row in trials["label"]}
    used |= {"naive"} if any("=" in name for name in used) else set()
    for name, settings in STRATEGIES.items():
        if name in used:
            spelled = ", ".join(f"{axis}={value}" for axis, value in settings.items())
            end = f" ({spelled})." if settings else "."
            found.append((name, MEANINGS[name] + end))
    if any("=" in label for label in trials["label"]):
        found.append(("name=value", "a setting that differs from the plain pipeline."))
    needed = trials[["flags", "unstable", "not_steady"]].to_dict("records")
    marked = {mark for row in needed for mark in marks(row)}
    found += [(MARKS[mark], MARKED[mark]) for mark in MARKS if mark in marked]
    cut = int(trials["flags"].str.contains(UNSAID).sum())
    if cut:
        text = (
            f"in {cut} of {len(trials)} trials it ended by its time limit; where "
            "samples were then still drifting, a mark says so."
        )
        found.append(("warm-up", text))
    return found


def about(samples: pd.DataFrame) -> str:
    """What was measured, and when: `quick, 2026-11-21`; plain text."""
    sweeps = [name for name in samples["sweep"].unique() if name]
    days = sorted(str(started)[:10] for started in samples["started"].unique())
    when = " to ".join(dict.fromkeys([days[0], days[-1]])) if days else ""
    more = [f"{len(sweeps) - 3} more"] if len(sweeps) > 3 else []
    return ", ".join([*sweeps[:3], *more, *([when] if when else [])])
