"""How often the guard is wrong, and how often it catches a slow-down of known size.

    python -m results.method.guard_bars --minutes 60 [--neighbour] [--method M ...]

Through the whole path: a repository is made with three real workloads, each with an
operation in its map that the head commit makes so much longer that the trial's time
grows by 0, 5 or 10 % (`bench/injection.py`; how long a batch takes is measured first).
Then `run_bench.py guard --against-ref` is run again and again, in random order, about
20 s each, and other tools (`peers.py`) judge the same two files in about the same time.
Every comparison is a line of guard.jsonl, and guard.md its table.
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
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from scipy.stats import binomtest

from bench import injection, slowed
from bench.catalog import ROOT
from bench.errors import UsageError, check_writable
from bench.processes import executor
from results.method import peers

RAW = Path(__file__).with_name("guard.jsonl")
MINUTES = 60.0
SECONDS = 20
BESIDES_SECONDS = 1.2  # imports, and ending: what the budget does not count
TIMED_FOR = 10  # rounds: how long a batch takes moves with the machine's state
TRIALS = {
    "prose": {"order": "batch_map", "batch_size": 256, "cpus": 1},
    "text_bigrams": {"order": "batch_map", "batch_size": 32, "cpus": 1},
    "photographs": {"order": "batch_map", "batch_size": 2, "cpus": 1},
}
CODES = (0, 1, 3)  # held, regressed, could not tell
METHODS = ("guard", *peers.PEERS)
Judge = Callable[[str, float], dict[str, object]]  # of a workload, so much slower


def main() -> None:
    """Measure for so long, or so often, then write the table."""
    options = _options()
    if not options.table:
        try:
            with tempfile.TemporaryDirectory(prefix="feedrate-") as folder:
                _measure(Path(folder), options)
        except UsageError as error:
            sys.exit(str(error))
    lines = options.out.read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    options.out.with_suffix(".md").write_text(table(found), encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--minutes", type=float, help=f"default {MINUTES:g}, without --reps"
    )
    parser.add_argument("--reps", type=int, help="so many rounds over all cells")
    parser.add_argument("--neighbour", action="store_true", help="beside a noisy one")
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
    judges = _judges(folder, options.method, options.workload)
    cells = list(itertools.product(judges, options.workload, changes))
    stop = time.monotonic() + 60 * options.minutes
    for number in range(options.reps) if options.reps else itertools.count():
        if number % TIMED_FOR == 0:
            seconds = timed(options.workload)
        for method, name, change in random.Random(number).sample(cells, len(cells)):
            if time.monotonic() > stop:
                return
            more = change * seconds[name]
            noisy = options.neighbour
            with slowed.neighbour(number) if noisy else contextlib.nullcontext():
                judged = judges[method](name, more)
            judged |= {
                "workload": name,
                "change": change,
                "neighbour": noisy,
                "more_seconds": more,
            }
            with options.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(judged) + "\n")
            print(json.dumps(judged), flush=True)


def _judges(
    folder: Path, methods: Sequence[str], names: Sequence[str]
) -> dict[str, Judge]:
    """What judges a workload slowed by so many seconds a batch, by method."""
    others = {name: peers.PEERS[name] for name in methods if name in peers.PEERS}
    for peer in others.values():
        peer.check_installed()
    batch_seconds = {}
    for name in names if others else ():
        scratch = Path(tempfile.mkdtemp(dir=folder))
        path = injection.write(name, 0.0, scratch)
        batch_seconds[name] = peers.batch_seconds(path, TRIALS[name], scratch)
    judges = {
        name: functools.partial(_peer, peer, folder, batch_seconds)
        for name, peer in others.items()
    }
    guard = {"guard": functools.partial(_guard, folder)} if "guard" in methods else {}
    return guard | judges


def timed(names: Iterable[str]) -> dict[str, float]:
    """How long a batch of each takes now; seconds."""
    server = executor()
    server.start()
    try:
        with tempfile.TemporaryDirectory(prefix="feedrate-") as folder:
            return {
                name: slowed.batch_seconds(
                    slowed.side(server, slowed.Case(name, TRIALS[name]), Path(folder))
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


def _commit(repo: Path, name: str, more: float) -> None:
    """Base is a branch with the shortest operation; head changes only its time."""
    if not repo.is_dir():
        repo.mkdir()
        peers.git(repo, "init", "--quiet", "--initial-branch=base")
        for one in TRIALS:
            injection.write(one, 0.0, repo)
        peers.git(repo, "add", "--all")
        peers.git(repo, "commit", "--quiet", "--message=base")
    peers.git(repo, "checkout", "--quiet", "--force", "-B", "head", "base")
    injection.write(name, more, repo)
    peers.git(repo, "add", "--all")
    peers.git(repo, "commit", "--quiet", "--allow-empty", "--message=head")


def _peer(
    peer: peers.Peer,
    folder: Path,
    batch_seconds: dict[str, float],
    name: str,
    more: float,
) -> dict[str, object]:
    """The same two files by another tool, under the guard's exit codes."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        places = [Path(scratch) / one for one in ("base", "head", "scratch")]
        for place in places:
            place.mkdir()
        sides = peers.Sides(
            base=injection.write(name, 0.0, places[0]),
            head=injection.write(name, more, places[1]),
            settings=TRIALS[name],
            batch_seconds=batch_seconds[name],
            scratch=places[2],
        )
        regressed, said = peer.judge(sides)
    return {
        "method": peer.title,
        "exit": int(regressed),
        "verdict": "slower" if regressed else "held",
        "seconds": round(time.monotonic() - start, 1),
        "said": said,
    }


def table(found: Iterable[dict]) -> str:
    """The verdicts counted, as Markdown: the methods side by side, cell by cell."""
    lines = [
        "| beside a neighbour | slower by | workload | method | comparisons "
        "| regressed | could not tell | held | regressed, 95 % | longest, s | mean |",
        "| --- | --: | --- | --- | --: | --: | --: | --: | --- | --: | --: |",
    ]
    cells: dict[tuple, list[dict]] = {}
    for one in found:
        for name in ("all", one["workload"]):
            cell = (one["neighbour"], one["change"], name, one["method"])
            cells.setdefault(cell, []).append(one)
    for (noisy, change, name, method), some in sorted(cells.items(), key=_place):
        count = Counter(one["exit"] for one in some)
        low, high = binomtest(count[1], len(some)).proportion_ci()
        lines.append(
            f"| {'yes' if noisy else 'no'} | {100 * change:.0f} % | {name} | {method} "
            f"| {len(some)} | {count[1]} | {count[3]} | {count[0]} "
            f"| {100 * low:.0f} to {100 * high:.0f} % "
            f"| {max(one['seconds'] for one in some):.0f} | {_mean(name, some)} |"
        )
    return "\n".join(lines) + "\n"


def _mean(name: str, some: Sequence[dict]) -> str:
    """How much longer head took on average, by all trios of the guard's comparisons."""
    trios = [ratio for one in some for ratio in one.get("log_ratios", ())]
    if name == "all" or not trios:
        return ""
    return f"{100 * math.expm1(math.fsum(trios) / len(trios)):+.1f} %"


def _place(cell: tuple[tuple, list[dict]]) -> tuple:
    noisy, change, name, method = cell[0]
    return noisy, change, name != "all", name, method != "guard", method


if __name__ == "__main__":
    main()
