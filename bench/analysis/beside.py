"""What is known of a trial besides its time: costs, conditions, flags, the device.

Of all its runs, and not of the first alone, which may have failed.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from bench.analysis.table import CONDITIONS

COSTS = ("cpu_seconds_per_example", "peak_resident_bytes", "offline_seconds")


def conditions(
    frame: pd.DataFrame, trial: np.ndarray, trials: int
) -> dict[str, object]:
    """The trials' columns, `[trials]` each.

    Args:
        frame: A row a run.
        trial: The trial's number of each row.
        trials: How many there are; each has a row.

    Returns:
        `COSTS`, medians over the runs that went well, NaN without such; `CONDITIONS`,
        the highest of all runs; `ran_on`, the first that is told; `flags`, every one.
    """
    good, told = frame["error"].eq("").to_numpy(), frame["ran_on"].ne("").to_numpy()
    costs = frame.loc[good, list(COSTS)].groupby(trial[good]).median()
    highest = frame[list(CONDITIONS)].groupby(trial).max()
    device = frame.loc[told, "ran_on"].groupby(trial[told]).first()
    return {
        **{name: costs[name].reindex(range(trials)).to_numpy(float) for name in COSTS},
        **{name: highest[name].to_numpy(float) for name in CONDITIONS},
        "ran_on": device.reindex(range(trials), fill_value="").to_numpy(object),
        "flags": _flags(frame["flags"].to_numpy(), trial, trials),
    }


def _flags(flags: np.ndarray, trial: np.ndarray, trials: int) -> list[str]:
    found: list[dict[str, None]] = [{} for _ in range(trials)]
    for number in np.flatnonzero(flags != ""):
        found[trial[number]] |= dict.fromkeys(flags[number].split(";"))
    return [";".join(some) for some in found]
