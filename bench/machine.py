"""What identifies the machine and the versions, and the conditions around a run."""

import contextlib
import functools
import importlib.metadata
import os
import platform
import resource
import subprocess
from pathlib import Path

import psutil

PACKAGES = ("tensorflow", "keras", "numpy")
IDENTITY = ("cpu", "cpu_count", "memory_bytes", "gpus", "system")


@functools.cache
def fingerprint() -> dict[str, object]:
    """The machine and versions: two runs with unlike ones are never averaged."""
    root = Path(__file__).resolve().parent.parent
    return {
        "host": platform.node(),
        "system": platform.platform(),
        "cpu": _cpu(),
        "cpu_count": len(psutil.Process().cpu_affinity()),
        "memory_bytes": psutil.virtual_memory().total,
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "gpus": gpus(),
        "python": platform.python_version(),
        **{package: importlib.metadata.version(package) for package in PACKAGES},
        "git_commit": _output("git", "-C", str(root), "rev-parse", "HEAD"),
        "git_dirty": bool(_output("git", "-C", str(root), "status", "--porcelain")),
    }


def identity(machine: dict[str, object]) -> tuple:
    """What must agree before two runs' times may be put together."""
    names = (*IDENTITY, "python", *PACKAGES)
    return tuple(str(machine.get(name, "")) for name in names)


@functools.cache
def gpus() -> list[str]:
    """Name and driver of each NVIDIA GPU, asked of the driver and not of TensorFlow.

    Listing devices through TensorFlow would start CUDA, which does not survive a fork.
    """
    listed = _output(
        "nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"
    )
    return [line.strip() for line in listed.splitlines() if line.strip()]


class Conditions:
    """Load, steal and other processes' CPU between its making and `read()`."""

    def __init__(self) -> None:
        """Note the counters now."""
        self._before = psutil.cpu_times()
        self._own = cpu_seconds()
        self._load = os.getloadavg()[0]

    def read(self, run_cpu_seconds: float) -> dict[str, float]:
        """Shares of all processors' time since then, 0 to 1, and the load before.

        Args:
            run_cpu_seconds: CPU time of the run itself, which is not foreign.
        """
        after, before = psutil.cpu_times(), self._before
        idle = after.idle + after.iowait - before.idle - before.iowait
        steal = getattr(after, "steal", 0.0) - getattr(before, "steal", 0.0)
        guests = ("guest", "guest_nice")  # already counted in user and nice
        total = sum(
            getattr(after, name) - getattr(before, name)
            for name in after._fields
            if name not in guests
        )
        own = cpu_seconds() - self._own + run_cpu_seconds
        total = max(total, 1e-9)
        foreign = min(total, max(0.0, total - idle - steal - own))  # ticks are coarse
        return {
            "load_at_start": self._load,
            "steal_share": steal / total,
            "foreign_cpu_share": foreign / total,
        }


def cpu_seconds() -> float:
    """CPU time of this process so far, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _cpu() -> str:
    for line in _read("/proc/cpuinfo").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _read(path: str) -> str:
    with contextlib.suppress(OSError):
        return Path(path).read_text(encoding="utf-8").strip()
    return ""


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""  # no such tool here: what it would tell is then unknown
    return done.stdout.strip() if done.returncode == 0 else ""
