"""The verb `doctor`: is this machine fit to measure on? What does TensorFlow see?"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from bench import machine, shell
from bench.commands import values
from bench.errors import Exit, UsageError
from bench.measure import timing

REINSTALL = "install again: rm -r .venv, then make bench."
QUIET_SHARE = 0.10
STEADY_SPREAD = 0.05
MARKS = {True: "[green]fit[/]", False: "[yellow]unfit[/]", None: "[dim]unknown[/]"}
LEAST_FREE_BYTES = 2 << 30
ASK_TENSORFLOW = """
import json, tensorflow as tf
gpus = tf.config.list_physical_devices("GPU")
names = [tf.config.experimental.get_device_details(g).get("device_name") for g in gpus]
print("FOUND" + json.dumps({"built": tf.test.is_built_with_cuda(), "gpus": names}))
"""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: What.
        found: What was seen, with units.
        fit: Whether it lets one measure; None where that is not told.
        remedy: What to do where it does not.
    """

    name: str
    found: str
    fit: bool | None
    remedy: str = ""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `doctor`."""
    parser.add_argument(
        "--selftest", action="store_true", help="inject slow-downs and look for them"
    )
    parser.add_argument(
        "--minutes",
        type=values.minutes,
        default=30.0,
        help="to compare for; about ten more follow; default 30",
    )
    parser.add_argument("--out", type=Path, help="write each comparison as JSON")


def main(options: argparse.Namespace) -> int:
    """Examine the machine, or run the self-test; returns the exit code.

    Raises:
        UsageError: `--out` without `--selftest`.
    """
    if options.selftest:
        from bench.selftest import selftest

        return selftest.main(options.minutes, options.out, as_json=options.json)
    if options.out:
        raise UsageError("Leave out --out, which keeps what --selftest compared.")
    return report(as_json=options.json)


def report(*, as_json: bool) -> int:
    """Print the findings; returns 1 if something is unfit."""
    findings = [*examine(), *tensorflow_sees()]
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        show(findings)
    return Exit.NO if any(finding.fit is False for finding in findings) else Exit.OK


def show(findings: list[Finding]) -> None:
    """The findings as a table, remedies below."""
    from rich.table import Table

    console = shell.console()
    grid = Table(box=None, pad_edge=False)
    for column in ("", "looked at", "found"):
        grid.add_column(column, overflow="fold")
    for finding in findings:
        grid.add_row(MARKS[finding.fit], finding.name, finding.found)
    console.print(grid)
    for finding in findings:
        if finding.fit is False:
            console.print(f"! {finding.name}: {finding.remedy}", markup=False)


def examine(seconds: float = 1.0) -> list[Finding]:
    """Load, clocks, memory, disk, and how evenly the processor runs.

    Args:
        seconds: How long to watch the other processes, and then the processor.
    """
    conditions = machine.Conditions()
    time.sleep(seconds)
    seen = conditions.read(0.0)
    told = machine.fingerprint()
    governor = str(told["governor"])
    free = psutil.virtual_memory().available
    disk = shutil.disk_usage(Path.cwd()).free
    spread = processor_spread(seconds)
    return [
        Finding("processor", f"{told['cpu']}, {told['cpu_count']} usable", True),
        Finding(
            "other processes",
            f"{seen['foreign_cpu_share']:.0%} of the processors' time",
            seen["foreign_cpu_share"] < QUIET_SHARE,
            "end what else runs here, or expect wide intervals.",
        ),
        Finding(
            "stolen by other machines",
            f"{seen['steal_share']:.0%} of the processors' time",
            seen["steal_share"] < QUIET_SHARE,
            "the host is shared: measure at another time, or add rounds.",
        ),
        Finding(
            "evenness",
            f"the same work varied by {spread:.1%} (quartiles over median)",
            spread < STEADY_SPREAD,
            "clocks or neighbours move: add rounds, and believe only ratios.",
        ),
        Finding(
            "governor",
            governor or "not told by this system",
            governor == "performance" if governor else None,
            "sudo cpupower frequency-set --governor performance",
        ),
        Finding(
            "free memory",
            f"{free / 2**30:.1f} GiB",
            free > LEAST_FREE_BYTES,
            "caches and shuffle buffers need memory: free some.",
        ),
        Finding(
            "free disk",
            f"{disk / 2**30:.1f} GiB",
            disk > LEAST_FREE_BYTES,
            "disk caches and results need space: free some.",
        ),
    ]


def processor_spread(seconds: float) -> float:
    """Interquartile range over median of the time of one piece of work."""

    def work() -> None:
        sum(range(100_000))

    extent = timing.Extent(warmup_seconds=0.2, steady_seconds=seconds)
    series = timing.measure(work, 1, time.perf_counter, extent)
    low, middle, high = statistics.quantiles(series.steady, n=4)
    return (high - low) / middle


def tensorflow_sees() -> list[Finding]:
    """TensorFlow's devices, asked in a process of its own since it starts CUDA."""
    done = subprocess.run(
        [sys.executable, "-c", ASK_TENSORFLOW], capture_output=True, text=True
    )
    _, found, answer = done.stdout.partition("FOUND")
    versions = {k: machine.fingerprint()[k] for k in machine.PACKAGES}
    spelled = ", ".join(f"{name} {version}" for name, version in versions.items())
    if not found:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        return [
            Finding(
                "TensorFlow", f"{spelled}: does not start: {last}", False, REINSTALL
            )
        ]
    told = json.loads(answer)
    present = machine.gpus()
    seen = ", ".join(map(str, told["gpus"])) or "none"
    findings = [Finding("TensorFlow", spelled, True)]
    if not present:
        what = "no NVIDIA driver answers; rows that need one are not testable here"
        return [*findings, Finding("GPU", what, True)]
    return [
        *findings,
        Finding(
            "GPU",
            f"driver sees {'; '.join(present)}; TensorFlow sees {seen}",
            bool(told["gpus"]),
            missing_libraries(done.stderr, told["built"]),
        ),
    ]


def missing_libraries(log: str, built_with_cuda: bool) -> str:
    """Which library keeps TensorFlow from the GPU, from what it logged at start."""
    if not built_with_cuda:
        return "this TensorFlow is built without CUDA: install requirements-gpu.txt."
    lines = [
        line.strip()
        for line in log.splitlines()
        if "dlopen" in line or "Could not load" in line or "Cannot" in line
    ]
    listed = " | ".join(lines) or "TensorFlow named none"
    return f"install requirements-gpu.txt; what could not be loaded: {listed}"
