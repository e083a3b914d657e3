"""This module identifies the machine and versions, and records a run's conditions."""

import contextlib
import functools
import os
import platform
import resource
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench import shell

PACKAGES = ("tensorflow", "keras", "numpy")
HEAVY_SHARE = 0.15  # of all processors' time; a quiet machine has 0 to 0.02
LEAST_SECONDS = 0.1  # ten ticks of the counters; shorter times are too coarse
GPU_STATE = {
    "clocks.sm": "gpu_sm_mhz",
    "clocks.mem": "gpu_memory_mhz",
    "temperature.gpu": "gpu_celsius",
}
PROCESSORS = sorted(os.sched_getaffinity(0))  # those that this process may use
LIMITS = ("cpu_limit", "memory_limit_bytes")  # absent from older records
IDENTITY = ("cpu", "cpu_count", "memory_bytes", *LIMITS, "gpus", "system")
MEMBER = "member"
# By version of the kernel's control groups, 2 and then 1: limit, use, and the part of
# the use that the kernel gives back on demand.
MEMORY_FILES = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


@functools.cache
def fingerprint() -> dict[str, object]:
    """Return facts that identify the machine, its software versions and the commit."""
    from importlib import metadata  # slow to import, and `list` needs none of it

    root = Path(__file__).resolve().parent.parent
    own = limits()
    return {
        "host": platform.node(),
        "system": platform.platform(),
        "cpu": _cpu(),
        "cpu_count": len(PROCESSORS),
        "memory_bytes": psutil.virtual_memory().total,
        "cpu_limit": own.cpus,
        "memory_limit_bytes": own.memory_bytes,
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "gpus": gpus(),
        "python": platform.python_version(),
        **{package: metadata.version(package) for package in PACKAGES},
        "git_commit": _output("git", "-C", str(root), "rev-parse", "HEAD"),
        "git_dirty": bool(_output("git", "-C", str(root), "status", "--porcelain")),
    }


def identity(machine: dict[str, object]) -> tuple:
    """Return the facts that two runs must share before their times are combined.

    A record without a limit equals an older record, which has no field for it. `member`
    is the host, where a report has several machines of one kind; files lack it.
    """
    values = (machine.get(name) for name in (*IDENTITY, "python", *PACKAGES, MEMBER))
    return tuple("" if value is None else str(value) for value in values)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits are what a container or a service manager leaves this process.

    Attributes:
        cpus: Processors' worth of time, such as 1.5; None if no quota is below the
            processors that this process may use.
        memory_bytes: The memory; None if no limit is below the machine's memory.
    """

    cpus: float | None
    memory_bytes: int | None


def limits(root: Path = Path("/")) -> Limits:
    """Return the limits of this process's control groups and of the groups above them.

    Args:
        root: The folder that holds `proc` and `sys`.
    """
    groups = list(_control_groups(root))
    cpus = [count for group in groups if (count := _quota(group)) is not None]
    memory = [limit for group in groups for limit, _ in _memory(group)]
    fewest = min(cpus, default=len(PROCESSORS))
    least = min(memory, default=psutil.virtual_memory().total)
    return Limits(
        cpus=fewest if fewest < len(PROCESSORS) else None,
        memory_bytes=least if least < psutil.virtual_memory().total else None,
    )


def limits_in_words(machine: dict[str, object]) -> list[str]:
    """Return the limits of a fingerprint in words; empty without limits."""
    cpus, memory = (machine.get(name) for name in LIMITS)
    words = [f"quota of {cpus:.3g} CPUs"] if cpus else []
    return words + ([f"memory limit of {memory / 2**30:.3g} GiB"] if memory else [])


def usable_processors(root: Path = Path("/")) -> float:
    """Return how many processors' worth of time this process may use."""
    return limits(root).cpus or len(PROCESSORS)


def available_memory(root: Path = Path("/")) -> int:
    """Return the bytes that this process may still take, within all its limits.

    Args:
        root: The folder that holds `proc` and `sys`.
    """
    rooms = (room for group in _control_groups(root) for _, room in _memory(group))
    return min([psutil.virtual_memory().available, *rooms])


def _control_groups(root: Path) -> Iterator[Path]:
    """Yield the folder of each control group of this process, and of those above.

    A container may see its own group as the root, or may see only its own branch of the
    tree; the root of a mount says which (cgroups(7), proc(5)).
    """
    paths = {}
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        paths[controllers] = Path(path)
    for line in _read(root / "proc/self/mountinfo").splitlines():
        mount, _, source = line.partition(" - ")
        top, folder = (Path(part) for part in mount.split()[3:5])
        kind, _, options = source.split(" ", 2)
        for controllers, path in paths.items():
            named = set(filter(None, controllers.split(",")))
            version = "cgroup" if named else "cgroup2"
            if kind != version or not named <= set(options.split(",")):
                continue
            known = path.is_relative_to(top) and ".." not in path.parts
            inside = path.relative_to(top) if known else Path()
            group = root / folder.relative_to("/") / inside
            yield group
            yield from group.parents[: len(inside.parts)]


def _quota(group: Path) -> float | None:
    """Return a control group's processor quota in processors; None if it has none."""
    quota, _, period = _read(group / "cpu.max").partition(" ")
    quota = quota or _read(group / "cpu.cfs_quota_us")
    period = period or _read(group / "cpu.cfs_period_us")
    if not (quota.isdigit() and period.isdigit()):  # `max` or -1: no quota
        return None
    count = int(quota) / int(period)
    return int(count) if count.is_integer() else count


def _memory(group: Path) -> Iterator[tuple[int, int]]:
    """Yield a control group's memory limit and what is left of it, in bytes."""
    for limit, used, reclaimable in MEMORY_FILES:
        numbers = [_read(group / name) for name in (limit, used)]
        if all(number.isdigit() for number in numbers):  # `max`: no limit
            pages = dict(
                line.split() for line in _read(group / "memory.stat").splitlines()
            )
            most, now = map(int, numbers)
            yield most, max(0, most - now + int(pages.get(reclaimable, 0)))


@functools.cache
def gpus() -> list[str]:
    """Return the name and the driver of each NVIDIA GPU, as the driver reports them.

    TensorFlow would start CUDA to list its devices, and CUDA does not survive a fork.
    """
    output = _output(
        "nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"
    )
    return [line.strip() for line in output.splitlines() if line.strip()]


class Conditions:
    """Conditions measure how busy the machine is, from the start until `read()`.

    They measure load, CPU time that other processes and the hypervisor took, and
    clocks.
    """

    def __init__(self, *, clocked: bool = True) -> None:
        """Read the counters; read the clocks too if `clocked`, which may be slow."""
        self._clocked = clocked
        self._clocks = clocks() if clocked else {}
        self._load = os.getloadavg()[0]
        self._own = cpu_seconds()
        self._before, self._start = psutil.cpu_times(), time.monotonic()

    def read(self, run_cpu_seconds: float | None) -> dict[str, float]:
        """Return shares of all processors' time since the start (0 to 1), and clocks.

        The load is the load average at the start. Each clock that the machine reports
        has a value `_before` and a value `_after`.

        Args:
            run_cpu_seconds: The CPU time of the run itself, which is not foreign; None
                if the run was killed and this time is unknown. The result then has no
                foreign share.
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
    """Return the share of processors' time that other processes and guests took."""
    names = ("steal_share", "foreign_cpu_share")
    return sum(conditions.get(name, 0.0) for name in names)


def clocks() -> dict[str, float]:
    """Return clock rates in MHz and the first GPU's temperature in degrees Celsius.

    Values that the machine does not report are left out.
    """
    values = {}
    with contextlib.suppress(OSError, NotImplementedError):  # some guests have none
        frequency = psutil.cpu_freq()
        if frequency and frequency.current:
            values["cpu_mhz"] = float(frequency.current)
    if gpus():
        query = f"--query-gpu={','.join(GPU_STATE)}"
        output = _output("nvidia-smi", query, "--format=csv,noheader,nounits")
        cells = (output.splitlines() or [""])[0].split(",")
        for name, cell in zip(GPU_STATE.values(), cells, strict=False):
            with contextlib.suppress(ValueError):  # some cards report `[N/A]`
                values[name] = float(cell)
    return values


def confine(count: int) -> None:
    """Confine every thread of this process to the last `count` processors; 0 is all.

    Interrupts tend to be served by the first processors.
    """
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(ProcessLookupError):  # a thread that has just ended
            os.sched_setaffinity(int(task.name), PROCESSORS[-count:])


def cpu_seconds() -> float:
    """Return the CPU time of this process so far, of all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def living_children_cpu_seconds() -> float:
    """Return the CPU time so far of all processes that this one has started.

    Processes that have ended are left out; `children_cpu_seconds` has their time.
    """
    seconds = 0.0
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it has just ended
            times = child.cpu_times()
            seconds += times.user + times.system
    return seconds


def processor_use() -> tuple[float, float]:
    """Return this process's CPU seconds, and the seconds its threads waited for a CPU.

    The waiting time is that of living threads; it is 0 if the system does not count
    waiting times (proc(5), schedstat).
    """
    ran, waited = cpu_seconds(), 0
    for task in Path("/proc/self/task").glob("*/schedstat"):
        with contextlib.suppress(OSError):  # a thread that has just ended
            waited += int(task.read_text(encoding="ascii").split()[1])
    return ran, waited / 1e9


def work_seconds(elapsed: float, before: tuple[float, float]) -> float:
    """Return the duration of some work in seconds, less its waiting for a processor.

    The result includes CPU time and waits for files, devices or clocks.

    Args:
        elapsed: The duration by the clock, in seconds.
        before: The result of `processor_use` at the start of the work.
    """
    ran, waited = (
        now - then for now, then in zip(processor_use(), before, strict=True)
    )
    return ran + max(0.0, elapsed - ran - max(0.0, waited))


def children_cpu_seconds() -> float:
    """Return the CPU time of this process's ended child processes.

    Serving starts such processes. Their time belongs to the run and is not foreign.
    """
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _cpu() -> str:
    for line in _read("/proc/cpuinfo").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _read(path: str | Path) -> str:
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
        return ""  # the tool is missing, so its answer is unknown
    return done.stdout.strip() if done.returncode == 0 else ""
