"""How often the guard is wrong, and how often it catches a slow-down of known size.

    python -m results.method.guard_bars --minutes 60 [--neighbour] [--method M]

Through the whole path: a repository is made with three real workloads, each with an
operation in its map whose length the head commit changes so that the trial's time grows
by 0, 5 or 10 % (`bench/injection.py`; what the length does to the time is measured
first, by lockstep). Then `run_bench.py guard --against-ref` is run again and again, in
random order, 20 s each. Every comparison is a line of guard.jsonl, and guard.md its
table. With `--method pytest-benchmark` the same two
files are judged by its `--benchmark-compare-fail=median:5%`, in about the same time.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from scipy.stats import binomtest

from bench import injection, selftest
from bench.catalog import ROOT
from bench.processes import executor

HERE = Path(__file__).parent
RAW = HERE / "guard.jsonl"
SECONDS = 20
TRIALS = {
    "prose": {"order": "batch_map", "batch_size": 256},
    "text_bigrams": {"order": "batch_map", "batch_size": 32},
    "photographs": {"order": "batch_map", "batch_size": 8},
}
CHANGES = (0.0, 0.05, 0.10)
NAMES = {0: "held", 1: "regressed", 3: "could not tell"}
PEER = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
import tensorflow as tf
from bench import catalog, inputs
from bench.pipeline import pipeline
from bench.preprocess import as_layers
from bench.work import Work


def test_drain(benchmark, tmp_path):
    p = pipeline({settings!r})
    entry = catalog.find({path!r})
    module = catalog.load(entry)
    made = inputs.prepare(entry, module, p)
    layers = as_layers(module.build(made.features))
    work = Work(p, entry, module, made, layers, 1, "/CPU:0")
    work.know_rank()
    batches = iter(work.dataset(tmp_path, repeat=True))
    for _ in range(20):
        next(batches)
    benchmark(lambda: next(batches))
"""


def main() -> None:
    """Measure for the minutes given, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--neighbour", action="store_true")
    parser.add_argument("--method", choices=METHODS, default="guard")
    parser.add_argument("--changes", default="0,5,10", help="per cent")
    parser.add_argument("--table", action="store_true", help="only write the table")
    options = parser.parse_args()
    if not options.table:
        changes = [float(text) / 100 for text in options.changes.split(",")]
        with tempfile.TemporaryDirectory() as folder:
            _measure(Path(folder), options, changes)
    HERE.joinpath("guard.md").write_text(table(_read()), encoding="utf-8")


def _measure(folder: Path, options: argparse.Namespace, changes: list[float]) -> None:
    lengths = calibrations()
    (folder / "repo").mkdir()
    (folder / "lock").mkdir()
    stop, number = time.monotonic() + 60 * options.minutes, 0
    while time.monotonic() < stop:
        cells = [(name, change) for name in TRIALS for change in changes]
        random.Random(number).shuffle(cells)
        number += 1
        for name, change in cells:
            length = lengths[name].length_for(change)
            if time.monotonic() > stop:
                return
            beside = selftest.neighbour(number)
            with beside if options.neighbour else contextlib.nullcontext():
                found = METHODS[options.method](folder, name, length)
            found |= {
                "workload": name,
                "change": change,
                "neighbour": options.neighbour,
                "length": length,
            }
            with RAW.open("a", encoding="utf-8") as file:
                file.write(json.dumps(found) + "\n")
            print(json.dumps(found), flush=True)


def calibrations() -> dict[str, injection.Calibrated]:
    """What the injected operation does to each trial's time, by lockstep."""
    server, found = executor(), {}
    server.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            for name, settings in TRIALS.items():
                case = selftest.Case(name, settings)
                found[name] = selftest.calibrated(server, case, Path(folder))
                print(name, found[name], flush=True)
    finally:
        server.stop()
    return found


def _guard(folder: Path, name: str, length: int) -> dict[str, object]:
    repo, out = folder / "repo", folder / "out.json"
    _commit(repo, name, length)
    axes = [f"--axis={axis}={value}" for axis, value in TRIALS[name].items()]
    start = time.monotonic()
    done = subprocess.run(
        [
            sys.executable, str(ROOT / "run_bench.py"), "guard", "--repo", str(repo),
            "--against-ref", "base", "--workload", f"{name}.py", *axes,
            "--budget", f"{SECONDS - 3.2}s", "--out", str(out),
            "--seed", str(random.randrange(10**6)),
        ],
        capture_output=True, text=True, cwd=repo,
    )  # fmt: skip
    seconds = time.monotonic() - start
    if done.returncode not in NAMES:
        raise RuntimeError(done.stdout + done.stderr)
    record = json.loads(out.read_text(encoding="utf-8"))
    row, control = record["rows"][0], (record["control"] or [{}])[0]
    kept = ("verdict", "ratio", "low", "high", "count", "turns", "log_ratios", "cause")
    return {
        "method": "guard",
        "exit": done.returncode,
        "seconds": round(seconds, 1),
        **{key: row[key] for key in kept},
        "control": control.get("ratio"),
        "steal_share": record["conditions"]["steal_share"],
        "foreign_cpu_share": record["conditions"]["foreign_cpu_share"],
    }


def _commit(repo: Path, name: str, length: int) -> None:
    """Base is a branch with the shortest operation; head changes only its length."""

    def git(*arguments: str) -> None:
        subprocess.run(["git", "-C", str(repo), *arguments], check=True)

    if not (repo / ".git").is_dir():
        git("init", "--quiet", "--initial-branch=base")
        git("config", "user.email", "guard@example.org")
        git("config", "user.name", "Guard")
        for one in TRIALS:
            injection.write(one, injection.LEAST, repo)
        git("add", "--all")
        git("commit", "--quiet", "--message=base")
    git("checkout", "--quiet", "--force", "-B", "head", "base")
    path = injection.write(name, length, repo)
    with path.open("a", encoding="utf-8") as file:
        file.write(f"# length {length}\n")
    git("commit", "--quiet", "--all", "--message=head")


def _peer(folder: Path, name: str, length: int) -> dict[str, object]:
    """The same two files by pytest-benchmark, `--benchmark-compare-fail=median:5%`."""
    start, codes = time.monotonic(), []
    (folder / "lock").mkdir(exist_ok=True)
    store = tempfile.mkdtemp(dir=folder)
    for side, so_long in (("base", injection.LEAST), ("head", length)):
        place = folder / side
        place.mkdir(exist_ok=True)
        path = injection.write(name, so_long, place)
        test = folder / "test_peer.py"
        test.write_text(
            PEER.format(root=str(ROOT), settings=TRIALS[name], path=str(path))
        )
        judged = ["--benchmark-compare", "--benchmark-compare-fail=median:5%"]
        done = subprocess.run(
            [
                sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
                "-c", "/dev/null", "--rootdir", str(folder), str(test),
                f"--benchmark-storage={store}", "--benchmark-autosave",
                "--benchmark-max-time=4", "--benchmark-min-time=0.0001",
                *(judged if side == "head" else []),
            ],
            capture_output=True, text=True, cwd=folder,
        )  # fmt: skip
        codes.append(done.returncode)
    regressed = "Performance has regressed" in done.stdout + done.stderr
    if codes[0] or (codes[1] and not regressed):
        raise RuntimeError(done.stdout + done.stderr)
    return {
        "method": "pytest-benchmark median:5%",
        "exit": codes[1],
        "verdict": "slower" if codes[1] else "held",
        "seconds": round(time.monotonic() - start, 1),
    }


def table(found: list[dict]) -> str:
    """The verdicts counted, as Markdown."""
    lines = [
        "| method | beside a neighbour | workload | slower by | comparisons "
        "| regressed | could not tell | held | regressed, 95 % | longest, s |",
        "| --- | --- | --- | --: | --: | --: | --: | --: | --- | --: |",
    ]
    cells: dict[tuple, list[dict]] = {}
    for one in found:
        for name in (one["workload"], "all"):
            cell = (one["method"], one["neighbour"], name, one["change"])
            cells.setdefault(cell, []).append(one)
    for (method, noisy, name, change), some in sorted(cells.items()):
        count = Counter(one["exit"] for one in some)
        low, high = binomtest(count[1], len(some)).proportion_ci()
        beside = "yes" if noisy else "no"
        lines.append(
            f"| {method} | {beside} | {name} | {100 * change:.0f} % | {len(some)} "
            f"| {count[1]} | {count[3]} | {count[0]} "
            f"| {100 * low:.0f} to {100 * high:.0f} % "
            f"| {max(one['seconds'] for one in some):.0f} |"
        )
    return "\n".join(lines) + "\n"


def _read() -> list[dict]:
    return [json.loads(line) for line in RAW.read_text(encoding="utf-8").splitlines()]


METHODS = {"guard": _guard, "pytest-benchmark": _peer}

if __name__ == "__main__":
    main()
