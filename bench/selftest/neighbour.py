"""A noisy neighbour, to test measuring with: bursts of two-thread matrix products.

    python -m bench.selftest.neighbour SECONDS [SEED]

About one second on and one second off, each length drawn from an exponential
distribution. It stops by itself after SECONDS, and when its standard input closes.
"""

import random
import signal
import sys
import threading
import time

import numpy as np

EDGE = 700  # of the matrices: tens of milliseconds a product


def main(seconds: float, seed: int = 0) -> None:
    """Make bursts for so long."""
    ended = threading.Event()
    threading.Thread(target=_watch, args=(ended,), daemon=True).start()
    stop, rng = time.monotonic() + seconds, random.Random(seed)
    matrix = np.random.default_rng(0).random((EDGE, EDGE))
    while (left := stop - time.monotonic()) > 0 and not ended.is_set():
        burst_end = time.monotonic() + min(left, rng.expovariate(1.0))
        while time.monotonic() < burst_end and not ended.is_set():
            matrix @ matrix
        ended.wait(min(rng.expovariate(1.0), max(0.0, stop - time.monotonic())))


def _watch(ended: threading.Event) -> None:
    sys.stdin.buffer.read()
    ended.set()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the runner closes our input on it
    main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
