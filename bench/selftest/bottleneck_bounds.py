"""The bar for attribution: nothing beats its bound, and what binds is named rightly.

    python -m results.method.bound [--workload NAME ...] [--rounds N] [--seconds S]

Every workload that trains is measured as in the sweep `bottleneck`: the pipeline
alone, the model alone, and both together, naive and autotuned. The bar is missed where
training is faster than its bound, max(model, pipeline, CPU work / processors), beyond a
95 % interval. Then four cases made for one bottleneck each, beside the same without it,
must be given its name. Results go to bound.json and, as tables, to bound.md beside it.
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
from bench.commands import run
from bench.plan import plan
from bench.plan.sweeps import Block, Sweep
from bench.run import executors
from bench.run.prepare import prepare_inputs
from bench.trial import Effort

HERE = Path(__file__).resolve().parent
CASE = str(HERE.relative_to(catalog.ROOT) / "bound_case.py")
STRATEGIES = ("naive", "autotuned")
# Name, workload, axes, and what must bind; the first is what the others change.
CASES: dict[str, tuple[str, dict[str, tuple], str]] = {
    "as it is": (CASE, {}, ""),
    "slow storage": (CASE, {"read_latency_ms": (20,)}, "storage"),
    "heavy map": (f"{CASE}:heavy_map", {}, "preprocessing CPU"),
    "heavy model": (f"{CASE}:heavy_model", {}, "model"),
    "tiny batches": (CASE, {"batch_size": (1,)}, "Python"),
}


def main() -> int:
    """Measure, judge and write; 1 where the bar is missed."""
    options = _options()
    options.folder.mkdir(parents=True, exist_ok=True)
    measure(options)
    found = judged(bottleneck.attribute(table.load(options.folder)))
    found |= {"rounds": options.rounds, "steady_seconds": options.seconds}
    found["machine"] = machine.fingerprint()
    options.out.write_text(json.dumps(found, indent=2) + "\n")
    options.out.with_suffix(".md").write_text(markdown(found))
    print(markdown(found))
    return 0 if found["held"] else 1


def measure(options: argparse.Namespace) -> None:
    """The runs, into the folder; those that are there already are kept."""
    effort = Effort(
        rounds=options.rounds,
        steady_seconds=options.seconds,
        warmup_seconds=options.seconds,
        limit_seconds=300,
    )
    sweep = Sweep(name="bound", blocks=blocks(options.workload))
    made = plan.plan_sweep(sweep, effort, options.seed, 0.0, "")
    executor = executors.executor()
    with store.locked(options.folder):
        kept, _ = store.load(options.folder)
        try:
            made = replace(prepare_inputs(made, executor), notes=[])
            plan.save(made, options.folder)
            run.announce(made, options.folder)
            run.sweep(made, options.folder, executor, kept)
        finally:
            executor.stop()


def blocks(workloads: list[str]) -> tuple[Block, ...]:
    """The pipeline, the model and both: of the workloads, and of the cases."""
    names = workloads or [
        name for name, entry in catalog.entries("workloads").items() if entry.trains
    ]
    found = [
        Block(workloads=tuple(names), strategies=STRATEGIES),
        Block(workloads=tuple(names), strategies=STRATEGIES, consumer="train"),
        Block(workloads=tuple(names), consumer="model"),
    ]
    for workload, axes, _ in CASES.values():
        one = Block(workloads=(workload,), axes=axes)
        held = {name: axes[name] for name in axes if name == "batch_size"}
        model = replace(one, axes=held, consumer="model")
        found += [one, replace(one, consumer="train"), model]
    return tuple(found)


def judged(rows: pd.DataFrame) -> dict[str, object]:
    """Whether each training obeys its bound, and each case has its name.

    Args:
        rows: From `attribution.attribute`.
    """
    cases = {name: _case(rows, name) for name in CASES}
    mine = rows["workload"].str.startswith(CASE)
    bounds = [_judged(row) for _, row in rows.iterrows()]
    beaten = [one for one in bounds if one["beats_its_bound"]]
    settled = [one for one in bounds if math.isfinite(one["attainable_low"])]
    named = all(case["binds"] == case["expected"] for case in _expected(cases))
    return {
        "held": bool(settled) and not beaten and named,
        "bounds": len(settled),
        "beaten": len(beaten),
        "beaten_by_chance": round(0.025 * len(settled), 1),
        "workloads": [b for b, own in zip(bounds, mine, strict=True) if not own],
        "cases": cases,
    }


def markdown(found: dict) -> str:
    """Both tables."""
    lines = [
        "| workload | pipeline | model | both | bound | of attainable | binds | held |",
        "| --- | --: | --: | --: | --: | --: | --- | --- |",
    ]
    lines += [_line(f"{row['key']}", row) for row in found["workloads"]]
    lines += ["", f"{found['beaten']} of {found['bounds']} faster than their bound."]
    lines[-1] += f" By chance alone {found['beaten_by_chance']} would be, at 95 %."
    lines += ["", "| case | expected | binds | pipeline | model | both | right |"]
    lines += ["| --- | --- | --- | --: | --: | --: | --- |"]
    for name, case in found["cases"].items():
        times = (_milliseconds(case, part) for part in ("pipe", "model", "train"))
        right = _yes(case["binds"] == case["expected"]) if case["expected"] else ""
        cells = (name, case["expected"], case["binds"], *times, right)
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", f"Milliseconds a batch; {found['rounds']} rounds of "]
    verdict = "held" if found["held"] else "missed"
    lines[-1] += f"{found['steady_seconds']:g} s. The bar is {verdict}."
    return "\n".join(lines) + "\n"


def _case(rows: pd.DataFrame, name: str) -> dict[str, object]:
    workload, axes, expected = CASES[name]
    own = rows[rows["workload"] == workload]
    spelled = [f"{axis}={value}" for axis, (value,) in axes.items()]
    slow = own["key"].str.contains("read_latency_ms|batch_size=")
    own = own[own["key"].str.contains(spelled[0], regex=False) if spelled else ~slow]
    if own.empty:
        empty = dict.fromkeys(("pipe_seconds", "model_seconds", "train_seconds"), None)
        return {"expected": expected, "binds": "not measured", **empty}
    return {"expected": expected, **_judged(own.iloc[0])}


def _expected(cases: dict[str, dict]) -> list[dict]:
    return [case for case in cases.values() if case["expected"]]


def _judged(row: pd.Series) -> dict[str, object]:
    names = ("key", "binds", "rounds", *(f"{n}_seconds" for n in bottleneck.NAMES))
    names += ("bound_seconds", "stall", "overlap", "storage_share")
    names += ("attainable", "attainable_low", "attainable_high")
    kept = {name: value for name, value in row.items() if name in names}
    kept["rounds"] = int(row["rounds"])  # NumPy's own is no JSON
    return {**kept, "beats_its_bound": bool(row["attainable_low"] > 1)}


def _line(name: str, row: dict) -> str:
    times = (_milliseconds(row, part) for part in ("pipe", "model", "train", "bound"))
    reached = (f"{100 * row[f'attainable{end}']:.0f}" for end in ("", "_low", "_high"))
    of = "{} % ({} to {} %)".format(*reached)
    cells = (f"`{name}`", *times, of, row["binds"], _yes(not row["beats_its_bound"]))
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
    parser.add_argument("--out", type=Path, default=HERE / "bound.json")
    folder = catalog.ROOT / "results" / "bound"
    parser.add_argument("--folder", type=Path, default=folder, help="for the runs")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
