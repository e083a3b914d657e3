"""This module computes the time of a batch from the timed windows of a run.

A window is a number of consecutive batches that are timed together. A rate is examples
over seconds, so the time of a run is the mean of its windows. The mean includes work
that the pipeline does only now and then. The median would exclude a shuffle buffer that
refills once in a hundred windows, even if the refill takes longer than all other
windows together.

The time that other processes took is not a cost of the pipeline. The runs of a trial
have the same windows at the same places of the stream. A window that is long at one
place in most runs is a cost of the pipeline; a window that is long in one run is not.
So if other processes used the processors during a run, a window that is longer than the
other runs explain is replaced by their explanation. A run on a quiet machine keeps all
windows, so costs at changing places, such as a garbage collection, count.

results/method/places.md measures the gain on recorded turns, and
results/method/lumps.md the result on fifteen pipelines with costs of a known size.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from bench.trial import REQUESTING

QUIET = 0.05  # of all processors' time, the least that the counters show in a second
FEWEST_RUNS = 3  # of which most must agree on a place
BEYOND = 1.2  # times the explained length of a window; jitter is less
LONG = 2.0  # times the usual window
# Runs with equal values in these columns have the same windows at the same places.
LAYOUT = ("batches_per_sample", "start_batches", "samples", "input_fingerprint")


def centres(windows: np.ndarray) -> np.ndarray:
    """Return the typical length of the n-th window of a run, for each n, `[places]`.

    Lengths are relative: a window is divided by the median window of its run. The
    result is the median of these quotients over the runs.

    Args:
        windows: The seconds of each window, `[runs, places]`.
    """
    usual = np.median(windows, axis=1, keepdims=True)
    return np.median(windows / usual, axis=0)


def without_neighbours(windows: np.ndarray, quiet: np.ndarray) -> np.ndarray:
    """Return each run's mean window, less the time of other processes, `[runs]`.

    The unit is that of the windows. If the machine was not quiet, a window that is much
    longer than the same window of other runs is replaced by the length that those runs
    predict.

    Args:
        windows: The seconds of each window, `[runs, places]`.
        quiet: Whether the machine was quiet during the run, `[runs]`.
    """
    if len(windows) < FEWEST_RUNS:
        return windows.mean(axis=1)
    explained = centres(windows) * np.median(windows, axis=1, keepdims=True)
    disturbed = (windows > BEYOND * explained) & ~quiet[:, None]
    return np.where(disturbed, explained, windows).mean(axis=1)


def add(runs: pd.DataFrame, samples: pd.DataFrame) -> pd.DataFrame:
    """Add the mean and the median seconds a batch to the table of runs.

    `seconds_per_batch` is the mean, by which trials are compared;
    `usual_seconds_per_batch` is the median. The mean of epochs excludes the first one,
    which fills caches. The samples of `serve` are latencies of requests, so both
    columns are then the median.

    Args:
        runs: A row for each run, indexed by its number.
        samples: A row for each sample, from `table.from_runs`.
    """
    values = samples["seconds_per_batch"]
    whole = samples["unit"].eq("epoch") & samples["samples"].gt(1)
    counted = values.mask(whole & samples["sample"].eq(0))
    grouped = counted.groupby(samples["run"])
    usual = grouped.median().reindex(runs.index)
    mean = grouped.mean().reindex(runs.index)
    mean = mean.mask(runs["consumer"].isin(REQUESTING), usual)
    mean.update(_cleaned(runs, samples))
    return runs.assign(seconds_per_batch=mean, usual_seconds_per_batch=usual)


def stalls(runs: pd.DataFrame, samples: pd.DataFrame) -> pd.DataFrame:
    """Return the longest window of each trial, and how much longer it is than usual.

    Args:
        runs: A row for each run, indexed by its number.
        samples: A row for each sample, from `table.from_runs`.

    Returns:
        `machine` and `key`; `stall_width` and `stall_epoch`, the batches in a window
        and in an epoch; `stall_factor`, the length of the longest window over that of
        the usual window; `stall_batch`, the batch of the epoch at which the longest
        window begins, NaN if the length of an epoch is unknown; `stall_windows`, the
        number of timed windows; `stall_count`, the number of windows above `LONG` times
        the usual one.
    """
    timed = runs[runs["unit"].eq("window") & runs["seconds_per_batch"].notna()]
    timed = timed[~timed["consumer"].isin(REQUESTING)]
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
    """Return mean seconds a batch without the time of other processes, by run.

    The result lacks runs that other processes did not disturb.
    """
    quiet = runs["foreign_share"].fillna(1.0) <= QUIET
    timed = runs["unit"].eq("window") & ~runs["consumer"].isin(REQUESTING)
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
    """Return whether the n-th window of a run has the same examples as in other runs.

    A shuffle draws a new order for each iterator. The first run of a trial, which
    determines the windows of the later runs, makes more iterators than they do.
    """
    shuffled = runs["shuffle_buffer"].gt(0) & ~runs["laid_alike"]
    return runs["epoch_batches"].gt(0) & runs["deterministic"] & ~shuffled


def _by_run(samples: pd.DataFrame) -> dict[int, np.ndarray]:
    """Return the seconds a batch of each run's samples, by the number of the run."""
    values = samples["seconds_per_batch"].to_numpy()
    indices = samples.groupby("run", sort=False).indices
    return {run: values[rows] for run, rows in indices.items()}
