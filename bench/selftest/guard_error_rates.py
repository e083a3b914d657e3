"""This program measures the guard's false alarms and how often it catches slow-downs.

    python -m bench.selftest.guard_error_rates --minutes 60 [--neighbour]

The program uses the guard as users do. It makes a repository with three real workloads,
each with an extra operation in its map (see `injection.py`). The head commit makes that
operation longer, so that the trial's time grows by 0, 5 or 10 %. The program runs
`run_bench.py guard --against-ref` many times, in random order, for about 20 s each.
With `--method`, other tools (`other_tools.py`) compare the same two files in about the
same time. Every comparison becomes a line of guard.jsonl, and guard.md is their table.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import itertools
import json
import math
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from scipy.stats import binomtest

from bench.errors import Exit, UsageError, check_writable
from bench.run.executors import executor
from bench.selftest import RESULTS, comparison, injection, other_tools
from bench.shell import ROOT

RAW = RESULTS / "guard.jsonl"
MINUTES = 60.0
SECONDS = 20
BESIDES_SECONDS = 1.2  # of imports and of the end, which the budget does not count
TIMED_FOR = 10  # rounds; later the time of a batch may have changed
TRIALS = {
    "prose": {"order": "batch_map", "batch_size": 256, "cpus": 1},
    "text_bigrams": {"order": "batch_map", "batch_size": 32, "cpus": 1},
    "photographs": {"order": "batch_map", "batch_size": 2, "cpus": 1},
}
CODES = (Exit.OK, Exit.NO, Exit.UNKNOWN)
METHODS = ("guard", *other_tools.TOOLS)
# Compares a workload with itself when a batch takes a number of seconds longer.
Compare = Callable[[str, float], dict[str, object]]


def main() -> None:
    """Make comparisons for `--minutes` or `--reps`, then write a table of outcomes."""
    options = _options()
    if not options.table:
        try:
            with tempfile.TemporaryDirectory(prefix="feedrate-") as folder:
                _measure(Path(folder), options)
        except UsageError as error:
            sys.exit(str(error))
    lines = options.out.read_text(encoding="utf-8").splitlines()
    comparisons = [json.loads(line) for line in lines]
    options.out.with_suffix(".md").write_text(table(comparisons), encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--minutes", type=float, help=f"default {MINUTES:g}, without --reps"
    )
    parser.add_argument("--reps", type=int, help="rounds over all cells")
    parser.add_argument(
        "--neighbour", action="store_true", help="beside a noisy process"
    )
    parser.add_argument("--method", nargs="+", choices=METHODS, default=["guard"])
    parser.add_argument("--workload", nargs="+", choices=TRIALS, default=[*TRIALS])
    parser.add_argument("--changes", default="0,5,10", help="per cent")
    parser.add_argument("--out", type=Path, default=RAW, help="raw lines; table beside")
    parser.add_argument("--table", action="store_true", help="only write the table")
    options = parser.parse_args()
    if options.minutes is None:
        options.minutes = math.inf if options.reps else MINUTES
    return options


def _measure(folder: Path, options: argparse.Namespace) -> None:
    check_writable(options.out)
    changes = [float(text) / 100 for text in options.changes.split(",")]
    methods = _methods(folder, options.method, options.workload)
    cells = list(itertools.product(methods, options.workload, changes))
    stop = time.monotonic() + 60 * options.minutes
    for number in range(options.reps) if options.reps else itertools.count():
        if number % TIMED_FOR == 0:
            seconds = timed(options.workload)
        for method, name, change in random.Random(number).sample(cells, len(cells)):
            if time.monotonic() > stop:
                return
            more = change * seconds[name]
            noisy = options.neighbour
            with comparison.neighbour(number) if noisy else contextlib.nullcontext():
                outcome = methods[method](name, more)
            line = json.dumps(
                outcome
                | {
                    "workload": name,
                    "change": change,
                    "neighbour": noisy,
                    "more_seconds": more,
                }
            )
            with options.out.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
            print(line, flush=True)


def _methods(
    folder: Path, methods: Sequence[str], names: Sequence[str]
) -> dict[str, Compare]:
    """Return, by method, the function that compares a workload with a slower copy.

    A function takes the workload's name and the seconds by which a batch of the copy is
    longer; 0 seconds make the two sides equal.

    Raises:
        UsageError: The tool of a method is not installed.
    """
    tools = {name: other_tools.TOOLS[name] for name in methods if name != "guard"}
    for tool in tools.values():
        tool.check_installed()
    batch_seconds = {}
    for name in names if tools else ():
        scratch = Path(tempfile.mkdtemp(dir=folder))
        path = injection.write(name, 0.0, scratch)
        batch_seconds[name] = other_tools.batch_seconds(path, TRIALS[name], scratch)
    others = {
        name: functools.partial(_other_tool, tool, folder, batch_seconds)
        for name, tool in tools.items()
    }
    guard = {"guard": functools.partial(_guard, folder)} if "guard" in methods else {}
    return guard | others


def timed(names: Iterable[str]) -> dict[str, float]:
    """Return how many seconds a batch of each workload takes now, by workload."""
    server = executor()
    server.start()
    try:
        with tempfile.TemporaryDirectory(prefix="feedrate-") as folder:
            return {
                name: comparison.batch_seconds(
                    comparison.side(
                        server, comparison.Case(name, TRIALS[name]), Path(folder)
                    )
                )
                for name in names
            }
    finally:
        server.stop()


def _guard(folder: Path, name: str, more: float) -> dict[str, object]:
    repo, out = folder / "repo", folder / "out.json"
    _commit(repo, name, more)
    axes = [f"--axis={axis}={value}" for axis, value in TRIALS[name].items()]
    start = time.monotonic()
    done = subprocess.run(
        [
            sys.executable, str(ROOT / "run_bench.py"), "guard", "--repo", str(repo),
            "--against-ref", "base", "--workload", f"{name}.py", *axes,
            "--budget", f"{SECONDS - BESIDES_SECONDS}s", "--out", str(out),
            "--seed", str(random.randrange(10**6)),
        ],
        capture_output=True, text=True, cwd=repo,
    )  # fmt: skip
    seconds = time.monotonic() - start
    if done.returncode not in CODES:
        raise RuntimeError(done.stdout + done.stderr)
    record = json.loads(out.read_text(encoding="utf-8"))
    row, control = record["rows"][0], (record["control"] or [{}])[0]
    keys = ("verdict", "ratio", "low", "high", "count", "turns", "log_ratios", "cause")
    return {
        "method": "guard",
        "exit": done.returncode,
        "seconds": round(seconds, 1),
        **{key: row[key] for key in keys},
        "control": control.get("ratio"),
        "steal_share": record["conditions"]["steal_share"],
        "foreign_cpu_share": record["conditions"]["foreign_cpu_share"],
    }


def _commit(repo: Path, name: str, more: float) -> None:
    """Commit the workloads as `base`, then one with a longer operation as `head`."""
    if not repo.is_dir():
        repo.mkdir()
        other_tools.git(repo, "init", "--quiet", "--initial-branch=base")
        for workload in TRIALS:
            injection.write(workload, 0.0, repo)
        other_tools.git(repo, "add", "--all")
        other_tools.git(repo, "commit", "--quiet", "--message=base")
    other_tools.git(repo, "checkout", "--quiet", "--force", "-B", "head", "base")
    injection.write(name, more, repo)
    other_tools.git(repo, "add", "--all")
    other_tools.git(repo, "commit", "--quiet", "--allow-empty", "--message=head")


def _other_tool(
    tool: other_tools.Tool,
    folder: Path,
    batch_seconds: dict[str, float],
    name: str,
    more: float,
) -> dict[str, object]:
    """Compare the same two files by another tool, and return its verdict.

    The verdict is expressed by the exit codes of the guard.
    """
    start = time.monotonic()
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        places = [Path(scratch) / part for part in ("base", "head", "scratch")]
        for place in places:
            place.mkdir()
        sides = other_tools.Sides(
            base=injection.write(name, 0.0, places[0]),
            head=injection.write(name, more, places[1]),
            settings=TRIALS[name],
            batch_seconds=batch_seconds[name],
            scratch=places[2],
        )
        slower, output = tool.compare(sides)
    return {
        "method": tool.title,
        "exit": int(Exit.NO if slower else Exit.OK),
        "verdict": "slower" if slower else "not slower",
        "seconds": round(time.monotonic() - start, 1),
        "output": output,
    }


def table(comparisons: Iterable[dict]) -> str:
    """Return the number of each outcome of the comparisons, as a Markdown table.

    Methods are below each other.
    """
    lines = [
        "| beside a neighbour | slower by | workload | method | comparisons "
        "| regressed | could not tell | held | regressed, 95 % | longest, s | mean |",
        "| --- | --: | --- | --- | --: | --: | --: | --: | --- | --: | --: |",
    ]
    cells: dict[tuple, list[dict]] = {}
    for row in comparisons:
        for name in ("all", row["workload"]):
            cell = (row["neighbour"], row["change"], name, row["method"])
            cells.setdefault(cell, []).append(row)
    for (noisy, change, name, method), rows in sorted(cells.items(), key=_place):
        held, regressed, unknown = (
            sum(row["exit"] == code for row in rows) for code in CODES
        )
        low, high = binomtest(regressed, len(rows)).proportion_ci()
        lines.append(
            f"| {'yes' if noisy else 'no'} | {100 * change:.0f} % | {name} | {method} "
            f"| {len(rows)} | {regressed} | {unknown} | {held} "
            f"| {100 * low:.0f} to {100 * high:.0f} % "
            f"| {max(row['seconds'] for row in rows):.0f} | {_mean(name, rows)} |"
        )
    return "\n".join(lines) + "\n"


def _mean(name: str, rows: Sequence[dict]) -> str:
    """Return by how many per cent head took longer, as text.

    It is the mean over the trios (three processes that take turns) of all guards.
    """
    trios = [ratio for row in rows for ratio in row.get("log_ratios", ())]
    if name == "all" or not trios:
        return ""
    return f"{100 * math.expm1(math.fsum(trios) / len(trios)):+.1f} %"


def _place(cell: tuple[tuple, list[dict]]) -> tuple:
    noisy, change, name, method = cell[0]
    return noisy, change, name != "all", name, method != "guard", method


if __name__ == "__main__":
    main()
