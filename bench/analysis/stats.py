"""This module turns the table of samples into a row for each run and each trial.

The unit of evidence is a run, that is one process. Samples of one process share its
memory layout, its threads and its neighbours, so a test over all samples pooled finds
differences where there are none. Each run gives one figure, the mean of its samples;
see `rates`.

- A trial's time is the geometric mean of its runs' means, with a t interval on the log
  scale over the runs.
- Two trials are compared by the log-ratio of their runs' means within each round, with
  a t interval over the rounds: whatever is slow for a whole round cancels.
- Trials are compared only within a scene: same machine and versions, same workload,
  consumer, unit and input.
- Where many trials are compared with one trial, verdicts hold jointly (Holm's method),
  and each interval holds 95 % by itself. Fewer than three rounds give no verdict.
- The best trial of a scene takes the least time once its rounds are allowed for; see
  `rounds`. The same rounds choose the best and measure its lead, which flatters the
  lead; by how much is in results/method/README.md.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import stats as distributions

from bench.analysis import rates, rounds
from bench.analysis.decisions import FEWEST_ROUNDS, MARGINS, joint
from bench.analysis.intervals import bounds, moments
from bench.analysis.rounds import ROUND, within_rounds
from bench.analysis.table import CONDITIONS, SCENE
from bench.flags import NOT_RANKED

COSTS = ("cpu_seconds_per_example", "peak_resident_bytes", "offline_seconds")
TREND_CHANGE = 0.05
TREND_P = 0.01
TREND_SAMPLES = 8
UNSTABLE_SPREAD = 0.10  # standard deviation between runs; a 5-run interval of +-12 %


def _cached(function: Callable) -> Callable:
    """Decorate a function so that it reuses its result while the table is the same."""
    last: dict[str, object] = {}

    @functools.wraps(function)
    def wrapped(table: pd.DataFrame) -> pd.DataFrame:
        if "table" not in last or last["table"]() is not table:
            last["result"], last["table"] = function(table), weakref.ref(table)
        return last["result"].copy(deep=False)

    return wrapped


@_cached
def runs(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each run, with the mean of its samples; see `rates`.

    A run that met heavy load of other processes is repeated, and the table has both
    runs. The result has only the run that met less load.

    Args:
        table: A row a sample, from `table.from_runs`.

    Returns:
        The columns of the run, and `log_seconds`, the log of the mean seconds an
        example; `usual_log_seconds`, the log of the median; `trending`, whether its
        samples still rise or fall; `short`, whether the run only screened trials for a
        race (see `rounds`).
    """
    frame = table.drop_duplicates("run").set_index("run", drop=False)
    frame = frame.drop(columns=["sample", "examples_per_second"]).rename_axis(None)
    frame = rates.add(frame, table)
    size = frame["batch_size"].to_numpy(float)
    trending = pd.Series(False, index=frame.index)
    for count, numbers in frame.groupby("samples").groups.items():
        if count >= TREND_SAMPLES:
            rows = table["run"].isin(numbers)
            values = table.loc[rows, "seconds_per_batch"].to_numpy().reshape(-1, count)
            trending[table.loc[rows, "run"].to_numpy()[::count]] = trends(values)
    frame = frame.assign(
        log_seconds=np.log(frame["seconds_per_batch"].to_numpy(float) / size),
        usual_log_seconds=np.log(frame.pop("usual_seconds_per_batch") / size),
        trending=trending,
    )
    frame = frame[~_superseded(frame)]
    scene = frame.groupby(list(SCENE), sort=False).ngroup().to_numpy()
    return frame.assign(short=rounds.short(frame, scene))


def barred(flags: pd.Series) -> pd.Series:
    """Return whether each run has a flag that excludes its trial from ranking.

    Args:
        flags: The flags of each run, joined by `;`.
    """
    return flags.str.contains("|".join(NOT_RANKED))


def _superseded(runs: pd.DataFrame) -> pd.Series:
    """Return whether each run is replaced by another run of the same trial and round.

    Of such runs only the one with the least load of other processes is not replaced.
    """
    load = runs["steal_share"].fillna(0) + runs["foreign_cpu_share"].fillna(0)
    load = load.where(runs["error"].eq(""), np.inf)
    by = [runs[name] for name in (*ROUND, "machine", "key")]
    return load.groupby(by).rank(method="first") > 1


@_cached
def trials(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each trial, with its speed and its speed ratios in its scene.

    A scene is a set of trials that may be compared with one another. Screening runs,
    the short runs that open a race, do not count beside full ones; see `rounds`.

    Args:
        table: A row a sample, from `table.from_runs`.

    Returns:
        The columns of the trial, and
        - `scene`, the scene's number; `runs` and `failed`, how many there are;
        - `seconds_per_batch`, `examples_per_second`, and `factor`, how many times as
          fast as the scene's `baseline` the trial is, each with `_low` and `_high`;
          `pairs`, the rounds behind the factor; `verdict` on the trial against the
          baseline;
        - `best`, whether the trial is the scene's best; `lead`, how many times as fast
          as this trial the best is, with `lead_low`, `lead_high`, `lead_pairs` (the
          rounds behind the lead) and `lead_verdict` (`faster`: the best is faster);
        - `spread`, the relative standard deviation between runs; `unstable`,
          `not_steady`, `ranked`;
        - `usual_examples_per_second`, and `mean_over_usual`, the ratio of the mean time
          to the usual time;
        - the columns of `conditions` and of `rates.stalls`.
    """
    frame = runs(table)
    if frame.empty:
        return frame.assign(scene=[], label=[])
    identity = ["machine", "key"]
    trial = frame.groupby(identity, sort=False).ngroup().to_numpy()
    result = frame.drop_duplicates(identity).reset_index(drop=True)
    of_a_run = ["log_seconds", "usual_log_seconds", "trending", "short", "run"]
    of_a_run += ["round", "error"]
    result = result.drop(columns=of_a_run)
    scene = result.groupby(list(SCENE), sort=False).ngroup().to_numpy()
    result["scene"] = scene
    result["failed"] = np.bincount(trial, frame["error"].ne("").to_numpy(float)).astype(
        int
    )

    logs = frame["log_seconds"]
    full = logs.mask(frame["short"])
    has_full = full.groupby(trial).transform("count") > 0
    grouped = full.where(has_full, logs).groupby(trial)
    result["runs"] = grouped.count().to_numpy()
    mean = grouped.mean().to_numpy()
    deviation = grouped.std().to_numpy()
    error = deviation / np.sqrt(np.maximum(result["runs"], 1))
    low, high = bounds(mean, error, result["runs"].to_numpy() - 1)
    size = result["batch_size"].to_numpy(float)
    for suffix, value in {"": mean, "_low": low, "_high": high}.items():
        result[f"seconds_per_batch{suffix}"] = np.exp(value) * size
    for suffix, value in {"": mean, "_low": high, "_high": low}.items():
        result[f"examples_per_second{suffix}"] = np.exp(-value)
    usual = frame["usual_log_seconds"].groupby(trial).mean().to_numpy()
    result["usual_examples_per_second"] = np.exp(-usual)
    result["mean_over_usual"] = np.exp(logs.groupby(trial).mean().to_numpy() - usual)
    result = result.merge(rates.stalls(frame, table), on=identity, how="left")
    result["spread"] = np.expm1(deviation)
    result["unstable"] = result["spread"] > UNSTABLE_SPREAD
    result["not_steady"] = frame["trending"].groupby(trial).mean().to_numpy() >= 0.5
    result = result.assign(**conditions(frame, trial, len(result)))
    result["ranked"] = (result["runs"] > 0) & ~barred(result["flags"])
    frame = frame.assign(full=full)
    every, long = (
        within_rounds(frame, trial, len(result), name)
        for name in ("log_seconds", "full")
    )
    share = rounds.shares(frame, every, scene)
    return _compared(result, every, long, mean, share)


def trends(samples: np.ndarray) -> np.ndarray:
    """Return whether the samples of each run still rise or fall over time, `[runs]`.

    Two conditions must hold: Spearman's rank correlation with the order (Pearson's of
    the ranks) differs from 0 at p < 0.01, and the medians of the first and the last
    third differ by more than 5 %. The first alone would call a harmless drift a trend,
    and the second alone would call noise a trend.

    Args:
        samples: Seconds, `[runs, samples]`.

    Returns:
        Whether each run trends, `[runs]`.
    """
    samples = np.atleast_2d(np.asarray(samples, float))
    count = samples.shape[1]
    trending = np.zeros(len(samples), bool)
    if count < TREND_SAMPLES:
        return trending
    third = count // 3
    first = np.median(samples[:, :third], axis=1)
    change = np.median(samples[:, -third:], axis=1) / first - 1
    large = np.flatnonzero(np.abs(change) > TREND_CHANGE)
    if len(large):
        ranks = distributions.rankdata(samples[large], axis=1)
        order = np.broadcast_to(np.arange(count, dtype=float), ranks.shape)
        trending[large] = distributions.pearsonr(ranks, order, axis=1).pvalue < TREND_P
    return trending


def conditions(
    frame: pd.DataFrame, trial: np.ndarray, trials: int
) -> dict[str, object]:
    """Return costs, load, device and flags of each trial, combined over all its runs.

    The first run alone would not do, since it may have failed.

    Args:
        frame: A row a run.
        trial: The number of the trial in each row.
        trials: The number of trials.

    Returns:
        Columns, `[trials]` each: `COSTS`, medians over the runs that went well, NaN if
        there is none; `CONDITIONS`, the highest of all runs; `ran_on`, the first known
        device; `flags`, all flags, joined by `;`.
    """
    good, placed = frame["error"].eq("").to_numpy(), frame["ran_on"].ne("").to_numpy()
    costs = frame.loc[good, list(COSTS)].groupby(trial[good]).median()
    highest = frame[list(CONDITIONS)].groupby(trial).max()
    device = frame.loc[placed, "ran_on"].groupby(trial[placed]).first()
    return {
        **{name: costs[name].reindex(range(trials)).to_numpy(float) for name in COSTS},
        **{name: highest[name].to_numpy(float) for name in CONDITIONS},
        "ran_on": device.reindex(range(trials), fill_value="").to_numpy(object),
        "flags": _joined_flags(frame["flags"].to_numpy(), trial, trials),
    }


def _joined_flags(flags: np.ndarray, trial: np.ndarray, trials: int) -> list[str]:
    names: list[dict[str, None]] = [{} for _ in range(trials)]
    for number in np.flatnonzero(flags != ""):
        names[trial[number]] |= dict.fromkeys(flags[number].split(";"))
    return [";".join(of_trial) for of_trial in names]


def _compared(
    result: pd.DataFrame,
    logs: np.ndarray,
    full: np.ndarray,
    mean: np.ndarray,
    share: np.ndarray,
) -> pd.DataFrame:
    """Return the table of trials with speed ratios to the baseline and to the best.

    `logs` and `full` are log seconds an example with and without screening runs,
    `[rounds, trials]`. `mean` is each trial's mean log, and `share` the share of the
    possible rounds that a trial has, `[trials]` each.
    """
    scene = result["scene"].to_numpy()
    margin = result["consumer"].map(MARGINS).to_numpy(float)
    naive = (result["strategy"] == "naive").to_numpy()
    default = naive & (result["label"] == "naive").to_numpy()
    measured = ~np.isnan(mean)
    # The baseline is the plain pipeline if it was measured, else the slowest trial.
    order = np.lexsort((-mean, ~naive, ~default, ~measured))
    baseline = _first_of(scene, order)
    result["baseline"] = result["label"].to_numpy()[baseline]
    result["is_baseline"] = (baseline == np.arange(len(result))) & measured
    _write(result, "factor", -rounds.ratios(logs, full, baseline), margin, scene)
    result["pairs"] = result.pop("factor_pairs")

    ranked = result["ranked"].to_numpy()
    level, screened = rounds.standing(logs, full, share, scene)
    best = _first_of(scene, np.lexsort((level, screened, ~ranked)))
    result["best"] = (best == np.arange(len(result))) & ranked
    _write(result, "lead", rounds.ratios(logs, full, best), margin, scene)
    result["verdict"] = result.pop("factor_verdict").where(
        ~result["is_baseline"], "baseline"
    )
    return result


def _write(
    result: pd.DataFrame,
    name: str,
    ratios: np.ndarray,
    margin: np.ndarray,
    scene: np.ndarray,
) -> None:
    """Add to `result` the mean ratio of each trial, with interval, rounds and verdict.

    `ratios` are log-ratios of speeds, `[rounds, trials]`. The new columns begin with
    `name`.
    """
    mean, error, count = moments(ratios)
    low, high = bounds(mean, error, count - 1)
    for suffix, value in {"": mean, "_low": low, "_high": high}.items():
        result[f"{name}{suffix}"] = np.exp(value)
    result[f"{name}_pairs"] = count
    # The logs are of speeds, and verdicts are on seconds.
    result[f"{name}_verdict"] = joint(
        -mean, error, np.maximum(count - 1, 1), margin, count >= FEWEST_ROUNDS, scene
    )


def _first_of(scene: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return, for each row, the row of its scene that comes first in `order`."""
    first = pd.Series(order).groupby(scene[order], sort=True).first().to_numpy()
    return first[scene]
