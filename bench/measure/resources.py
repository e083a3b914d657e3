"""This module measures the peak of a run's memory, and its energy.

Energy is measured where the platform counts it: processor packages by RAPL, GPUs by
NVML. A counter covers a whole package or GPU, and so includes other processes, whose
load the conditions of a run show. The counters are read before and after an extra pass,
which follows the timed pass.
"""

import contextlib
import ctypes
import gc
import resource
import time
from collections.abc import Callable
from pathlib import Path

PROCESS = Path("/proc/self")
RAPL = Path("/sys/class/powercap")
NVML = "libnvidia-ml.so.1"
LEAST_SECONDS = 1.0  # NVML's counter moves every 20 to 100 ms
Counters = dict[str, tuple[float, float]]


def forget_peak() -> None:
    """Reset the peak of memory, since building and checking held copies of the inputs.

    If the kernel does not allow that, the peak remains that of the whole process.
    """
    gc.collect()  # some copies hang in TensorFlow's reference cycles
    with contextlib.suppress(OSError):  # not on Linux, or not allowed
        (PROCESS / "clear_refs").write_text("5")


def peak_resident_bytes() -> int:
    """Return the peak of memory since `forget_peak`, or since the process began."""
    with contextlib.suppress(OSError):
        for line in (PROCESS / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def energy_counters() -> Counters:
    """Return each counter's joules so far, and the joules at which it begins anew.

    Names begin with `package` or `gpu`. The mapping is empty where nothing can be read:
    in most guests and containers, and for any user but root since Linux 5.10.
    """
    return _packages(RAPL) | _gpus()


def joules_between(before: Counters, after: Counters) -> dict[str, float]:
    """Return the joules between two readings: sums over all packages and all GPUs.

    A package's counter begins anew every few minutes, so at most once in a pass.
    """
    joules: dict[str, float] = {}
    for name in before.keys() & after.keys():
        (start, _), (end, limit) = before[name], after[name]
        used = end - start if end >= start else end - start + limit
        device = name.partition(":")[0]
        joules[device] = joules.get(device, 0.0) + used
    return joules


def energy_facts(
    window: Callable[[], None],
    examples: int,
    read: Callable[[], Counters] = energy_counters,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Measure the joules an example in a pass of its own.

    Args:
        window: Pulls batches, and returns when the last has come.
        examples: The number of examples in one window.
        read: Returns the counters.
        clock: Returns seconds; monotonic.

    Returns:
        `package_joules_per_example` and `gpu_joules_per_example`, as far as they are
        known.
    """
    window()  # fills its buffers
    windows, start, before = 0, clock(), read()
    while clock() - start < LEAST_SECONDS:
        window()
        windows += 1
    return {
        f"{device}_joules_per_example": joules / (windows * examples)
        for device, joules in joules_between(before, read()).items()
    }


def _packages(root: Path) -> Counters:
    """Read RAPL's top zones, which include the zones within them (cores, memory)."""
    counters = {}
    for zone in sorted(root.glob("intel-rapl:*")):
        if zone.name.count(":") > 1:
            continue
        with contextlib.suppress(OSError, ValueError):  # for root alone, or missing
            joules = int((zone / "energy_uj").read_text()) / 1e6
            limit = int((zone / "max_energy_range_uj").read_text()) / 1e6
            counters[f"package:{zone.name}"] = (joules, limit)
    return counters


def _gpus(library: str = NVML) -> Counters:
    """Read NVML's counters: millijoules since the driver's start; Volta and later."""
    try:
        nvml = ctypes.CDLL(library)
    except OSError:
        return {}  # no NVIDIA driver here
    if nvml.nvmlInit_v2():
        return {}
    counters = {}
    count = ctypes.c_uint()
    nvml.nvmlDeviceGetCount_v2(ctypes.byref(count))
    for number in range(count.value):
        handle, millijoules = ctypes.c_void_p(), ctypes.c_ulonglong()
        failed = nvml.nvmlDeviceGetHandleByIndex_v2(number, ctypes.byref(handle))
        failed = failed or nvml.nvmlDeviceGetTotalEnergyConsumption(
            handle, ctypes.byref(millijoules)
        )
        if not failed:
            counters[f"gpu:{number}"] = (millijoules.value / 1e3, 0.0)
    nvml.nvmlShutdown()
    return counters
