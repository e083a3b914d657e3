"""Two versions of a workload judged by other tools, each in about 20 to 25 s.

All time one callable, the next batch of the suite's own pipeline, base before head, and
judge by their own rule. A version has one process with pytest-benchmark, which knows no
more, and two with pyperf and asv; as most of the time goes into importing TensorFlow,
that one process is timed for longer. They are no dependencies of Feedrate:
`pip install pytest-benchmark pyperf asv`.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.catalog import ROOT
from bench.errors import UsageError

ALONE_SECONDS = 4.0  # timed in the only process of a version
PROCESSES = 2  # asv's default; pyperf's is 20, which would take minutes
PROCESS_SECONDS = 1.0  # timed in each of them
VALUE_SECONDS = 0.1  # pyperf's default for each of its values
WARMUP_BATCHES = 20

DRAIN = """
import sys
# By its own name: asv's folder, on the path as well, has a module `results`.
sys.path[:0] = [{root!r}, {here!r}]
import peers

def drain():
    return peers.drain({path!r}, {settings!r}, {scratch!r})
"""
BATCH = """
import timeit

count, seconds = timeit.Timer(drain()).autorange()
print(seconds / count)
"""
PYTEST = """
def test_drain(benchmark):
    benchmark(drain())
"""
PYPERF = """
import pyperf

runner = pyperf.Runner()
works = runner.parse_args().worker  # the process that starts workers only waits
runner.bench_func("drain", drain() if works else None)
"""
ASV = """
import os
os.environ["HOME"] = {home!r}
batch = None

def setup():  # before every call that is timed
    global batch
    batch = batch or drain()

def time_drain():
    batch()

time_drain.rounds = {rounds}
time_drain.repeat = (1, 10**9, {seconds})
time_drain.timeout = 120
"""


@dataclass(frozen=True)
class Sides:
    """What is compared.

    Attributes:
        base: A workload's file.
        head: The same, changed; another file.
        settings: Axes of its pipeline.
        batch_seconds: About how long a batch takes; pyperf would spend a process of
            each version on finding it.
        scratch: An empty folder.
    """

    base: Path
    head: Path
    settings: Mapping[str, object]
    batch_seconds: float
    scratch: Path


@dataclass(frozen=True)
class Peer:
    """Another tool.

    Attributes:
        title: Its name, and the rule that it judges by.
        package: What must be installed.
        judge: Whether it calls head slower, and what it said. It raises RuntimeError
            if the tool fails, or says neither of head.
    """

    title: str
    package: str
    judge: Callable[[Sides], tuple[bool, str]]

    def check_installed(self) -> None:
        """Find out before anything slow starts.

        Raises:
            UsageError: It is not installed.
        """
        if importlib.util.find_spec(self.package.replace("-", "_")) is None:
            raise UsageError(
                f"{self.package} is not installed, as it is no dependency of Feedrate. "
                f"To compare with it: {sys.executable} -m pip install {self.package}"
            )


def pytest_benchmark(sides: Sides) -> tuple[bool, str]:
    """Whether head's median is more than 5 % above the stored one of base."""
    for side in (sides.base, sides.head):
        # One test's name for both: of two names neither is compared, and that passes.
        test = _script("test_drain.py", PYTEST, side, sides.settings, sides.scratch)
        judging = ["--benchmark-compare", "--benchmark-compare-fail=median:5%"]
        done = _run(
            [
                *("-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull),
                *("--rootdir", str(sides.scratch), str(test)),
                *(f"--benchmark-storage={sides.scratch / 'store'}",),
                *("--benchmark-autosave", "--benchmark-columns=min,median,rounds"),
                *(f"--benchmark-max-time={ALONE_SECONDS}", "--benchmark-min-time=1e-4"),
                *(judging if side == sides.head else []),
            ],
            sides.scratch,
            allowed=(0, 1) if side == sides.head else (0,),
        )
    regressed = "Performance has regressed" in done.stdout + done.stderr
    rows = re.findall(r"^test_drain \((?:\d{4}_|NOW).*", done.stdout, re.MULTILINE)
    if len(rows) != 2 or bool(done.returncode) != regressed:
        raise _failed(done)
    return regressed, "\n".join(" ".join(row.split()) for row in rows)


def pyperf(sides: Sides) -> tuple[bool, str]:
    """Whether `compare_to` calls head significantly slower (t-test, 95 %)."""
    loops = max(1, round(VALUE_SECONDS / sides.batch_seconds))
    for name, side in (("base", sides.base), ("head", sides.head)):
        script = _script("drain.py", PYPERF, side, sides.settings, sides.scratch)
        _run(
            [
                *(str(script), "--output", f"{name}.json", "--copy-env"),
                *("--processes", str(PROCESSES), "--loops", str(loops)),
                *("--values", str(round(PROCESS_SECONDS / VALUE_SECONDS))),
            ],
            sides.scratch,
        )
    done = _run(
        ["-m", "pyperf", "compare_to", "--group-by-speed", "base.json", "head.json"],
        sides.scratch,
    )
    slower = "Slower (1):" in done.stdout
    others = ("Faster (1):", "Same speed (1):", "because not significant (1): drain")
    if slower + sum(one in done.stdout for one in others) != 1:
        raise _failed(done)
    return slower, done.stdout.strip()


def asv(sides: Sides) -> tuple[bool, str]:
    """Whether `compare -f 1.05` marks head with `+`."""
    folder, repo = sides.scratch, sides.scratch / "repo"
    _asv_suite(sides, repo / sides.base.name)
    git(repo, "init", "--quiet", "--initial-branch=main")
    # What it knows of the machine it keeps at home.
    ask = functools.partial(_run, folder=folder, environment={"HOME": str(folder)})
    ask(["-m", "asv", "machine", "--yes"])
    for name, side in (("base", sides.base), ("head", sides.head)):
        for file in side.parent.glob(f"{side.stem}.*"):
            shutil.copyfile(file, repo / file.name)
        git(repo, "add", "--all")
        git(repo, "commit", "--quiet", "--allow-empty", f"--message={name}")
        git(repo, "tag", name)
        ask(["-m", "asv", "run", "--python=same", "-e", f"--set-commit-hash={name}"])
    done = ask(["-m", "asv", "compare", "--factor", "1.05", "base", "head"])
    row = re.search(r"^\|(.*)\|\s*drain\.time_drain\s*\|$", done.stdout, re.MULTILINE)
    mark, *figures = [cell.strip() for cell in row[1].split("|")] if row else [""]
    if mark not in ("", "+", "-") or not figures or "n/a" in figures:
        raise _failed(done)
    return mark == "+", " ".join([mark, *figures]).strip()


def _asv_suite(sides: Sides, workload: Path) -> None:
    """A project whose one benchmark times the workload in its repository."""
    suite = sides.scratch / "suite"
    for place in (workload.parent, suite):
        place.mkdir()
    (suite / "__init__.py").touch()
    content = ASV.format(
        home=str(Path.home()), rounds=PROCESSES, seconds=PROCESS_SECONDS
    )
    _script("suite/drain.py", content, workload, sides.settings, sides.scratch)
    project = {
        "version": 1, "project": "drain", "repo": "repo", "branches": ["main"],
        "environment_type": "existing", "pythons": ["same"], "benchmark_dir": "suite",
        "results_dir": "found", "html_dir": "html", "env_dir": "env",
    }  # fmt: skip
    (sides.scratch / "asv.conf.json").write_text(json.dumps(project))


PEERS = {
    "pytest-benchmark": Peer(
        "pytest-benchmark median:5%", "pytest-benchmark", pytest_benchmark
    ),
    "pyperf": Peer("pyperf compare_to", "pyperf", pyperf),
    "asv": Peer("asv compare -f 1.05", "asv", asv),
}


def batch_seconds(path: Path, settings: Mapping[str, object], scratch: Path) -> float:
    """About how long a workload's batch takes, from a process of its own."""
    script = _script("batch.py", BATCH, path, settings, scratch)
    return float(_run([str(script)], scratch).stdout.splitlines()[-1])


def drain(
    path: str, settings: Mapping[str, object], scratch: str
) -> Callable[[], object]:
    """What is timed: the next batch of a workload's pipeline, warm."""
    from bench import catalog, machine
    from bench.data import inputs
    from bench.measure.assembly import Assembly
    from bench.measure.layers import as_layers
    from bench.pipeline import pipeline

    p = pipeline(dict(settings))
    machine.confine(p.cpus)
    entry = catalog.find(path)
    module = catalog.load(entry)
    made = inputs.prepare(entry, module, p)
    layers = as_layers(module.build(made.features))
    work = Assembly(p, entry, module, made, layers, 1, "/CPU:0")
    own = Path(tempfile.mkdtemp(dir=scratch))
    batches = iter(work.dataset(own, repeat=True))
    for _ in range(WARMUP_BATCHES):
        next(batches)
    return functools.partial(next, batches)


def git(repo: Path, *arguments: str) -> None:
    """Run git in a repository, as somebody who exists nowhere."""
    who = ("-c", "user.name=Feedrate", "-c", "user.email=feedrate@example.org")
    subprocess.run(["git", "-C", str(repo), *who, *arguments], check=True)


def _script(
    name: str,
    content: str,
    workload: Path,
    settings: Mapping[str, object],
    scratch: Path,
) -> Path:
    """A file in which `drain` makes what is timed."""
    made = DRAIN.format(
        root=str(ROOT),
        here=str(Path(__file__).parent),
        path=str(workload),
        settings=dict(settings),
        scratch=str(scratch),
    )
    path = scratch / name
    path.write_text(made + content, encoding="utf-8")
    return path


def _run(
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str] | None = None,
    *,
    allowed: Sequence[int] = (0,),
) -> subprocess.CompletedProcess:
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, **(environment or {})},
    )
    if done.returncode not in allowed:
        raise _failed(done)
    return done


def _failed(done: subprocess.CompletedProcess) -> RuntimeError:
    return RuntimeError(
        f"{' '.join(done.args)} exited with {done.returncode}, and did not judge:\n"
        f"{done.stdout}{done.stderr}"
    )
