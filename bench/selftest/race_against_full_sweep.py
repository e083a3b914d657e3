"""This program tests whether a race finds as good a trial as the full sweep does.

    python -m bench.selftest.race_against_full_sweep [--workload NAME ...] [--minutes M]

For each workload the program measures at least 100 trials twice: as a full sweep, and
as a race that may take a stated share of the full sweep's time. Then it compares the
best trial of the race with the best trial of the full sweep, by fresh runs of the two.
The comparison by the runs of the full sweep is shown, but does not decide: the best of
many trials is partly the luckiest. The program writes racing.json, workload by
workload, and racing.md.
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
from bench.analysis import intervals, standings
from bench.errors import Exit
from bench.plan import plan, sweeps
from bench.race import sweep_runs
from bench.run import executors, rounds
from bench.run.prepare import prepare_inputs
from bench.selftest import RESULTS
from bench.text import duration_text
from bench.trial import Effort, Run

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
    """Test on each workload whether a race finds a good trial; return 1 if not."""
    options = _options()
    for name in options.workload or SPACES:
        path = RESULTS / "racing.json" if options.out is None else options.out
        results = json.loads(path.read_text()) if path.exists() else {}
        results[name] = measure(name, options)
        path.write_text(json.dumps(results, indent=2) + "\n")
        path.with_suffix(".md").write_text(markdown(results))
    print(markdown(results))
    passed = all(result["held"] for result in results.values())
    return Exit.OK if passed else Exit.NO


def measure(name: str, options: argparse.Namespace) -> dict[str, object]:
    """Measure trials as a full sweep and as a race, and compare the best of both.

    The trials are those of one entry of `SPACES`, which are the settings of one
    workload.
    """
    consumer, axes = SPACES[name]
    block = sweeps.Block(workloads=(name,), axes=axes, consumer=consumer)
    effort = Effort(
        rounds=options.rounds,
        steady_seconds=options.steady_seconds,
        warmup_seconds=options.warmup_seconds,
    )
    sweep = sweeps.Sweep(name=f"racing-{name}", blocks=(block,))
    planned = plan.plan_sweep(sweep, effort, options.seed, 0.0, "")
    count = min(options.trials or len(planned.trials), len(planned.trials))
    trials = random.Random(options.seed).sample(planned.trials, count)
    planned = replace(planned, trials=trials, effort=_shortened(effort, count, options))
    executor = executors.executor()
    try:
        planned = prepare_inputs(planned, executor)
        executor.stop()
        folder = options.folder / name
        print(
            f"{name}: {len(planned.trials)} trials, "
            f"{duration_text(planned.seconds)} planned"
        )
        seconds, runs = make_runs(planned, folder / "exhaustive", executor)
        race = replace(
            planned,
            precision=options.precision,
            budget_seconds=options.share * seconds,
            seed=options.seed + 1,
        )
        race_seconds, race_runs = make_runs(race, folder / "race", executor)
        (standing,) = standings.standings(
            race.trials,
            race_runs,
            race.effort,
            race.precision,
            1 + max(run.round for run in race_runs),
        )
        logs = standings.log_seconds(runs)
        best = logs.mean().idxmin()
        # A race that ends in its first round has no standing, so the fastest counts.
        race_best = standing.best or standings.log_seconds(race_runs).mean().idxmin()
        keys = {best, race_best}
        fresh = fresh_rounds(planned, keys, executor, options.confirm_rounds)
    finally:
        executor.stop()
    ratio = _ratio(logs, race_best, best)
    fresh_logs = standings.log_seconds(fresh) if fresh else logs
    fresh_ratio = _ratio(fresh_logs, race_best, best)
    share = race_seconds / seconds
    return {
        "trials": len(planned.trials),
        "consumer": consumer,
        "axes": axes,
        "effort": asdict(planned.effort),
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
        "race_best": race_best,
        "ratio": ratio,
        "ratio_in_fresh_rounds": fresh_ratio,
        "machine": machine.fingerprint(),
        "held": len(planned.trials) >= LEAST_TRIALS
        and share <= MOST_SHARE
        and fresh_ratio["estimate"] <= 1 + MARGIN,
    }


def make_runs(
    planned: plan.Plan, folder: Path, executor: executors.Executor
) -> tuple[float, list[Run]]:
    """Make the runs of a sweep; return their seconds in all, and the runs.

    The seconds include the starts of servers. A sweep that was stopped goes on, and its
    earlier seconds count too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / store.FILE).touch()
    earlier, _ = store.load(folder)
    spent = folder / "seconds"
    before = float(spent.read_text()) if spent.exists() else 0.0
    plan.save(planned, folder)
    start = time.perf_counter()
    sweep_runs.make(planned, folder, executor, earlier)
    seconds = before + time.perf_counter() - start
    spent.write_text(f"{seconds}\n")
    return seconds, store.load(folder)[0]


def fresh_rounds(
    planned: plan.Plan, keys: set[str], executor: executors.Executor, number: int
) -> list[Run]:
    """Measure these trials alone in new rounds; a single trial needs none."""
    if len(keys) < 2:
        return []
    trials = [trial for trial in planned.trials if trial.key in keys]
    effort = replace(planned.effort, rounds=number)
    return list(
        rounds.rounds(trials, executor, effort, sweep="fresh", seed=planned.seed + 2)
    )


def _ratio(logs: pd.DataFrame, key: str, other: str) -> dict[str, float]:
    """Return the ratio of two trials' times within rounds, with its interval."""
    times = (np.exp(logs[name].to_numpy()) for name in (key, other))
    return asdict(intervals.ratio(*times))


def _shortened(effort: Effort, count: int, options: argparse.Namespace) -> Effort:
    """Shorten windows and warm-up step by step, until both sweeps fit into `--minutes`.

    There are at most eight steps.
    """
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
    """Return the table of full sweeps and races as Markdown."""
    lines = [
        "| workload | trials | rounds, ramp and steady | full sweep | race | "
        "share of time | best of the full sweep | best of the race | "
        "ratio of their times, full sweep | the ratio in fresh rounds | passed |",
        "| --- | --: | --- | --: | --: | --: | --- | --- | --: | --: | --- |",
    ]
    for name, result in results.items():
        effort = result["effort"]
        same = result["race_best"] == result["exhaustive_best"]
        cells = (
            f"{name} ({result['consumer']})",
            result["trials"],
            f"{effort['rounds']}, at most {effort['warmup_seconds']:.2g} s and "
            f"{effort['steady_seconds']:.2g} s",
            f"{duration_text(result['exhaustive_seconds'])}, "
            f"{result['exhaustive_runs']} runs",
            f"{duration_text(result['race_seconds'])}, {result['race_runs']} runs",
            f"{100 * result['share']:.0f} %",
            f"`{result['exhaustive_best']}`",
            "the same" if same else f"`{result['race_best']}`",
            _interval(result["ratio"]),
            _interval(result["ratio_in_fresh_rounds"]),
            "yes" if result["held"] else "no",
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    lines += [
        "",
        "Times are those of whole sweeps, starts of servers included. Ratios have 95 % "
        "intervals and are paired within rounds.",
    ]
    return "\n".join(lines) + "\n"


def _interval(interval: dict[str, float]) -> str:
    if interval["low"] == interval["high"] == 1:
        return "1"
    low, high = interval["low"], interval["high"]
    return f"{interval['estimate']:.3f} ({low:.3f} to {high:.3f})"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workload", action="append", choices=SPACES)
    parser.add_argument("--minutes", type=float, default=0.0, help="of one workload")
    parser.add_argument("--trials", type=int, default=0, help="drawn at random")
    parser.add_argument("--rounds", type=int, default=5, help="of the full sweep")
    parser.add_argument("--steady-seconds", type=float, default=1.0)
    parser.add_argument("--warmup-seconds", type=float, default=1.0)
    parser.add_argument("--precision", type=float, default=0.03)
    parser.add_argument(
        "--share", type=float, default=0.32, help="of the time that the race may take"
    )
    parser.add_argument("--confirm-rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="default results/method/racing.json")
    parser.add_argument(
        "--folder",
        type=Path,
        default=catalog.ROOT / "results" / "racing",
        help="result folders of the runs",
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
