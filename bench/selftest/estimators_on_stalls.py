"""What estimators make of stalls: recorded turns of equal sides, with stalls put in.

    python -m results.method.places

places.jsonl holds trios of one workload against itself, beside two busy processors:
seconds a batch of base, control and head, a line a trio, sessions apart. All trios of a
session met the same batches in the same rounds. To each head is added, by arithmetic, a
stall in one round of so many, and each estimator is asked for the ratio. The table goes
to places.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np

from bench.guard import estimate

HERE = Path(__file__).resolve().parent
STALLS = ((0, 0.0), (2, 0.05), (4, 0.05), (8, 0.05), (20, 0.05), (100, 0.05))
TRIOS = (4, 6, 8)
TURNED = ((0, 1, 2), (1, 2, 0), (2, 0, 1))  # who stands for base, control and head
METRIC = "seconds_per_example"
Sides = np.ndarray  # seconds, `[trios, rounds, 3]`


def main() -> None:
    """Print the table, and write it."""
    text = markdown(sessions(HERE / "places.jsonl"))
    (HERE / "places.md").write_text(text)
    print(text)


def sessions(path: Path) -> list[Sides]:
    """The recorded sessions, each cut to as many rounds as all its trios have."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    found = []
    for _, some in groupby(rows, key=lambda row: row["session"]):
        trios = [np.array(row["turns"]) for row in some]
        rounds = min(map(len, trios))
        found.append(np.stack([one[:rounds] for one in trios]))
    return found


def middle_fifth(sides: Sides) -> float:
    """The centre of turns' differences, which the guard took before."""
    logs = [np.log(one) for one in sides]
    errors = [estimate.error(one) for one in logs]
    heads = [
        (estimate._of_head(one), estimate.CONTROL_SHARE**0.5 * known)
        for one, known in zip(logs, errors, strict=True)
    ]
    return float(np.log(estimate.interval(heads, 0.05).estimate))


def sums(sides: Sides) -> float:
    """The ratio of all time."""
    total = sides.sum(axis=1)
    return float(np.log(2 * total[:, 2] / total[:, :2].sum(axis=1)).mean())


def by_place(sides: Sides) -> float:
    """What the guard takes now."""
    logs = [np.log(one) for one in sides]
    errors = [estimate.error(one) for one in logs]
    ratios, controls, _ = estimate.over_trios(logs, errors, METRIC)
    return float(np.log(estimate.interval(ratios, 0.05, controls).estimate))


ESTIMATORS: dict[str, Callable[[Sides], float]] = {
    "middle fifth": middle_fifth,
    "ratio of sums": sums,
    "split by place": by_place,
}


def with_stalls(sides: Sides, every: int, share: float, first: int) -> Sides:
    """The same with stalls in head that take this share of the usual time in all."""
    if not every:
        return sides
    stalled = sides.copy()
    usual = np.median(sides[:, :, 2], axis=1, keepdims=True)
    stalled[:, first::every, 2] += share * every * usual
    return stalled


def errors(
    every: int, share: float, trios: int, recorded: Sequence[Sides]
) -> dict[str, np.ndarray]:
    """What each estimator misses the injected by, in per cent."""
    rng = np.random.default_rng(1)
    missed: dict[str, list[float]] = {name: [] for name in ESTIMATORS}
    for sides in recorded:
        if len(sides) < trios:
            continue
        for order in TURNED:
            some = sides[:trios][:, :, order]
            first = int(rng.integers(every)) if every else 0
            rounds = some.shape[1]
            stalls = len(range(first, rounds, every)) if every else 0
            truth = np.log1p(share * every * stalls / rounds)
            for name, estimator in ESTIMATORS.items():
                made = with_stalls(some, every, share, first)
                missed[name].append(100 * (estimator(made) - truth))
    return {name: np.array(values) for name, values in missed.items()}


def markdown(recorded: Sequence[Sides]) -> str:
    """The page."""
    lines = [
        "# Stalls in recorded turns: what estimators make of them",
        "",
        "By `python -m results.method.places`: mean error +- its root mean square, in "
        "per cent of the ratio. All weigh trios by their errors but the ratio of sums.",
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
