"""This module decides which trials of a race need another round.

The race (Maron and Moore 1994, Hoeffding races) uses paired t intervals by blocks: the
tNo-Race of Birattari (2004), whose F-Race tests Friedman's ranks. A block is a round.
No value is corrected for the number of rivals or rounds. After each round

- the best trial of a scene is the one with the least time, compared within rounds;
- a rival is out if the whole interval of its log-ratio to the best is beyond the
  margin; a rival that is out gets no further round;
- a rival is settled if half of that interval is within the precision, and the best
  trial if half the interval of its own time is; a settled trial pauses;
- all other trials get another round, and so does the best, their reference.

Each decision uses all earlier rounds, so a trial that was out or settled can return.
Two rounds give a poor estimate of a variance. So the variance of a rival is combined
with the typical variance of the scene (Smyth 2004, moderated t): v = (b V + d v) / (b +
d) with b + d degrees of freedom, where d = rounds - 1 and V is the median over the
rivals. A rival whose variance is larger by an F test is not combined. Otherwise a noisy
trial with bad luck in its first rounds would be out too early.

A race stops when intervals happen to be narrow. So 95 % intervals in its report cover
92 to 95 % (simulated: 8 trials, 2 to 5 least rounds). Intervals of the lead among near
equals cover 86 to 90 %, since the same rounds select the best.

A large scene begins with screening runs, after which the best quarter remains; see
`bench.plan.screening`. Screening runs select the trials that race. They are no evidence
in the race, nor in a report beside full runs; see `rounds`. The plain pipeline always
remains until the first rounds of the race, since a report compares the others with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import chi2, f, t

from bench.analysis import decisions, intervals, pairs, stats, table
from bench.machine import identity
from bench.plan import screening
from bench.trial import Effort, Run, Trial

BORROWED_DEGREES = 4  # of freedom, from the typical variance of the scene
TINY = np.finfo(float).tiny
DOUBT = 0.10  # p of the F test, below which a variance is not combined


@dataclass(frozen=True)
class Standing:
    """A standing is the state of a race before a round, for one scene.

    A scene is a set of trials that may be compared with one another.

    Attributes:
        name: The short name of the scene.
        trials: The number of trials in the scene.
        wanted: How much to measure of each trial that needs the round, by the trial's
            key.
        best: The key of the best trial; empty before the first measurement.
        label: The label of the best trial.
        open: The keys of the trials that are not settled.
        half_width: Half the widest interval of the open trials, relative; infinite
            before an interval exists.
        screened: The number of trials that screening excluded.
        out: The number of trials that are excluded because their intervals show them
            slower.
        rival: The key of the second-best trial, excluded or not; empty if there is
            none.
        rival_label: The label of the second-best trial.
    """

    name: str
    trials: int
    wanted: dict[str, Effort]
    best: str = ""
    label: str = ""
    open: tuple[str, ...] = ()
    half_width: float = np.inf
    screened: int = 0
    out: int = 0
    rival: str = ""
    rival_label: str = ""

    def __str__(self) -> str:
        """Return a line on the state of the scene, for the progress display."""
        if self.open and np.isfinite(self.half_width):
            return (
                f"settling {self.name}: {len(self.open)} of {self.trials} left, best "
                f"{self.label}, {_half_width(self.half_width)}"
            )
        best = f", best {self.label}" if self.label else ""
        return f"racing {self.name}: {len(self.wanted)} of {self.trials} left{best}"


def standings(
    trials: Sequence[Trial],
    runs: Sequence[Run],
    effort: Effort,
    precision: float,
    number: int,
) -> list[Standing]:
    """Return the state of a race in each scene (comparable trials) before a round.

    Args:
        trials: All trials of the sweep.
        runs: The runs so far; runs of this round and later ones are ignored.
        effort: The effort of a run; its `rounds` are the least rounds of each trial in
            a small scene.
        precision: The half-width of an interval that settles a trial, relative.
        number: The number of the round, from 0.
    """
    logs = log_seconds([run for run in runs if run.round < number])
    return [
        _standing(scene, logs, effort, precision, number)
        for scene in screening.scenes(trials)
    ]


def _standing(
    scene: list[Trial],
    logs: pd.DataFrame,
    effort: Effort,
    precision: float,
    number: int,
) -> Standing:
    first = scene[0]
    name = screening.scene_name(first)
    large = len(scene) > screening.LARGE
    begin = screening.ROUNDS if large else 0
    least = begin + screening.RACED_ROUNDS if large else effort.rounds
    keys = [trial.key for trial in scene]
    if large:
        plain = {trial.key for trial in scene if trial.label == "naive"}
        keys = survivors(keys, logs, min(number, begin), plain)
    efforts = dict.fromkeys(keys, screening.short(effort) if number < begin else effort)
    screened = len(scene) - len(keys) if number >= begin else 0
    raced = logs[logs.index >= begin].reindex(columns=keys).dropna(how="all", axis=1)
    if raced.empty:
        efforts = efforts if number < least else {}
        return Standing(name, len(scene), efforts, screened=screened)
    margin = decisions.MARGINS[first.consumer]
    best, open_, out = judge(raced, margin, precision)
    if number >= least:
        again = {*open_, best} if open_ else set()
        efforts = {key: effort for key in keys if key in again}
    labels = {trial.key: trial.label for trial in scene}
    rival = runner_up(raced, best)
    return Standing(
        name=name,
        trials=len(scene),
        wanted=efforts,
        best=best,
        label=labels[best],
        rival=rival,
        rival_label=labels.get(rival, ""),
        open=tuple(open_),
        half_width=max(open_.values(), default=0.0),
        screened=screened,
        out=out,
    )


def judge(
    logs: pd.DataFrame, margin: float, precision: float
) -> tuple[str, dict[str, float], int]:
    """Find the best of some comparable trials, and count those that are clearly slower.

    Args:
        logs: Log seconds an example; a row for each round, a column for each trial.
        margin: The relative difference beyond which a trial is out, that is excluded.
        precision: The half-width of an interval that settles a trial, relative.

    Returns:
        The key of the best trial; the relative half-width of the interval of each trial
        that is not settled, by key; and the number of trials that are out.
    """
    most = logs.count()
    longest = logs.loc[:, most == most.max()].mean().idxmin()
    best = logs.sub(logs[longest], axis=0).mean().idxmin()
    gaps = logs.sub(logs[best], axis=0).drop(columns=best)
    half = half_widths(gaps)
    out = gaps.mean() - half > np.log1p(margin)
    wide = np.expm1(half[~out])
    open_ = wide[wide > precision].to_dict()
    own = intervals.geometric(np.exp(logs[best].dropna()))
    width = own.high / own.estimate - 1 if own.count > 1 else np.inf
    if width > precision:
        open_[best] = width
    return best, open_, int(out.sum())


def runner_up(logs: pd.DataFrame, best: str) -> str:
    """Return the key of the second-best trial; empty if there is none.

    Trials are compared with the best one by their times within the same rounds.

    Args:
        logs: Log seconds an example; a row for each round, a column for each trial.
        best: The column of the best trial.
    """
    gaps = logs.sub(logs[best], axis=0).drop(columns=best).mean().dropna()
    return str(gaps.idxmin()) if len(gaps) else ""


def half_widths(gaps: pd.DataFrame) -> pd.Series:
    """Return half the width of the 95 % interval of each column's mean.

    A column's variance is combined with the typical variance; see this module's
    docstring.

    Args:
        gaps: Log-ratios to the best; a row for each round, a column for each rival.
    """
    count = gaps.count().to_numpy()
    variance = gaps.var().fillna(0).to_numpy()
    degrees = np.maximum(count - 1, 0)
    known = degrees > 0
    half = np.full(len(count), np.inf)
    if not known.any():
        return pd.Series(half, gaps.columns)
    count, variance, degrees = count[known], variance[known], degrees[known]
    # The median of a chi-squared variable is below its mean, most so with few degrees.
    common = np.median(variance * degrees / chi2.ppf(0.5, degrees))
    noisier = f.sf(variance / max(common, TINY), degrees, degrees.sum()) <= DOUBT
    borrowed = np.where(noisier, 0, min(BORROWED_DEGREES, known.sum() - 1))
    total = degrees + borrowed
    squares = degrees * variance + borrowed * common
    half[known] = t.ppf((1 + intervals.CONFIDENCE) / 2, total) * np.sqrt(
        squares / total / count
    )
    return pd.Series(half, gaps.columns)


def survivors(
    keys: list[str], logs: pd.DataFrame, rounds: int, spared: set[str]
) -> list[str]:
    """Return the keys of the trials that remain after screening rounds, in order.

    Args:
        keys: The keys of all trials.
        logs: The table from `log_seconds`.
        rounds: The number of screening rounds.
        spared: The keys that always remain.
    """
    for number in range(rounds):
        means = logs[logs.index <= number].reindex(columns=keys).mean().dropna()
        left = spared | set(means.nsmallest(screening.remaining(len(keys))).index)
        keys = [key for key in keys if key in left]
    return keys


def notes(standings: Sequence[Standing], precision: float, cut: str) -> list[str]:
    """Return sentences on how a race ended, for the terminal and the report.

    Args:
        standings: The standings at the end of the race.
        precision: The precision of the race, relative.
        cut: The reason for an early end, such as `by the budget in round 3`; empty if
            the race was settled.
    """
    lines = []
    aim = f"±{100 * precision:.3g} %"
    for standing in standings:
        parts = []
        if standing.screened:
            parts.append(f"{standing.screened} after short first rounds")
        if standing.out:
            parts.append(f"{standing.out} as slower beyond the margin")
        if parts:
            lines.append(
                f"{standing.name}: of {standing.trials} trials the race put out "
                f"{' and '.join(parts)}; their figures rest on fewer rounds."
            )
        if cut and (standing.wanted or standing.open):
            best = f" (best {standing.label})" if standing.label else ""
            left = len(standing.open) or len(standing.wanted)
            lines.append(
                f"{standing.name}: cut short {cut}: {left} of {standing.trials} trials "
                f"are not settled to {aim}{best}; the widest interval is "
                f"{_half_width(standing.half_width)}."
            )
    return lines


def _half_width(width: float) -> str:
    if not np.isfinite(width):
        return "not known yet"
    return f"±{100 * width:.2g} %" if width <= 1 else "beyond ±100 %"


def log_seconds(runs: Sequence[Run]) -> pd.DataFrame:
    """Return log seconds an example; a row for each round, a column for each trial.

    Trials that may not be ranked are left out. Only the machine of the last run counts.
    Of a run and its repeat, the run with less load from other processes counts.
    """
    if not runs:
        return pd.DataFrame()
    here = [r for r in runs if identity(r.machine) == identity(runs[-1].machine)]
    frame = pairs.ranked(stats.runs(table.from_runs(here)))
    return frame.pivot(index="round", columns="key", values="log_seconds")
