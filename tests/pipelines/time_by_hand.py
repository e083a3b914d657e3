"""Time a pipeline over whole epochs by plain TensorFlow.

Run as a program: `python time_by_hand.py FILE.py FUNCTION [--seconds S] [--held]`. It
prints examples a second. The first epoch does not count. A pipeline without an end is
timed over a stretch. With `--held` the pipeline's first batch is held in memory: no
pipeline is faster than that.
"""

import argparse
import importlib.util
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import tensorflow as tf

STRETCH = 16  # batches of a pipeline without an end
SHORTEST = 0.1  # seconds of one pull of whole epochs


def main() -> None:
    """Print the rate."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("function")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--held", action="store_true")
    options = parser.parse_args()
    dataset = getattr(load(options.file), options.function)()
    if options.held:
        dataset = dataset.take(1).cache()
    endless = dataset.cardinality() == tf.data.INFINITE_CARDINALITY
    batches = examples = 0
    for element in dataset.take(STRETCH) if endless else dataset:
        batches += 1
        examples += len(tf.nest.flatten(element)[0])
    dataset = dataset if endless else dataset.repeat()
    epochs = 1
    while True:
        # The runtime makes all batches, and hands only the last one to Python.
        pulls = iter(dataset.shard(epochs * batches, epochs * batches - 1))
        next(pulls)
        if pull(pulls, 2 * SHORTEST) <= 3:
            break
        epochs *= 2
    pull(pulls, options.seconds / 4)  # AUTOTUNE needs its time
    start = time.perf_counter()
    count = pull(pulls, options.seconds)
    print(count * epochs * examples / (time.perf_counter() - start))


def pull(pulls: Iterator, seconds: float) -> int:
    """Pull for at least so long, twice at the least; return how often."""
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < seconds or count < 2:
        next(pulls)
        count += 1
    return count


def load(path: Path) -> object:
    """Run a file as a module."""
    sys.path.insert(0, str(path.absolute().parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
