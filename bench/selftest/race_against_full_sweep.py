"""The bar for racing: the strategy it finds and its time, against the exhaustive sweep.

    python -m results.method.racing [--workload NAME ...] [--minutes M]

For each workload a space of at least 100 trials is swept twice: every trial in five
rounds, and as a race that may take a stated share of the time that this took. What the
race found is then compared with the exhaustive best by fresh rounds of the two, which
decide, and by the exhaustive runs, which flatter their own best, the luckiest of many.
Results go to racing.json, workload by workload, and as a table to racing.md beside it.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd

from bench import catalog, machine, store
from bench.analysis import standings, stats
from bench.commands import run
from bench.plan import plan, sweeps
from bench.run import executors
from bench.run import rounds as runner
from bench.run.prepare import prepare_inputs
from bench.run.progress import spoken
from bench.trial import Effort, Run

HERE = Path(__file__).resolve().parent
SPACES: dict[str, tuple[str, dict[str, tuple]]] = {
    "prose": (
        "drain",
        {
            "order": ("map_batch", "batch_map"),
            "map_parallel_calls": (0, 1, 2, 4, "autotune"),
            "prefetch": (0, 1, 2, "autotune"),
            "batch_size": (32, 64, 256),
        },
    ),
    "photographs": (
        "drain",
        {
            "order": ("map_batch", "batch_map"),
            "map_parallel_calls": (0, 2, "autotune"),
            "prefetch": (0, 2, "autotune"),
            "interleave_cycle_length": (1, 2, 4),
            "batch_size": (32, 64),
        },
    ),
    "cifar_augmentation": (
        "train",
        {
            "order": ("map_batch", "batch_map"),
            "map_parallel_calls": (0, 2, "autotune"),
            "prefetch": (0, 2, "autotune"),
            "shuffle_buffer": (0, 1024),
            "batch_size": (32, 64, 128),
        },
    ),
}
MARGIN = 0.03
MOST_SHARE = 1 / 3
LEAST_TRIALS = 100


def main() -> int:
    """Run the bar for the wanted workloads; 1 where it is missed."""
    options = _options()
    for name in options.workload or SPACES:
        found = measure(name, options)
        stored = HERE / "racing.json" if options.out is None else options.out
        results = json.loads(stored.read_text()) if stored.exists() else {}
        results[name] = found
        stored.write_text(json.dumps(results, indent=2) + "\n")
        stored.with_suffix(".md").write_text(markdown(results))
    print(markdown(results))
    return 0 if all(one["held"] for one in results.values()) else 1


def measure(name: str, options: argparse.Namespace) -> dict[str, object]:
    """Sweep one space exhaustively and as a race, and compare what they found."""
    consumer, axes = SPACES[name]
    block = sweeps.Block(workloads=(name,), axes=axes, consumer=consumer)
    effort = Effort(
        rounds=options.rounds,
        steady_seconds=options.steady_seconds,
        warmup_seconds=options.warmup_seconds,
    )
    sweep = sweeps.Sweep(name=f"racing-{name}", blocks=(block,))
    made = plan.plan_sweep(sweep, effort, options.seed, 0.0, "")
    some = random.Random(options.seed).sample(
        made.trials, min(options.trials or len(made.trials), len(made.trials))
    )
    made = replace(made, trials=some, effort=_shortened(effort, len(some), options))
    executor = executors.executor()
    try:
        made = prepare_inputs(made, executor)
        executor.stop()
        folder = options.folder / name
        print(f"{name}: {len(made.trials)} trials, {spoken(made.seconds)} planned")
        seconds, runs = swept(made, folder / "exhaustive", executor)
        race = replace(
            made,
            precision=options.precision,
            budget_seconds=options.share * seconds,
            seed=options.seed + 1,
        )
        race_seconds, race_runs = swept(race, folder / "race", executor)
        (standing,) = standings.standings(
            race.trials,
            race_runs,
            race.effort,
            race.precision,
            1 + max(run.round for run in race_runs),
        )
        logs = standings.log_seconds(runs)
        best = logs.mean().idxmin()
        # Cut short in its first round, a race has no standing yet: the fastest counts.
        found = standing.best or standings.log_seconds(race_runs).mean().idxmin()
        fresh = confirmed(made, {best, found}, executor, options.confirm_rounds)
    finally:
        executor.stop()
    known = _ratio(logs, found, best)
    again = _ratio(standings.log_seconds(fresh), found, best) if fresh else known
    share = race_seconds / seconds
    return {
        "trials": len(made.trials),
        "consumer": consumer,
        "axes": axes,
        "effort": asdict(made.effort),
        "precision": options.precision,
        "share_allowed": options.share,
        "exhaustive_seconds": seconds,
        "exhaustive_runs": len(runs),
        "race_seconds": race_seconds,
        "race_runs": len(race_runs),
        "share": share,
        "race_open": len(standing.open),
        "race_notes": plan.load(folder / "race").notes,
        "exhaustive_best": best,
        "race_best": found,
        "ratio": known,
        "ratio_in_fresh_rounds": again,
        "machine": machine.fingerprint(),
        "held": len(made.trials) >= LEAST_TRIALS
        and share <= MOST_SHARE
        and again["estimate"] <= 1 + MARGIN,
    }


def swept(
    made: plan.Plan, folder: Path, executor: executors.Executor
) -> tuple[float, list[Run]]:
    """Seconds of a whole sweep, with its servers' starts, and its runs.

    What an earlier go left in the folder is gone on with, and its seconds count too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / store.FILE).touch()
    kept, _ = store.load(folder)
    spent = folder / "seconds"
    before = float(spent.read_text()) if spent.exists() else 0.0
    plan.save(made, folder)
    start = time.perf_counter()
    run.sweep(made, folder, executor, kept)
    seconds = before + time.perf_counter() - start
    spent.write_text(f"{seconds}\n")
    return seconds, store.load(folder)[0]


def confirmed(
    made: plan.Plan, keys: set[str], executor: executors.Executor, rounds: int
) -> list[Run]:
    """Fresh rounds of these trials alone; none of one trial, which is itself."""
    if len(keys) < 2:
        return []
    trials = [trial for trial in made.trials if trial.key in keys]
    effort = replace(made.effort, rounds=rounds)
    return list(
        runner.rounds(trials, executor, effort, sweep="fresh", seed=made.seed + 2)
    )


def _ratio(logs: pd.DataFrame, found: str, best: str) -> dict[str, float]:
    """The paired ratio of two trials' times."""
    times = (np.exp(logs[key].to_numpy()) for key in (found, best))
    return asdict(stats.ratio(*times))


def _shortened(effort: Effort, count: int, options: argparse.Namespace) -> Effort:
    """Shorter windows and warm-up until both sweeps fit the minutes, if that helps."""
    for _ in range(8):
        both = plan.estimate(count, effort) * (1 + options.share)
        if not options.minutes or both <= 60 * options.minutes:
            break
        effort = replace(
            effort,
            steady_seconds=max(0.2, 0.8 * effort.steady_seconds),
            warmup_seconds=max(0.2, 0.8 * effort.warmup_seconds),
        )
    return effort


def markdown(results: dict[str, dict]) -> str:
    """The bar's table."""
    lines = [
        "| workload | trials | rounds, ramp and steady | exhaustive | race | "
        "share of time | exhaustive best | found by the race | "
        "its time over the best's, exhaustive runs | the same, fresh rounds | held |",
        "| --- | --: | --- | --: | --: | --: | --- | --- | --: | --: | --- |",
    ]
    for name, one in results.items():
        fresh, effort = one["ratio_in_fresh_rounds"], one["effort"]
        same = one["race_best"] == one["exhaustive_best"]
        cells = (
            f"{name} ({one['consumer']})",
            one["trials"],
            f"{effort['rounds']}, at most {effort['warmup_seconds']:.2g} s and "
            f"{effort['steady_seconds']:.2g} s",
            f"{spoken(one['exhaustive_seconds'])}, {one['exhaustive_runs']} runs",
            f"{spoken(one['race_seconds'])}, {one['race_runs']} runs",
            f"{100 * one['share']:.0f} %",
            f"`{one['exhaustive_best']}`",
            "the same" if same else f"`{one['race_best']}`",
            _spelled(one["ratio"]),
            _spelled(fresh),
            "yes" if one["held"] else "no",
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    lines += [
        "",
        "Times are whole sweeps, with the servers' starts; ratios with 95 % intervals, "
        "paired within rounds.",
    ]
    return "\n".join(lines) + "\n"


def _spelled(interval: dict[str, float]) -> str:
    if interval["low"] == interval["high"] == 1:
        return "1"
    low, high = interval["low"], interval["high"]
    return f"{interval['estimate']:.3f} ({low:.3f} to {high:.3f})"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workload", action="append", choices=SPACES)
    parser.add_argument("--minutes", type=float, default=0.0, help="for one workload")
    parser.add_argument("--trials", type=int, default=0, help="some of them, at random")
    parser.add_argument("--rounds", type=int, default=5, help="of the exhaustive sweep")
    parser.add_argument("--steady-seconds", type=float, default=1.0)
    parser.add_argument("--warmup-seconds", type=float, default=1.0)
    parser.add_argument("--precision", type=float, default=0.03)
    parser.add_argument(
        "--share", type=float, default=0.32, help="of the time, for the race"
    )
    parser.add_argument("--confirm-rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="default racing.json beside this file")
    parser.add_argument(
        "--folder",
        type=Path,
        default=catalog.ROOT / "results" / "racing",
        help="for the runs",
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
