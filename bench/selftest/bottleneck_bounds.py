"""This program tests the attribution of training time to a bottleneck.

    python -m bench.selftest.bottleneck_bounds [--workload NAME ...] [--rounds N]

It measures every workload that trains as the sweep `bottleneck` does: the pipeline
alone, the model alone, and both together, naive and autotuned. The test fails where
training is faster than its bound, max(model, pipeline, CPU work / processors), beyond a
95 % interval. Four further cases have one known bottleneck each, and the attribution
must name that bottleneck. The program writes bound.json and, as tables, bound.md.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd

from bench import catalog, machine, store
from bench.analysis import bottleneck, table
from bench.errors import Exit
from bench.plan import plan
from bench.plan.sweeps import Block, Sweep
from bench.race import sweep_runs
from bench.run import executors
from bench.run.prepare import prepare_inputs
from bench.selftest import RESULTS
from bench.trial import Effort

CASE = "bench/selftest/workloads/vectors.py"
STRATEGIES = ("naive", "autotuned")
# By name: workload, axes, and the expected bottleneck. The others change the first.
CASES: dict[str, tuple[str, dict[str, tuple], str]] = {
    "as it is": (CASE, {}, ""),
    "slow storage": (CASE, {"read_latency_ms": (20,)}, "storage"),
    "heavy map": (f"{CASE}:heavy_map", {}, "preprocessing CPU"),
    "heavy model": (f"{CASE}:heavy_model", {}, "model"),
    "tiny batches": (CASE, {"batch_size": (1,)}, "Python"),
}


def main() -> int:
    """Measure, test and write the tables of results; return 1 if the test fails."""
    options = _options()
    options.folder.mkdir(parents=True, exist_ok=True)
    measure(options)
    record = {
        **results(bottleneck.attribute(table.load(options.folder))),
        "rounds": options.rounds,
        "steady_seconds": options.seconds,
        "machine": machine.fingerprint(),
    }
    options.out.write_text(json.dumps(record, indent=2) + "\n")
    options.out.with_suffix(".md").write_text(markdown(record))
    print(markdown(record))
    return Exit.OK if record["held"] else Exit.NO


def measure(options: argparse.Namespace) -> None:
    """Measure all trials whose runs the result folder does not have yet."""
    effort = Effort(
        rounds=options.rounds,
        steady_seconds=options.seconds,
        warmup_seconds=options.seconds,
        limit_seconds=300,
    )
    sweep = Sweep(name="bound", blocks=blocks(options.workload))
    planned = plan.plan_sweep(sweep, effort, options.seed, 0.0, "")
    executor = executors.executor()
    with store.locked(options.folder):
        runs, _ = store.load(options.folder)
        try:
            planned = replace(prepare_inputs(planned, executor), notes=[])
            plan.save(planned, options.folder)
            sweep_runs.announce(planned, options.folder)
            sweep_runs.make(planned, options.folder, executor, runs)
        finally:
            executor.stop()


def blocks(workloads: list[str]) -> tuple[Block, ...]:
    """Return the trials to measure, as blocks of a sweep.

    Each workload and each case has trials of its pipeline alone, its model alone and
    both.
    """
    names = workloads or [
        name for name, entry in catalog.entries("workloads").items() if entry.trains
    ]
    all_blocks = [
        Block(workloads=tuple(names), strategies=STRATEGIES),
        Block(workloads=tuple(names), strategies=STRATEGIES, consumer="train"),
        Block(workloads=tuple(names), consumer="model"),
    ]
    for workload, axes, _ in CASES.values():
        pipeline = Block(workloads=(workload,), axes=axes)
        model_axes = {name: axes[name] for name in axes if name == "batch_size"}
        model = replace(pipeline, axes=model_axes, consumer="model")
        all_blocks += [pipeline, replace(pipeline, consumer="train"), model]
    return tuple(all_blocks)


def results(rows: pd.DataFrame) -> dict[str, object]:
    """Return whether each training obeys its bound and each case has its bottleneck.

    The bound is the least time that the pipeline, the model and the processors allow.

    Args:
        rows: The table from `bottleneck.attribute`.
    """
    cases = {name: _case(rows, name) for name in CASES}
    is_case = rows["workload"].str.startswith(CASE)
    bounds = [_bound(row) for _, row in rows.iterrows()]
    beaten = [bound for bound in bounds if bound["beats_its_bound"]]
    settled = [bound for bound in bounds if math.isfinite(bound["attainable_low"])]
    named = all(case["binds"] == case["expected"] for case in _expected(cases))
    return {
        "held": bool(settled) and not beaten and named,
        "bounds": len(settled),
        "beaten": len(beaten),
        "beaten_by_chance": round(0.025 * len(settled), 1),
        "workloads": [b for b, case in zip(bounds, is_case, strict=True) if not case],
        "cases": cases,
    }


def markdown(record: dict) -> str:
    """Return the tables of workloads and of cases as Markdown."""
    lines = [
        "| workload | pipeline | model | both | bound | of attainable | binds | held |",
        "| --- | --: | --: | --: | --: | --: | --- | --- |",
    ]
    lines += [_line(f"{row['key']}", row) for row in record["workloads"]]
    lines += ["", f"{record['beaten']} of {record['bounds']} faster than their bound."]
    lines[-1] += f" By chance alone {record['beaten_by_chance']} would be, at 95 %."
    lines += ["", "| case | expected | binds | pipeline | model | both | right |"]
    lines += ["| --- | --- | --- | --: | --: | --: | --- |"]
    for name, case in record["cases"].items():
        times = (_milliseconds(case, part) for part in ("pipe", "model", "train"))
        right = _yes(case["binds"] == case["expected"]) if case["expected"] else ""
        cells = (name, case["expected"], case["binds"], *times, right)
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", f"Milliseconds a batch; {record['rounds']} rounds of "]
    verdict = "passed" if record["held"] else "failed"
    lines[-1] += f"{record['steady_seconds']:g} s. The test {verdict}."
    return "\n".join(lines) + "\n"


def _case(rows: pd.DataFrame, name: str) -> dict[str, object]:
    workload, axes, expected = CASES[name]
    own = rows[rows["workload"] == workload]
    settings = [f"{axis}={value}" for axis, (value,) in axes.items()]
    slow = own["key"].str.contains("read_latency_ms|batch_size=")
    own = own[own["key"].str.contains(settings[0], regex=False) if settings else ~slow]
    if own.empty:
        empty = dict.fromkeys(("pipe_seconds", "model_seconds", "train_seconds"), None)
        return {"expected": expected, "binds": "not measured", **empty}
    return {"expected": expected, **_bound(own.iloc[0])}


def _expected(cases: dict[str, dict]) -> list[dict]:
    return [case for case in cases.values() if case["expected"]]


def _bound(row: pd.Series) -> dict[str, object]:
    names = ("key", "binds", "rounds", *(f"{n}_seconds" for n in bottleneck.NAMES))
    names += ("bound_seconds", "stall", "overlap", "storage_share")
    names += ("attainable", "attainable_low", "attainable_high")
    columns = {name: value for name, value in row.items() if name in names}
    columns["rounds"] = int(row["rounds"])  # JSON takes no integer of NumPy
    return {**columns, "beats_its_bound": bool(row["attainable_low"] > 1)}


def _line(name: str, row: dict) -> str:
    times = (_milliseconds(row, part) for part in ("pipe", "model", "train", "bound"))
    shares = (f"{100 * row[f'attainable{end}']:.0f}" for end in ("", "_low", "_high"))
    share = "{} % ({} to {} %)".format(*shares)
    cells = (f"`{name}`", *times, share, row["binds"], _yes(not row["beats_its_bound"]))
    return f"| {' | '.join(cells)} |"


def _milliseconds(row: dict, part: str) -> str:
    seconds = row[f"{part}_seconds"]
    return "" if seconds is None else f"{1000 * seconds:.3g}"


def _yes(held: bool) -> str:
    return "yes" if held else "no"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workload", action="append", default=[])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="steady phase a run")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS / "bound.json")
    folder = catalog.ROOT / "results" / "bound"
    parser.add_argument("--folder", type=Path, default=folder, help="of the runs")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
