"""Estimates, intervals, paired ratios and verdicts; the distributions are scipy's.

The unit of evidence is a run, that is one process: samples of one process share its
memory layout, its threads and its neighbours, so a test over all samples pooled finds
differences where there are none. Each run gives one figure, the mean of its samples;
see `rates`.

- A trial's time is the geometric mean of its runs' means, with a t interval on the log
  scale over the runs.
- Two trials are compared by the log-ratio of their runs' means within each round,
  with a t interval over the rounds: what is slow for a whole round cancels.
- Trials are compared only within a scene: same machine and versions, same workload,
  consumer, unit and input.
- Where many trials are compared with one, verdicts hold jointly by Holm's method; the
  intervals shown are 95 % each. Fewer than three rounds have no verdict.
- The best of a scene takes least when its rounds are allowed for; see `rounds`. It is
  chosen by the rounds that its lead is measured in, which flatters it. Among equal
  trials 95 % intervals of leads miss in 6 to 9 % with 5 trials, 11 to 17 % with 15 and
  13 to 27 % with 50 (simulated, 3 to 10 rounds). Tukey's studentized range would hold
  them, but 1.5 to 3.3 times as wide, and so is not taken. A verdict of `faster` on
  equals, which the margin guards too, comes in at most 5 % of scenes where runs vary by
  5 %, and in up to 13 % where they vary by 15 %.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from bench.analysis import beside, rates, rounds, trend
from bench.analysis.rounds import ROUND, within_rounds
from bench.analysis.table import SCENE
from bench.flags import NOT_RANKED

CONFIDENCE = 0.95
FEWEST_ROUNDS = 3  # two rounds agree by chance so often that a verdict would mislead
MARGINS = {"drain": 0.03, "train": 0.05, "model": 0.05, "serve": 0.05}
UNSTABLE_SPREAD = 0.10  # standard deviation between runs; a 5-run interval of +-12 %


@dataclass(frozen=True)
class Interval:
    """An estimate and its bounds; bounds are NaN where one run gives none."""

    estimate: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        """The figures, or that there is no interval."""
        if self.count < 2:
            return f"{self.estimate:.3g} (one run: no interval)"
        return f"{self.estimate:.3g} ({self.low:.3g} to {self.high:.3g})"


def geometric(values: np.ndarray) -> Interval:
    """Geometric mean of positive values, one a run, with its t interval.

    exp(m -+ t(n-1) s / sqrt(n)) with m and s of the logs: Student's interval on the log
    scale, as times are skewed and ratios are what is asked. Source: Student (1908).
    """
    logs = np.log(np.asarray(values, float)).reshape(-1, 1)
    mean, error, count = _moments(logs)
    low, high = _bounds(mean, error, count)
    return Interval(*(float(np.exp(v[0])) for v in (mean, low, high)), int(count[0]))


def ratio(values: np.ndarray, baseline: np.ndarray) -> Interval:
    """The paired ratio of two trials' runs, an element a round."""
    return geometric(np.asarray(values, float) / np.asarray(baseline, float))


def verdict(interval: Interval, margin: float) -> str:
    """`slower`, `faster`, `unchanged` or `unknown`, from a ratio of seconds.

    Slower: the whole interval is above 1 + margin. Faster: below 1 / (1 + margin), the
    same distance on the log scale. Unchanged: between the two, which is the test of
    equivalence by two one-sided tests (Schuirmann 1987). Else, or with one run, which
    has no interval: unknown.
    """
    if interval.low > 1 + margin:
        return "slower"
    if interval.high < 1 / (1 + margin):
        return "faster"
    if interval.low >= 1 / (1 + margin) and interval.high <= 1 + margin:
        return "unchanged"
    return "unknown"


def holm(p: np.ndarray) -> np.ndarray:
    """P values adjusted for being several, NaN left out.

    p(i) * (n - i + 1) for the i-th smallest of n, never falling. Source: Holm (1979).
    """
    adjusted = np.full(len(p), np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known])]
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(steps))
    return adjusted


def _kept(function: Callable) -> Callable:
    """Decorator: the result for the table asked about last, as figures ask again."""
    last: dict[str, object] = {}

    @functools.wraps(function)
    def wrapped(table: pd.DataFrame) -> pd.DataFrame:
        if "table" not in last or last["table"]() is not table:
            last["result"], last["table"] = function(table), weakref.ref(table)
        return last["result"].copy(deep=False)

    return wrapped


@_kept
def runs(table: pd.DataFrame) -> pd.DataFrame:
    """A row a run: the mean of its samples, in place of the samples; see `rates`.

    A run beside heavy load is made once more, and the table keeps both: here the one
    beside less load stands for its round.

    Adds `log_seconds`, the log of the mean seconds an example, `usual_log_seconds`,
    that of the median, `trending`, and `short`, whether it only chose who raced; see
    `rounds`.
    """
    frame = table.drop_duplicates("run").set_index("run", drop=False)
    frame = frame.drop(columns=["sample", "examples_per_second"]).rename_axis(None)
    frame = rates.add(frame, table)
    size = frame["batch_size"].to_numpy(float)
    trending = pd.Series(False, index=frame.index)
    for count, some in frame.groupby("samples").groups.items():
        if count >= trend.SAMPLES:
            rows = table["run"].isin(some)
            values = table.loc[rows, "seconds_per_batch"].to_numpy().reshape(-1, count)
            trending[table.loc[rows, "run"].to_numpy()[::count]] = trend.trends(values)
    frame = frame.assign(
        log_seconds=np.log(frame["seconds_per_batch"].to_numpy(float) / size),
        usual_log_seconds=np.log(frame.pop("usual_seconds_per_batch") / size),
        trending=trending,
    )
    frame = frame[~_superseded(frame)]
    scene = frame.groupby(list(SCENE), sort=False).ngroup().to_numpy()
    return frame.assign(short=rounds.short(frame, scene))


def barred(flags: pd.Series) -> pd.Series:
    """Whether each of the flags, joined by `;`, has one of `NOT_RANKED`."""
    return flags.str.contains("|".join(NOT_RANKED))


def _superseded(runs: pd.DataFrame) -> pd.Series:
    """Runs beside more foreign load than another of the same trial and round."""
    load = runs["steal_share"].fillna(0) + runs["foreign_cpu_share"].fillna(0)
    load = load.where(runs["error"].eq(""), np.inf)
    by = [runs[name] for name in (*ROUND, "machine", "key")]
    return load.groupby(by).rank(method="first") > 1


@_kept
def trials(table: pd.DataFrame) -> pd.DataFrame:
    """A row a trial: its estimate, and its paired factors in its scene.

    Columns besides the trial's own: `scene` (number), `runs`, `failed`,
    `seconds_per_batch`, `examples_per_second` and `factor` (how many times as fast as
    the scene's `baseline`), each with `_low` and `_high`; `pairs`, the rounds behind
    the factor; `verdict` against the baseline; `spread`, the relative standard
    deviation between runs; `unstable`, `not_steady`, `ranked`; `best`; `lead`, how many
    times as fast as this trial the best one is, with `lead_low`, `lead_high`,
    `lead_pairs` (the rounds behind it) and `lead_verdict` (`faster`: the best is faster
    than this one); those of `beside`; those of `rates.stalls`, with
    `usual_examples_per_second` and `mean_over_usual`, the ratio of the mean time to the
    usual one. Short runs that chose who raced do not count
    beside full ones; see `rounds`.
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
    low, high = _bounds(mean, error, result["runs"].to_numpy())
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
    result = result.assign(**beside.conditions(frame, trial, len(result)))
    result["ranked"] = (result["runs"] > 0) & ~barred(result["flags"])
    frame = frame.assign(full=full)
    every, long = (
        within_rounds(frame, trial, len(result), name)
        for name in ("log_seconds", "full")
    )
    share = rounds.shares(frame, every, scene)
    return _compared(result, every, long, mean, share)


def _compared(
    result: pd.DataFrame,
    logs: np.ndarray,
    full: np.ndarray,
    mean: np.ndarray,
    share: np.ndarray,
) -> pd.DataFrame:
    """The factors of each scene's trials against its baseline and its best.

    `logs`, `full` and `share` are as `rounds.standing` has them; `mean` is of the logs.
    """
    scene = result["scene"].to_numpy()
    margin = result["consumer"].map(MARGINS).to_numpy(float)
    naive = (result["strategy"] == "naive").to_numpy()
    default = naive & (result["label"] == "naive").to_numpy()
    measured = ~np.isnan(mean)
    # The plain pipeline where it was measured, else the slowest trial.
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
    """Estimate, interval, rounds and joint verdict of log ratios `[rounds, trials]`."""
    mean, error, count = _moments(ratios)
    low, high = _bounds(mean, error, count)
    for suffix, value in {"": mean, "_low": low, "_high": high}.items():
        result[f"{name}{suffix}"] = np.exp(value)
    result[f"{name}_pairs"] = count
    edge = np.log1p(margin)
    with np.errstate(divide="ignore", invalid="ignore"):
        above = stats.t.sf((mean - edge) / error, np.maximum(count - 1, 1))
        below = stats.t.cdf((mean + edge) / error, np.maximum(count - 1, 1))
    p = np.fmin(above, below)
    itself = (mean == 0) & (error == 0)  # a trial with itself is no comparison
    many = count >= FEWEST_ROUNDS
    p[itself | ~many] = np.nan
    adjusted = pd.Series(p).groupby(scene).transform(lambda s: holm(s.to_numpy()))
    sure = adjusted.to_numpy() < (1 - CONFIDENCE) / 2
    result[f"{name}_verdict"] = np.select(
        [sure & (mean > 0), sure & (mean < 0), many & (low >= -edge) & (high <= edge)],
        ["faster", "slower", "unchanged"],
        "unknown",
    )


def _moments(logs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, its standard error and the count of each column, NaN left out."""
    known = ~np.isnan(logs)
    count = known.sum(axis=0)
    filled = np.where(known, logs, 0.0)
    mean = np.where(count > 0, filled.sum(axis=0) / np.maximum(count, 1), np.nan)
    squares = np.where(known, (logs - mean) ** 2, 0.0).sum(axis=0)
    variance = squares / np.maximum(count - 1, 1) / np.maximum(count, 1)
    return mean, np.where(count > 1, np.sqrt(variance), np.nan), count


def _bounds(
    mean: np.ndarray, error: np.ndarray, count: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    width = stats.t.ppf((1 + CONFIDENCE) / 2, np.maximum(count - 1, 1)) * error
    return mean - width, mean + width


def _first_of(scene: np.ndarray, order: np.ndarray) -> np.ndarray:
    """For each row, the first row of its scene in this order."""
    first = pd.Series(order).groupby(scene[order], sort=True).first().to_numpy()
    return first[scene]
