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

WINDOWS = ("first_batch", "fill", "calibrate", "ramp", "steady")
GOAL = 0.7


def measured_share(runs: pd.DataFrame) -> float:
    """The part of wall time spent in timed or warm-up windows, 0 to 1.

    Args:
        runs: From `table.runs_frame`.

    Returns:
        NaN without runs.
    """
    windows = runs[[f"{name}_seconds" for name in WINDOWS]].astype(float).sum(axis=1)
    whole = runs["run_seconds"].sum()
    return float(windows.sum() / whole) if whole > 0 else float("nan")
