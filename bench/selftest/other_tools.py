"""This module compares two versions of a workload by other tools, in 20 to 25 s each.

Every tool times the next batch of the suite's own pipeline, first of base and then of
head, and decides by its own rule. pytest-benchmark has one process a version, as it
knows no more; pyperf and asv have two. Most of the time goes into importing TensorFlow,
so the single process is timed for longer. pyperf and asv are no dependencies of
Feedrate: `pip install pyperf asv`.
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

from bench.errors import UsageError
from bench.shell import ROOT

SINGLE_SECONDS = 4.0  # timed in the single process of a version
PROCESSES = 2  # asv's default; pyperf's is 20, which would take minutes
PROCESS_SECONDS = 1.0  # timed in each process
VALUE_SECONDS = 0.1  # of each value; pyperf's default
WARMUP_BATCHES = 20

DRAIN = """
import sys
sys.path.insert(0, {root!r})
from bench.selftest import other_tools

def drain():
    return other_tools.drain({path!r}, {settings!r}, {scratch!r})
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
is_worker = runner.parse_args().worker  # other processes only wait for workers
runner.bench_func("drain", drain() if is_worker else None)
"""
ASV = """
import os
os.environ["HOME"] = {home!r}
batch = None

def setup():  # before every timed call
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
    """The sides are the files of two versions of a workload, base and head.

    Attributes:
        base: The workload's file.
        head: The file of the changed workload.
        settings: The values of the pipeline's axes, by name.
        batch_seconds: About how long a batch takes; pyperf would spend a process of
            each version to measure this.
        scratch: An empty folder.
    """

    base: Path
    head: Path
    settings: Mapping[str, object]
    batch_seconds: float
    scratch: Path


@dataclass(frozen=True)
class Tool:
    """A tool is another program that compares two versions.

    Attributes:
        title: The name of the tool, and its rule.
        package: The package that must be installed.
        compare: Returns whether the tool calls head slower, and its output. It raises
            RuntimeError if the tool fails or gives no verdict.
    """

    title: str
    package: str
    compare: Callable[[Sides], tuple[bool, str]]

    def check_installed(self) -> None:
        """Check that the tool is installed, before anything slow starts.

        Raises:
            UsageError: The tool is not installed.
        """
        if importlib.util.find_spec(self.package.replace("-", "_")) is None:
            raise UsageError(
                f"{self.package} is not installed, as it is no dependency of Feedrate. "
                f"To compare with it: {sys.executable} -m pip install {self.package}"
            )


def pytest_benchmark(sides: Sides) -> tuple[bool, str]:
    """Return whether pytest-benchmark calls head slower than base, and its output.

    Its rule is a median more than 5 % above the stored median of base.
    """
    for side in (sides.base, sides.head):
        # Both need one name: tests of unlike names are not compared, and that passes.
        test = _script("test_drain.py", PYTEST, side, sides.settings, sides.scratch)
        comparing = ["--benchmark-compare", "--benchmark-compare-fail=median:5%"]
        done = _run(
            [
                *("-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull),
                *("--rootdir", str(sides.scratch), str(test)),
                *(f"--benchmark-storage={sides.scratch / 'store'}",),
                *("--benchmark-autosave", "--benchmark-columns=min,median,rounds"),
                *(
                    f"--benchmark-max-time={SINGLE_SECONDS}",
                    "--benchmark-min-time=1e-4",
                ),
                *(comparing if side == sides.head else []),
            ],
            sides.scratch,
            allowed=(0, 1) if side == sides.head else (0,),
        )
    slower = "Performance has regressed" in done.stdout + done.stderr
    rows = re.findall(r"^test_drain \((?:\d{4}_|NOW).*", done.stdout, re.MULTILINE)
    if len(rows) != 2 or bool(done.returncode) != slower:
        raise _failed(done)
    return slower, "\n".join(" ".join(row.split()) for row in rows)


def pyperf(sides: Sides) -> tuple[bool, str]:
    """Return whether pyperf calls head slower than base, and its output.

    Its rule is a t-test at 95 %, by `compare_to`.
    """
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
    if slower + sum(text in done.stdout for text in others) != 1:
        raise _failed(done)
    return slower, done.stdout.strip()


def asv(sides: Sides) -> tuple[bool, str]:
    """Return whether asv calls head slower than base, and its output.

    Its rule is the mark `+` of `compare -f 1.05`.
    """
    folder, repo = sides.scratch, sides.scratch / "repo"
    _asv_suite(sides, repo / sides.base.name)
    git(repo, "init", "--quiet", "--initial-branch=main")
    # asv stores facts of the machine in the home folder.
    run = functools.partial(_run, folder=folder, environment={"HOME": str(folder)})
    run(["-m", "asv", "machine", "--yes"])
    for name, side in (("base", sides.base), ("head", sides.head)):
        for file in side.parent.glob(f"{side.stem}.*"):
            shutil.copyfile(file, repo / file.name)
        git(repo, "add", "--all")
        git(repo, "commit", "--quiet", "--allow-empty", f"--message={name}")
        git(repo, "tag", name)
        run(["-m", "asv", "run", "--python=same", "-e", f"--set-commit-hash={name}"])
    done = run(["-m", "asv", "compare", "--factor", "1.05", "base", "head"])
    row = re.search(r"^\|(.*)\|\s*drain\.time_drain\s*\|$", done.stdout, re.MULTILINE)
    mark, *figures = [cell.strip() for cell in row[1].split("|")] if row else [""]
    if mark not in ("", "+", "-") or not figures or "n/a" in figures:
        raise _failed(done)
    return mark == "+", " ".join([mark, *figures]).strip()


def _asv_suite(sides: Sides, workload: Path) -> None:
    """Write a project of asv whose single benchmark times the workload."""
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
        "results_dir": "results", "html_dir": "html", "env_dir": "env",
    }  # fmt: skip
    (sides.scratch / "asv.conf.json").write_text(json.dumps(project))


TOOLS = {
    "pytest-benchmark": Tool(
        "pytest-benchmark median:5%", "pytest-benchmark", pytest_benchmark
    ),
    "pyperf": Tool("pyperf compare_to", "pyperf", pyperf),
    "asv": Tool("asv compare -f 1.05", "asv", asv),
}


def batch_seconds(path: Path, settings: Mapping[str, object], scratch: Path) -> float:
    """Measure, in a new process, about how many seconds a workload's batch takes."""
    script = _script("batch.py", BATCH, path, settings, scratch)
    return float(_run([str(script)], scratch).stdout.splitlines()[-1])


def drain(
    path: str, settings: Mapping[str, object], scratch: str
) -> Callable[[], object]:
    """Return the function to time: it pulls the next batch of a warm pipeline."""
    from bench import catalog, machine
    from bench.data import inputs
    from bench.measure.assembly import Assembly
    from bench.measure.layers import as_layers
    from bench.pipeline import pipeline

    axes = pipeline(dict(settings))
    machine.confine(axes.cpus)
    entry = catalog.find(path)
    module = catalog.load(entry)
    examples = inputs.prepare(entry, module, axes)
    layers = as_layers(module.build(examples.features))
    assembly = Assembly(axes, entry, module, examples, layers, 1, "/CPU:0")
    folder = Path(tempfile.mkdtemp(dir=scratch))
    batches = iter(assembly.dataset(folder, repeat=True))
    for _ in range(WARMUP_BATCHES):
        next(batches)
    return functools.partial(next, batches)


def git(repo: Path, *arguments: str) -> None:
    """Run a git command in a repository, with a made-up author."""
    name = ("-c", "user.name=Feedrate", "-c", "user.email=feedrate@example.org")
    subprocess.run(["git", "-C", str(repo), *name, *arguments], check=True)


def _script(
    name: str,
    content: str,
    workload: Path,
    settings: Mapping[str, object],
    scratch: Path,
) -> Path:
    """Write a script that defines `drain()`, which returns the function to time."""
    definition = DRAIN.format(
        root=str(ROOT),
        path=str(workload),
        settings=dict(settings),
        scratch=str(scratch),
    )
    path = scratch / name
    path.write_text(definition + content, encoding="utf-8")
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
        f"{' '.join(done.args)} exited with {done.returncode} and gave no verdict:\n"
        f"{done.stdout}{done.stderr}"
    )
