"""Energy, where the platform counts it: processor packages by RAPL, GPUs by NVML.

Both are counters of the whole package or GPU since some start, so what others use
beside the workload is in them too; conditions tell of that. They are read around a pass
of its own, after the timed one.
"""

import contextlib
import ctypes
import time
from collections.abc import Callable
from pathlib import Path

RAPL = Path("/sys/class/powercap")
NVML = "libnvidia-ml.so.1"
LEAST_SECONDS = 1.0  # NVML's counter moves every 20 to 100 ms
Counters = dict[str, tuple[float, float]]


def counters() -> Counters:
    """Joules so far, and at how many the counter begins anew, by counter.

    Names begin with `package` or `gpu`. Empty where nothing can be read: in most guests
    and containers, and for any user but root since Linux 5.10.
    """
    return _packages(RAPL) | _gpus()


def spent(before: Counters, after: Counters) -> dict[str, float]:
    """Joules between two readings, by `package` and `gpu`; the sum where several are.

    A package's counter begins anew every few minutes, at the most once in a pass.
    """
    found: dict[str, float] = {}
    for name in before.keys() & after.keys():
        (start, _), (end, limit) = before[name], after[name]
        used = end - start if end >= start else end - start + limit
        what = name.partition(":")[0]
        found[what] = found.get(what, 0.0) + used
    return found


def facts(
    window: Callable[[], None],
    examples: int,
    read: Callable[[], Counters] = counters,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Joules an example, by a pass of its own.

    Args:
        window: Pulls batches and returns when the last has come back.
        examples: In one window.
        read: The counters.
        clock: Seconds, monotonic.

    Returns:
        `package_joules_per_example` and `gpu_joules_per_example`, those that are known.
    """
    window()  # its buffers filled
    windows, start, before = 0, clock(), read()
    while clock() - start < LEAST_SECONDS:
        window()
        windows += 1
    joules = spent(before, read())
    return {
        f"{name}_joules_per_example": value / (windows * examples)
        for name, value in joules.items()
    }


def _packages(root: Path) -> Counters:
    """RAPL's top zones; the zones within them (cores, memory) are part of those."""
    found = {}
    for zone in sorted(root.glob("intel-rapl:*")):
        if zone.name.count(":") > 1:
            continue
        with contextlib.suppress(OSError, ValueError):  # for root alone, or not there
            joules = int((zone / "energy_uj").read_text()) / 1e6
            limit = int((zone / "max_energy_range_uj").read_text()) / 1e6
            found[f"package:{zone.name}"] = (joules, limit)
    return found


def _gpus(library: str = NVML) -> Counters:
    """NVML's counters, millijoules since the driver was loaded; Volta and later."""
    try:
        nvml = ctypes.CDLL(library)
    except OSError:
        return {}  # no NVIDIA driver here
    if nvml.nvmlInit_v2():
        return {}
    found = {}
    count = ctypes.c_uint()
    nvml.nvmlDeviceGetCount_v2(ctypes.byref(count))
    for number in range(count.value):
        handle, millijoules = ctypes.c_void_p(), ctypes.c_ulonglong()
        failed = nvml.nvmlDeviceGetHandleByIndex_v2(number, ctypes.byref(handle))
        failed = failed or nvml.nvmlDeviceGetTotalEnergyConsumption(
            handle, ctypes.byref(millijoules)
        )
        if not failed:
            found[f"gpu:{number}"] = (millijoules.value / 1e3, 0.0)
    nvml.nvmlShutdown()
    return found
