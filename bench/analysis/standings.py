"""Which trials still need a round: those that could be the best, until it is known.

A race (Maron and Moore 1994, Hoeffding races) by blocks and with paired t intervals:
the tNo-Race of Birattari (2004), whose F-Race tests Friedman's ranks. A block is a
round. Nothing is corrected for the number of rivals or of rounds. After each round

- the best of a scene is the trial with the least time, compared within rounds;
- a rival is out when the whole interval of its log-ratio to the best lies beyond the
  margin; what is out gets no further round;
- a rival is settled when half of that interval is within the precision, and the best
  when half the interval of its own time is; what is settled rests;
- all others run again, and with them the best, which they are compared with.

Nothing is remembered between rounds: a trial comes back when later rounds call for it.
Two rounds say little of a spread, so what one rival's variance lacks is borrowed from
the typical one of its scene (Smyth 2004, moderated t): v = (b V + d v) / (b + d) with
b + d degrees of freedom, for d = rounds - 1 and V the median over the rivals. A rival
that is noisier than that by an F test borrows nothing: else a noisy best one that had
bad luck at first would seem known to be slow.

A race stops where intervals happen to be narrow, so those of 95 % that a report shows
of one cover 92 to 95 % (simulated: 8 trials, 2 to 5 least rounds), and those of the
best's lead among near equals 86 to 90 %, as it is chosen by the same rounds.

A large scene begins with short runs, of which only the best quarter goes on; see
`screening`. They choose who races, and are no evidence in the race, nor in a report
beside full ones; see `rounds`. The plain pipeline goes on too, into the first rounds of
the race: a report compares all others with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import chi2, f, t

from bench.analysis import pairs, stats, table
from bench.machine import identity
from bench.plan import screening
from bench.trial import Effort, Run, Trial

BORROWED_DEGREES = 4
TINY = np.finfo(float).tiny
DOUBT = 0.10  # p of the F test, below which a rival borrows nothing


@dataclass(frozen=True)
class Standing:
    """How the race stands in one scene, before a round.

    Attributes:
        name: The scene's, short.
        trials: How many it has.
        wanted: The effort of each trial that needs the round, by key.
        best: The key of the best so far; empty where nothing has been measured.
        label: The best in words.
        open: Keys of what is not settled.
        half_width: Half the widest interval of these, relative; infinite at first.
        screened: How many were left behind after the short first rounds.
        out: How many the intervals put out.
        rival: The key of what comes next to the best, out or not; empty for nothing.
        rival_label: That in words.
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
        """What is being settled, for the progress line."""
        if self.open and np.isfinite(self.half_width):
            return (
                f"settling {self.name}: {len(self.open)} of {self.trials} left, best "
                f"{self.label}, {_spoken(self.half_width)}"
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
    """How each scene stands before the round of this number.

    Args:
        trials: All of the sweep.
        runs: What was measured so far; later rounds than this one are left out.
        effort: Of a run; its `rounds` are what each trial of a small scene gets.
        precision: Half the width that is aimed at, relative.
        number: Of the round, from 0.
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
    margin = stats.MARGINS[first.consumer]
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
    """The best of a scene, what is not settled with half its width, and how many out.

    Args:
        logs: Log seconds an example; a row a round, a column a trial.
        margin: A rival is out beyond it, relative.
        precision: Half a width that is narrow enough, relative.
    """
    most = logs.count()
    longest = logs.loc[:, most == most.max()].mean().idxmin()
    best = logs.sub(logs[longest], axis=0).mean().idxmin()
    gaps = logs.sub(logs[best], axis=0).drop(columns=best)
    half = half_widths(gaps)
    out = gaps.mean() - half > np.log1p(margin)
    wide = np.expm1(half[~out])
    open_ = wide[wide > precision].to_dict()
    own = stats.geometric(np.exp(logs[best].dropna()))
    width = own.high / own.estimate - 1 if own.count > 1 else np.inf
    if width > precision:
        open_[best] = width
    return best, open_, int(out.sum())


def runner_up(logs: pd.DataFrame, best: str) -> str:
    """What took least longer than the best, compared within rounds; empty if nothing.

    Args:
        logs: Log seconds an example; a row a round, a column a trial.
        best: Its column.
    """
    gaps = logs.sub(logs[best], axis=0).drop(columns=best).mean().dropna()
    return str(gaps.idxmin()) if len(gaps) else ""


def half_widths(gaps: pd.DataFrame) -> pd.Series:
    """Half the interval of each column's mean, with variance borrowed from the others.

    Args:
        gaps: Log-ratios to the best; a row a round, a column a rival.
    """
    count = gaps.count().to_numpy()
    variance = gaps.var().fillna(0).to_numpy()
    degrees = np.maximum(count - 1, 0)
    told = degrees > 0
    half = np.full(len(count), np.inf)
    if not told.any():
        return pd.Series(half, gaps.columns)
    count, variance, degrees = count[told], variance[told], degrees[told]
    # The median of a chi-squared variable is below its mean, most so with few degrees.
    common = np.median(variance * degrees / chi2.ppf(0.5, degrees))
    noisier = f.sf(variance / max(common, TINY), degrees, degrees.sum()) <= DOUBT
    borrowed = np.where(noisier, 0, min(BORROWED_DEGREES, told.sum() - 1))
    total = degrees + borrowed
    squares = degrees * variance + borrowed * common
    half[told] = t.ppf((1 + stats.CONFIDENCE) / 2, total) * np.sqrt(
        squares / total / count
    )
    return pd.Series(half, gaps.columns)


def survivors(
    keys: list[str], logs: pd.DataFrame, rounds: int, spared: set[str]
) -> list[str]:
    """The trials that so many short rounds leave, in the order that they had.

    Args:
        keys: Of all trials.
        logs: As `log_seconds` gives them.
        rounds: How many.
        spared: What stays in any case.
    """
    for number in range(rounds):
        means = logs[logs.index <= number].reindex(columns=keys).mean().dropna()
        left = spared | set(means.nsmallest(screening.remaining(len(keys))).index)
        keys = [key for key in keys if key in left]
    return keys


def notes(standings: Sequence[Standing], precision: float, cut: str) -> list[str]:
    """How the race ended, for the terminal and the report.

    Args:
        standings: At its end.
        precision: What was aimed at.
        cut: What ended it before its time, `by ...`; empty if nothing did.
    """
    said = []
    aim = f"±{100 * precision:.3g} %"
    for standing in standings:
        parts = []
        if standing.screened:
            parts.append(f"{standing.screened} after short first rounds")
        if standing.out:
            parts.append(f"{standing.out} as slower beyond the margin")
        if parts:
            said.append(
                f"{standing.name}: of {standing.trials} trials the race put out "
                f"{' and '.join(parts)}; their figures rest on fewer rounds."
            )
        if cut and (standing.wanted or standing.open):
            best = f" (best {standing.label})" if standing.label else ""
            left = len(standing.open) or len(standing.wanted)
            said.append(
                f"{standing.name}: cut short {cut}: {left} of {standing.trials} trials "
                f"are not settled to {aim}{best}; the widest interval is "
                f"{_spoken(standing.half_width)}."
            )
    return said


def _spoken(width: float) -> str:
    if not np.isfinite(width):
        return "not known yet"
    return f"±{100 * width:.2g} %" if width <= 1 else "beyond ±100 %"


def log_seconds(runs: Sequence[Run]) -> pd.DataFrame:
    """Log seconds an example; a row a round, a column a trial that may be ranked.

    Of a run and its repeat that beside less foreign load counts; only this machine.
    """
    if not runs:
        return pd.DataFrame()
    here = [r for r in runs if identity(r.machine) == identity(runs[-1].machine)]
    frame = pairs.ranked(stats.runs(table.from_runs(here)))
    return frame.pivot(index="round", columns="key", values="log_seconds")
