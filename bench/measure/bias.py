"""What the self-test measures by itself, each in a process of its own.

    python -m bench.measure.bias drain MICROSECONDS PAIRS
    python -m bench.measure.bias operation MICROSECONDS PAIRS

Prints a line of JSON, a ratio for each two in turn. Of `drain`: ours to `skip(n)` on
the same pipeline, batches of about so long. The hand-written iterators are kept alive:
destroying one takes time, which would fall on the next window. Of `operation`: how many
times as long as it says a batch takes that is so much longer than another.
"""

import gc
import json
import sys
import time
from collections.abc import Callable

import tensorflow as tf

from bench import machine
from bench.measure import clockwork, consumers
from bench.selftest import injection

WINDOW_SECONDS = 0.04


def drain(microseconds: float, pairs: int) -> dict[str, object]:
    """The drain against one written by hand, with how long a batch really takes."""
    dataset, seconds = _dataset(microseconds * 1e-6)
    batches = max(2, round(WINDOW_SECONDS / seconds))
    ours = consumers.drain(dataset).window(batches)
    ours()
    alive = []

    def by_hand() -> float:
        iterator = iter(dataset.skip(batches - 1))
        alive.append(iterator)
        return _timed(lambda: next(iterator))

    gc.disable()
    ratios = []
    for number in range(pairs):
        sides = [lambda: ("ours", _timed(ours)), lambda: ("hand", by_hand())]
        taken = dict(side() for side in (sides if number % 2 else sides[::-1]))
        ratios.append(taken["ours"] / taken["hand"])
    return {"microseconds": 1e6 * seconds, "ratios": ratios}


def operation(microseconds: float, pairs: int) -> dict[str, object]:
    """What is injected against what it says; as many pairs go before, untimed."""
    short, long = (
        iter(clockwork.dataset(injection.LEAST + more)) for more in (0.0, microseconds)
    )
    ratios = []
    for _ in range(2 * pairs):
        less = _timed(lambda: next(short))
        ratios.append(1e6 * (_timed(lambda: next(long)) - less) / microseconds)
    return {"ratios": ratios[pairs:]}


def _dataset(wanted: float) -> tuple[tf.data.Dataset, float]:
    """An endless pipeline whose batches take about so many seconds, and how many."""
    least = _batch_seconds(clockwork.dataset(0.0))
    dataset = clockwork.dataset(1e6 * max(0.0, wanted - least))
    return dataset, _batch_seconds(dataset)


def _batch_seconds(dataset: tf.data.Dataset) -> float:
    window = consumers.drain(dataset).window(50)
    window()
    return min(_timed(window) for _ in range(5)) / 50


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    machine.confine(1)  # that is steadier, and all it needs
    asked = {"drain": drain, "operation": operation}[sys.argv[1]]
    print(json.dumps(asked(float(sys.argv[2]), int(sys.argv[3]))))
