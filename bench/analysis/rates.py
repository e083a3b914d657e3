"""From the windows of runs to the time a batch took: all of it, by the pipeline alone.

A rate is examples over seconds, so a run's time is the mean of its windows: whatever
the pipeline does only now and then is in it. The median would leave out a shuffle that
refills once in a hundred windows and takes longer than all others together.

What other processes took is not the pipeline's. Runs of a trial have the same windows
at the same places of the stream, where they read the same examples in the same order.
What is long at one place in most of them is a cost of the pipeline; what is long in one
of them is not. So where others took a share of the processors while a run was timed,
a window that is longer than its place in the other runs explains is replaced by what
the place explains. A run beside which nobody worked keeps all its windows, so that
costs which come at changing places, as of a garbage collection, are counted.

Recorded turns show what this gains (results/method/places.md), and fifteen pipelines
with costs of a known size what it gives (results/method/lumps.md).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

QUIET = 0.05  # of all processors' time; the counters tell no less of a second
FEWEST_RUNS = 3  # of which most must agree on a place
BEYOND = 1.2  # times what a place explains: more is not the jitter of a window
LONG = 2.0  # times the usual window
# Runs with the same of these have the same windows at the same places.
LAYOUT = ("batches_per_sample", "start_batches", "samples", "input_fingerprint")


def centres(windows: np.ndarray) -> np.ndarray:
    """How long each place takes as a multiple of its run's usual window, `[places]`.

    Args:
        windows: Seconds, `[runs, places]`.
    """
    usual = np.median(windows, axis=1, keepdims=True)
    return np.median(windows / usual, axis=0)


def without_neighbours(windows: np.ndarray, quiet: np.ndarray) -> np.ndarray:
    """Mean seconds of each run, less what neighbours took of it, `[runs]`.

    Args:
        windows: Seconds, `[runs, places]`, the same places in all runs.
        quiet: Whether nobody else worked meanwhile, `[runs]`.
    """
    if len(windows) < FEWEST_RUNS:
        return windows.mean(axis=1)
    explained = centres(windows) * np.median(windows, axis=1, keepdims=True)
    theirs = (windows > BEYOND * explained) & ~quiet[:, None]
    return np.where(theirs, explained, windows).mean(axis=1)


def add(runs: pd.DataFrame, samples: pd.DataFrame) -> pd.DataFrame:
    """Runs with what their windows say.

    Adds `seconds_per_batch`, the mean that trials are compared by, and
    `usual_seconds_per_batch`, the median. Epochs are averaged without the first, which
    fills caches. Calls of `serve` are latencies, of which the median stands.

    Args:
        runs: A row a run, by its number.
        samples: A row a sample, from `table.from_runs`.
    """
    values = samples["seconds_per_batch"]
    whole = samples["unit"].eq("epoch") & samples["samples"].gt(1)
    counted = values.mask(whole & samples["sample"].eq(0))
    grouped = counted.groupby(samples["run"])
    usual = grouped.median().reindex(runs.index)
    mean = grouped.mean().reindex(runs.index)
    mean = mean.mask(runs["consumer"].eq("serve"), usual)
    mean.update(_cleaned(runs, samples))
    return runs.assign(seconds_per_batch=mean, usual_seconds_per_batch=usual)


def stalls(runs: pd.DataFrame, samples: pd.DataFrame) -> pd.DataFrame:
    """The longest window of each trial.

    Columns: `machine` and `key`; `stall_width`, batches in a window, and `stall_epoch`,
    in an epoch; `stall_factor`, its time as a multiple of the usual
    one's, at the place where most runs have it; `stall_batch`, where in an epoch that
    is, in batches; NaN where the length of an epoch is not known; `stall_windows`, how
    many windows were timed; `stall_count`, how many took more than `LONG` times the
    usual time.

    Args:
        runs: A row a run, by its number.
        samples: A row a sample, from `table.from_runs`.
    """
    timed = runs[runs["unit"].eq("window") & runs["seconds_per_batch"].notna()]
    timed = timed[timed["consumer"].ne("serve")]
    values = _by_run(samples)
    rows = []
    for (machine, key), some in timed.groupby(["machine", "key"], sort=False):
        alike = max((g for _, g in some.groupby(list(LAYOUT), sort=False)), key=len)
        place = centres(np.stack([values[run] for run in alike.index]))
        at, first = int(place.argmax()), alike.iloc[0]
        start = first["start_batches"] + at * first["batches_per_sample"]
        epoch = first["epoch_batches"]
        where = start % epoch if epoch > 0 else np.nan
        many = int((place > LONG).sum())
        width = first["batches_per_sample"]
        rows.append((machine, key, width, epoch, place[at], where, len(place), many))
    names = ("stall_width", "stall_epoch", "stall_factor", "stall_batch")
    names += ("stall_windows", "stall_count")
    return pd.DataFrame(rows, columns=["machine", "key", *names])


def _cleaned(runs: pd.DataFrame, samples: pd.DataFrame) -> pd.Series:
    """The means of runs that stood beside others, with what these took taken out."""
    quiet = runs["foreign_share"].fillna(1.0) <= QUIET
    timed = runs["unit"].eq("window") & runs["consumer"].ne("serve")
    placed = runs[timed & _in_place(runs) & runs["error"].eq("")]
    values = _by_run(samples) if not quiet[placed.index].all() else {}
    means = [pd.Series(dtype=float)]
    by = ["folder", "machine", "key", *LAYOUT]
    for _, alike in placed.groupby(by, sort=False):
        own = quiet[alike.index].to_numpy()
        if len(alike) >= FEWEST_RUNS and not own.all():
            windows = np.stack([values[run] for run in alike.index])
            cleaned = without_neighbours(windows, own)
            means.append(pd.Series(cleaned, index=alike.index))
    return pd.concat(means)


def _in_place(runs: pd.DataFrame) -> pd.Series:
    """Whether each run meets the same examples at the same places as others do.

    A shuffle draws anew for each iterator, and the first run, which lays the windows,
    makes more of them than those that lay theirs alike.
    """
    shuffled = runs["shuffle_buffer"].gt(0) & ~runs["laid_alike"]
    return runs["epoch_batches"].gt(0) & runs["deterministic"] & ~shuffled


def _by_run(samples: pd.DataFrame) -> dict[int, np.ndarray]:
    """Seconds a batch of each run's samples, by its number."""
    values = samples["seconds_per_batch"].to_numpy()
    indices = samples.groupby("run", sort=False).indices
    return {run: values[rows] for run, rows in indices.items()}
