"""This program measures the errors of estimators on turns with artificial stalls.

    python -m bench.selftest.estimators_on_stalls

A turn is a timed window of one of three processes: base, control (base again) and head.
Three such processes are a trio. places.jsonl holds recorded trios of one workload
against itself, beside two busy processors. A line is a trio: its session, and seconds a
batch of base, control and head. All trios of a session met the same batches in the same
rounds. The program adds a stall to some rounds of each head and compares each estimate
with the known ratio. The table goes to places.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np

from bench.guard import estimate
from bench.selftest import RESULTS

STALLS = ((0, 0.0), (2, 0.05), (4, 0.05), (8, 0.05), (20, 0.05), (100, 0.05))
TRIOS = (4, 6, 8)
# Columns that serve as base, control and head.
TURNED = ((0, 1, 2), (1, 2, 0), (2, 0, 1))
METRIC = "seconds_per_example"
Sides = np.ndarray  # seconds, `[trios, rounds, 3]`


def main() -> None:
    """Print the table of errors, and write it to places.md."""
    text = markdown(sessions(RESULTS / "places.jsonl"))
    (RESULTS / "places.md").write_text(text)
    print(text)


def sessions(path: Path) -> list[Sides]:
    """Return the turns of each recorded session in seconds, `[trios, rounds, 3]`.

    A turn is a timed window of one process. The last axis is base, control (base again)
    and head, which together are a trio. Each session is cut to the rounds that all its
    trios have.
    """
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    recorded = []
    for _, group in groupby(rows, key=lambda row: row["session"]):
        trios = [np.array(row["turns"]) for row in group]
        rounds = min(map(len, trios))
        recorded.append(np.stack([trio[:rounds] for trio in trios]))
    return recorded


def middle_fifth(sides: Sides) -> float:
    """Return the log of the ratio of head to base, by the guard's former estimator.

    It is the centre of the turns' differences: the mean of their middle fifth.
    """
    logs = [np.log(trio) for trio in sides]
    errors = [estimate.bootstrap_error(trio) for trio in logs]
    heads = [
        (estimate.head_centre(trio), estimate.CONTROL_SHARE**0.5 * error)
        for trio, error in zip(logs, errors, strict=True)
    ]
    return float(np.log(estimate.interval(heads, 0.05).estimate))


def sums(sides: Sides) -> float:
    """Return the log of the ratio of head's total time to that of base and control."""
    total = sides.sum(axis=1)
    return float(np.log(2 * total[:, 2] / total[:, :2].sum(axis=1)).mean())


def by_place(sides: Sides) -> float:
    """Return the log of the ratio of head to base, by the guard's present estimator."""
    logs = [np.log(trio) for trio in sides]
    errors = [estimate.bootstrap_error(trio) for trio in logs]
    ratios, controls, _ = estimate.trio_log_ratios(logs, errors, METRIC)
    return float(np.log(estimate.interval(ratios, 0.05, controls).estimate))


ESTIMATORS: dict[str, Callable[[Sides], float]] = {
    "middle fifth": middle_fifth,
    "ratio of sums": sums,
    "split by place": by_place,
}


def with_stalls(sides: Sides, every: int, share: float, first: int) -> Sides:
    """Return the turns with stalls added to head, one in every `every` rounds.

    The stalls add up to the share `share` of the usual time; `first` is the first round
    with a stall.
    """
    if not every:
        return sides
    stalled = sides.copy()
    usual = np.median(sides[:, :, 2], axis=1, keepdims=True)
    stalled[:, first::every, 2] += share * every * usual
    return stalled


def errors(
    every: int, share: float, trios: int, recorded: Sequence[Sides]
) -> dict[str, np.ndarray]:
    """Return the errors of each estimator by name, in per cent of the true ratio.

    Each session gives three errors, in which each of its processes is head once.
    """
    rng = np.random.default_rng(1)
    errors_by_name: dict[str, list[float]] = {name: [] for name in ESTIMATORS}
    for sides in recorded:
        if len(sides) < trios:
            continue
        for order in TURNED:
            turned = sides[:trios][:, :, order]
            first = int(rng.integers(every)) if every else 0
            rounds = turned.shape[1]
            stalls = len(range(first, rounds, every)) if every else 0
            truth = np.log1p(share * every * stalls / rounds)
            for name, estimator in ESTIMATORS.items():
                stalled = with_stalls(turned, every, share, first)
                error = 100 * (estimator(stalled) - truth)
                errors_by_name[name].append(error)
    return {name: np.array(values) for name, values in errors_by_name.items()}


def markdown(recorded: Sequence[Sides]) -> str:
    """Return the table of errors, with its explanation, as Markdown."""
    lines = [
        "# Errors of estimators on recorded turns with artificial stalls",
        "",
        "By `python -m bench.selftest.estimators_on_stalls`: mean error +- root mean "
        "square error, in per cent of the ratio. All estimators but the ratio of sums "
        "weigh trios by their errors.",
        "",
        f"| trios | stalls in head | {' | '.join(ESTIMATORS)} |",
        f"| --: | :-- | {' | '.join(['--:'] * len(ESTIMATORS))} |",
    ]
    for trios in TRIOS:
        for every, share in STALLS:
            what = f"{100 * share:.0f} % in 1 turn of {every}" if every else "none"
            cells = [
                f"{values.mean():+.2f} +- {np.sqrt(np.mean(values**2)):.2f}"
                for values in errors(every, share, trios, recorded).values()
            ]
            lines.append(f"| {trios} | {what} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
