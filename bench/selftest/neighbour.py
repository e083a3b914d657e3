"""This program is a noisy neighbour: bursts of matrix products by two threads.

    python -m bench.selftest.neighbour SECONDS [SEED]

Bursts and pauses take one second each on average, with exponentially distributed
lengths. The program ends after SECONDS, or when its standard input closes.
"""

import random
import signal
import sys
import threading
import time

import numpy as np

EDGE = 700  # rows of the matrices; a product takes tens of milliseconds


def main(seconds: float, seed: int = 0) -> None:
    """Use two processors in random bursts for a number of seconds."""
    ended = threading.Event()
    threading.Thread(target=_end_with_input, args=(ended,), daemon=True).start()
    stop, rng = time.monotonic() + seconds, random.Random(seed)
    matrix = np.random.default_rng(0).random((EDGE, EDGE))
    while (left := stop - time.monotonic()) > 0 and not ended.is_set():
        burst_end = time.monotonic() + min(left, rng.expovariate(1.0))
        while time.monotonic() < burst_end and not ended.is_set():
            matrix @ matrix
        ended.wait(min(rng.expovariate(1.0), max(0.0, stop - time.monotonic())))


def _end_with_input(ended: threading.Event) -> None:
    sys.stdin.buffer.read()
    ended.set()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent then closes the input
    main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
