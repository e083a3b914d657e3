"""This module is the verb `doctor`: it checks whether this machine can measure well."""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

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
print("DEVICES" + json.dumps({"built": tf.test.is_built_with_cuda(), "gpus": names}))
"""


@dataclass(frozen=True)
class Finding:
    """A finding is the result of one check of the machine.

    Attributes:
        name: The subject of the check.
        found: The result, with units.
        fit: Whether the machine passes; None if the result is unknown.
        remedy: What to do if the machine does not pass.
    """

    name: str
    found: str
    fit: bool | None
    remedy: str = ""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command `doctor` to its parser."""
    parser.add_argument(
        "--selftest",
        action="store_true",
        help="inject slow-downs and test whether they are detected",
    )
    parser.add_argument(
        "--minutes",
        type=values.minutes,
        default=30.0,
        help="minutes of comparisons; about ten more follow; default 30",
    )
    parser.add_argument("--out", type=Path, help="file for its comparisons, as JSON")


def main(options: argparse.Namespace) -> int:
    """Examine the machine, or run the self-test; return the exit code.

    Raises:
        UsageError: `--out` without `--selftest`.
    """
    if options.selftest:
        from bench.selftest import selftest

        return selftest.main(options.minutes, options.out, as_json=options.json)
    if options.out:
        raise UsageError("Leave out --out, which stores the comparisons of --selftest.")
    return report(as_json=options.json)


def report(*, as_json: bool) -> int:
    """Print the findings on this machine; return the exit code, 1 if a check fails."""
    findings = [*examine(), *tensorflow_sees()]
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        show(findings)
    return Exit.NO if any(finding.fit is False for finding in findings) else Exit.OK


def show(findings: list[Finding]) -> None:
    """Print the findings as a table, and the remedies below."""
    from rich.table import Table

    console = shell.console()
    grid = Table(box=None, pad_edge=False)
    for column in ("", "check", "result"):
        grid.add_column(column, overflow="fold")
    for finding in findings:
        grid.add_row(MARKS[finding.fit], finding.name, finding.found)
    console.print(grid)
    for finding in findings:
        if finding.fit is False:
            console.print(f"! {finding.name}: {finding.remedy}", markup=False)


def examine(seconds: float = 1.0) -> list[Finding]:
    """Check load, clocks, memory, disk, and how evenly the processor runs.

    Args:
        seconds: How long to observe other processes, and then the processor.
    """
    conditions = machine.Conditions()
    time.sleep(seconds)
    shares = conditions.read(0.0)
    facts = machine.fingerprint()
    governor = str(facts["governor"])
    free = machine.available_memory()
    disk = shutil.disk_usage(Path.cwd()).free
    spread = processor_spread(seconds)
    return [
        Finding("processor", f"{facts['cpu']}, {facts['cpu_count']} usable", True),
        Finding(
            "limits of a container",
            ", ".join(machine.limits_in_words(facts)) or "none",
            facts["cpu_limit"] is None,
            "a quota stops every thread for a part of each period, also within a timed "
            "window: give the container whole processors (docker: --cpuset-cpus), or "
            "measure with --axis cpus=1.",
        ),
        Finding(
            "other processes",
            f"{shares['foreign_cpu_share']:.0%} of the processors' time",
            shares["foreign_cpu_share"] < QUIET_SHARE,
            "end other programs, or expect wide intervals.",
        ),
        Finding(
            "stolen by other machines",
            f"{shares['steal_share']:.0%} of the processors' time",
            shares["steal_share"] < QUIET_SHARE,
            "the host is shared: measure at another time, or add rounds.",
        ),
        Finding(
            "evenness",
            f"equal work varied by {spread:.1%} (quartiles over median)",
            spread < STEADY_SPREAD,
            "clocks or other processes vary: add rounds, and use ratios only.",
        ),
        Finding(
            "governor",
            governor or "not reported by this system",
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
    """Return the interquartile range of the time of equal work, over its median."""

    def work() -> None:
        sum(range(100_000))

    extent = timing.Extent(warmup_seconds=0.2, steady_seconds=seconds)
    series = timing.measure(work, 1, time.perf_counter, extent)
    low, middle, high = statistics.quantiles(series.steady, n=4)
    return (high - low) / middle


def tensorflow_sees() -> list[Finding]:
    """Check TensorFlow's devices, in another process since TensorFlow starts CUDA."""
    done = subprocess.run(
        [sys.executable, "-c", ASK_TENSORFLOW], capture_output=True, text=True
    )
    _, mark, answer = done.stdout.partition("DEVICES")
    versions = {k: machine.fingerprint()[k] for k in machine.PACKAGES}
    text = ", ".join(f"{name} {version}" for name, version in versions.items())
    if not mark:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        return [
            Finding("TensorFlow", f"{text}: does not start: {last}", False, REINSTALL)
        ]
    devices = json.loads(answer)
    by_driver = machine.gpus()
    by_tensorflow = ", ".join(map(str, devices["gpus"])) or "none"
    findings = [Finding("TensorFlow", text, True)]
    if not by_driver:
        missing = "no NVIDIA driver answers; rows that need a GPU are not testable here"
        return [*findings, Finding("GPU", missing, True)]
    return [
        *findings,
        Finding(
            "GPU",
            f"driver sees {'; '.join(by_driver)}; TensorFlow sees {by_tensorflow}",
            bool(devices["gpus"]),
            missing_libraries(done.stderr, devices["built"]),
        ),
    ]


def missing_libraries(log: str, built_with_cuda: bool) -> str:
    """Return a sentence on GPU libraries that TensorFlow's log reports as missing."""
    if not built_with_cuda:
        return "this TensorFlow is built without CUDA: install requirements-gpu.txt."
    lines = [
        line.strip()
        for line in log.splitlines()
        if "dlopen" in line or "Could not load" in line or "Cannot" in line
    ]
    listed = " | ".join(lines) or "TensorFlow named none"
    return f"install requirements-gpu.txt; not loaded: {listed}"
