"""Where a sweep's wall time goes: into windows, one-time phases, or the harness.

    measured share = sum of windows / sum of the runs' seconds

over all runs, those that failed too. A run's seconds go from asking for its process to
that process's end, so starting a round's server is not in them. Windows are what the
workload itself does when it is timed or warmed up: the first batch, filling of caches,
calibration, ramp and steady phase. Adapting, building, tracing and preprocessing
beforehand are the workload's too and are reported, but are no windows; what is left is
the harness's overhead.
"""

from __future__ import annotations

import pandas as pd

from bench.table import OVERHEAD, PHASES

WINDOWS = ("first_batch", "fill", "calibrate", "ramp", "steady")
GOAL = 0.7


def measured_share(runs: pd.DataFrame) -> float:
    """The part of wall time spent in timed or warm-up windows, 0 to 1.

    Args:
        runs: From `table.runs_frame`.

    Returns:
        NaN without runs.
    """
    whole = runs["run_seconds"].sum()
    return float(_windows(runs).sum() / whole) if whole > 0 else float("nan")


def by_workload(runs: pd.DataFrame) -> pd.DataFrame:
    """Mean seconds a run by workload and consumer, the longest phases first.

    Args:
        runs: From `table.runs_frame`.

    Returns:
        `runs`, `run_seconds`, `measured_share`, and a column for each phase and each
        kind of overhead that took place; least share first.
    """
    names = [f"{name}_seconds" for name in PHASES]
    names += [f"overhead_{name}_seconds" for name in OVERHEAD]
    known = runs.assign(**runs[names].astype(float).fillna(0.0), windows=_windows(runs))
    groups = known.groupby(["workload", "consumer"])
    means = groups[["run_seconds", "windows", *names]].mean()
    spent = means[names].loc[:, means[names].sum() > 0]
    spent = spent[spent.sum().sort_values(ascending=False).index]
    spent.insert(0, "runs", groups.size())
    spent.insert(1, "run_seconds", means["run_seconds"])
    spent.insert(2, "measured_share", means["windows"] / means["run_seconds"])
    return spent.sort_values("measured_share")


def steady_seconds_for(runs: pd.DataFrame, goal: float = GOAL) -> float:
    """The steady phase, seconds a run, at which the measured share would be the goal.

    All else stays as long as it was, so windows w of wall time t must grow by
    (goal t - w) / (1 - goal).

    Args:
        runs: From `table.runs_frame`.
        goal: The share wanted, 0 to 1.
    """
    windows, whole = _windows(runs).sum(), runs["run_seconds"].sum()
    more = (goal * whole - windows) / (1 - goal) / len(runs)
    return float(runs["steady_seconds"].fillna(0.0).mean() + more)


def _windows(runs: pd.DataFrame) -> pd.Series:
    return runs[[f"{name}_seconds" for name in WINDOWS]].astype(float).sum(axis=1)
