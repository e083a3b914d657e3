"""What identifies the machine and the versions, and the conditions around a run."""

import contextlib
import functools
import importlib.metadata
import os
import platform
import resource
import subprocess
import time
from pathlib import Path

import psutil

from bench import shell

PACKAGES = ("tensorflow", "keras", "numpy")
HEAVY_SHARE = 0.15  # of all processors' time; a quiet machine was seen at 0 to 0.02
LEAST_SECONDS = 0.1  # ten ticks of the counters; less tells nothing
GPU_STATE = {
    "clocks.sm": "gpu_sm_mhz",
    "clocks.mem": "gpu_memory_mhz",
    "temperature.gpu": "gpu_celsius",
}
PROCESSORS = sorted(os.sched_getaffinity(0))  # that this process may use
IDENTITY = ("cpu", "cpu_count", "memory_bytes", "gpus", "system")


@functools.cache
def fingerprint() -> dict[str, object]:
    """The machine and versions: two runs with unlike ones are never averaged."""
    root = Path(__file__).resolve().parent.parent
    return {
        "host": platform.node(),
        "system": platform.platform(),
        "cpu": _cpu(),
        "cpu_count": len(PROCESSORS),
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
    """Load, steal, other processes' CPU and clocks between its making and `read()`."""

    def __init__(self, *, clocked: bool = True) -> None:
        """Note the counters now, and the clocks, which a driver may be slow to read."""
        self._clocked = clocked
        self._clocks = clocks() if clocked else {}
        self._load = os.getloadavg()[0]
        self._own = cpu_seconds()
        self._before, self._start = psutil.cpu_times(), time.monotonic()

    def read(self, run_cpu_seconds: float | None) -> dict[str, float]:
        """Shares of all processors' time since then, 0 to 1, load, and clocks.

        The load is that before; each clock that the machine tells has a figure
        `_before` and one `_after`.

        Args:
            run_cpu_seconds: CPU time of the run itself, which is not foreign; None
                where it was killed or died and did not tell: then there is no foreign
                share either.
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
        own = cpu_seconds() - self._own + (run_cpu_seconds or 0.0)
        total = max(total, 1e-9)
        foreign = min(total, max(0.0, total - idle - steal - own))  # ticks are coarse
        if time.monotonic() - self._start < LEAST_SECONDS:
            total, steal, foreign = 1.0, 0.0, 0.0
        others = {"foreign_cpu_share": foreign / total}
        after_clocks = clocks() if self._clocked else {}
        return {
            "load_at_start": self._load,
            "steal_share": steal / total,
            **({} if run_cpu_seconds is None else others),
            **{f"{name}_before": value for name, value in self._clocks.items()},
            **{f"{name}_after": value for name, value in after_clocks.items()},
        }


def foreign_share(conditions: dict[str, float]) -> float:
    """Share of all processors' time that went to others: processes and guests."""
    names = ("steal_share", "foreign_cpu_share")
    return sum(conditions.get(name, 0.0) for name in names)


def clocks() -> dict[str, float]:
    """Clocks in MHz and the first GPU's temperature; only what the machine tells."""
    found = {}
    with contextlib.suppress(OSError, NotImplementedError):  # not told in some guests
        frequency = psutil.cpu_freq()
        if frequency and frequency.current:
            found["cpu_mhz"] = float(frequency.current)
    if gpus():
        asked = f"--query-gpu={','.join(GPU_STATE)}"
        told = _output("nvidia-smi", asked, "--format=csv,noheader,nounits")
        values = (told.splitlines() or [""])[0].split(",")
        for name, value in zip(GPU_STATE.values(), values, strict=False):
            with contextlib.suppress(ValueError):  # `[N/A]`, as on some cards
                found[name] = float(value)
    return found


def confine(count: int) -> None:
    """Keep every thread of this process to so many of its processors; 0 is all.

    The last ones, and the same for all: interrupts tend to be served by the first.
    """
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(ProcessLookupError):  # a thread that has just ended
            os.sched_setaffinity(int(task.name), PROCESSORS[-count:])


def cpu_seconds() -> float:
    """CPU time of this process so far, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def processor_use() -> tuple[float, float]:
    """CPU seconds of this process, and those in which its threads waited for a CPU.

    The system counts the latter for each thread that lives, where it counts them at
    all (proc(5), schedstat); else they are 0.
    """
    ran, waited = cpu_seconds(), 0
    for task in Path("/proc/self/task").glob("*/schedstat"):
        with contextlib.suppress(OSError):  # a thread that has just ended
            waited += int(task.read_text(encoding="ascii").split()[1])
    return ran, waited / 1e9


def work_seconds(elapsed: float, before: tuple[float, float]) -> float:
    """What some work took, less the time in which it only waited for a processor.

    That is CPU time, and the time in which nothing of the process ran or could run: it
    waited for a file, a device or a clock.

    Args:
        elapsed: Seconds by the clock.
        before: What `processor_use` gave at its beginning.
    """
    ran, waited = (
        now - then for now, then in zip(processor_use(), before, strict=True)
    )
    return ran + max(0.0, elapsed - ran - max(0.0, waited))


def children_cpu_seconds() -> float:
    """CPU time of the processes that this one started and waited for, all of it.

    Serving has such: they are the run's own, and not foreign load beside it.
    """
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
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
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=20,
            env=shell.environment_outside_hooks(),
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""  # no such tool here: what it would tell is then unknown
    return done.stdout.strip() if done.returncode == 0 else ""
