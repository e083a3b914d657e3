"""The most memory that this process held, from a chosen moment on."""

import contextlib
import gc
import resource
from pathlib import Path

PROCESS = Path("/proc/self")


def forget_peak() -> None:
    """Begin the peak anew: the gate, and building, had copies of the inputs.

    Where the kernel does not do that, the peak stays that of the whole process.
    """
    gc.collect()  # some copies hang in TensorFlow's reference cycles
    with contextlib.suppress(OSError):  # not on Linux, or not allowed
        (PROCESS / "clear_refs").write_text("5")


def peak_resident_bytes() -> int:
    """The most memory held since `forget_peak`, or since the process began."""
    with contextlib.suppress(OSError):
        for line in (PROCESS / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
