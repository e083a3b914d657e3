"""This script measures a workload's rate by plain TensorFlow, over whole epochs.

    python -m bench.selftest.plain_tensorflow FILE [--axis NAME=VALUE ...] [--train]

The script uses nothing of the suite but the contract of a workload file and the names
of the axes. It builds the pipeline in the documented order and pulls every batch of
every epoch, in training by Keras' own step. It prints one JSON list: examples a second
of each epoch after the first.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras
import numpy as np
import tensorflow as tf

DEFAULTS = {"batch_size": 32, "shuffle_buffer": 0, "map_parallel_calls": 0}
DEFAULTS |= {"order": "map_batch", "cache": "none", "resample": "none", "prefetch": 0}


def main() -> None:
    """Print the rates of whole epochs as a JSON list, in examples a second."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--axis", action="append", default=[])
    parser.add_argument("--train", action="store_true")
    parser.add_argument("--seconds", type=float, default=4.0)
    options = parser.parse_args()
    settings = dict(text.split("=") for text in options.axis)
    axes = {name: type(v)(settings.get(name, v)) for name, v in DEFAULTS.items()}
    module = load(options.file)
    dataset, count = pipeline(module, axes)
    run = training(module, dataset) if options.train else draining(dataset)
    size = axes["batch_size"]
    if axes["resample"] != "none":
        batches = 64  # there are no epochs; 64 batches wait for the rare class often
    else:
        # As many epochs as fill whole batches, or nearly.
        epochs = min(range(1, 9), key=lambda n: (n * count % size, n))
        batches = max(1, round(epochs * count / size))
    run(batches)  # fills caches, traces functions
    rates, begin = [], time.perf_counter()
    while len(rates) < 2 or time.perf_counter() - begin < options.seconds:
        start = time.perf_counter()
        run(batches)
        rates.append(batches * size / (time.perf_counter() - start))
    print(json.dumps(rates))


def load(file: str) -> object:
    """Import a workload's file, and return the module."""
    spec = importlib.util.spec_from_file_location("workload", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pipeline(module: object, axes: dict) -> tuple[tf.data.Dataset, int]:
    """Return an endless dataset of batches, and the number of examples in an epoch."""
    rng, count = np.random.default_rng(20), module.EXAMPLES
    if hasattr(module, "read"):
        folder = Path(tempfile.mkdtemp())
        module.examples(rng, count, folder)
        paths = sorted(str(path) for path in folder.iterdir())
        files = tf.data.Dataset.from_tensor_slices((paths, [0] * len(paths)))
        raw = files.interleave(module.read, cycle_length=1)
        examples, labels = paths, None
    else:
        arrays = module.examples(rng, count)
        arrays = arrays if isinstance(arrays, tuple) else (arrays,)
        raw = tf.data.Dataset.from_tensor_slices(arrays)
        examples, labels = arrays[0], arrays[-1]
    layer = module.build(examples)
    decode = getattr(module, "decode", lambda *record: record)

    def mapped(*record: tf.Tensor) -> tuple:
        decoded = decode(*record)
        features, *rest = decoded if isinstance(decoded, tuple) else (decoded,)
        return (layer(features), *rest)

    calls = axes["map_parallel_calls"] or None
    size = axes["batch_size"]
    data = raw
    if axes["cache"] == "mapped":
        data = data.map(mapped, num_parallel_calls=calls).cache()
    if axes["shuffle_buffer"]:
        data = data.shuffle(axes["shuffle_buffer"], seed=1)
    data = data.repeat()
    if axes["resample"] == "rejection_known":
        shares = (np.bincount(labels) / len(labels)).tolist()
        data = data.rejection_resample(lambda _, y: y, [0.5, 0.5], shares)
        data = data.map(lambda _, example: example)
    if axes["cache"] == "mapped":
        data = data.batch(size, drop_remainder=True)
    elif axes["order"] == "batch_map":
        data = data.batch(size, drop_remainder=True)
        data = data.map(mapped, num_parallel_calls=calls)
    else:
        data = data.map(mapped, num_parallel_calls=calls)
        data = data.batch(size, drop_remainder=True)
    if axes["prefetch"]:
        data = data.prefetch(axes["prefetch"])
    options = tf.data.Options()
    options.experimental_optimization.apply_default_optimizations = False
    return data.with_options(options), count


def draining(dataset: tf.data.Dataset) -> Callable[[int], None]:
    """Return a function that pulls a number of batches within TensorFlow's runtime.

    A call of `next` from Python would take as long as a small batch.
    """
    iterator = iter(dataset)

    @tf.function
    def pull(batches: tf.Tensor) -> None:
        for _ in tf.range(batches):
            next(iterator)

    return lambda batches: pull(tf.constant(batches))


def training(module: object, dataset: tf.data.Dataset) -> Callable[[int], None]:
    """Return a function that trains the workload's model on a number of batches."""
    iterator = iter(dataset)
    features, _ = next(iterator)
    inputs = keras.Input(features.shape[1:])
    model = keras.Model(inputs, module.model(inputs))
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    model.make_train_function()

    def train(batches: int) -> None:
        for _ in range(batches):
            loss = model.train_function(iterator)["loss"]
        float(loss)

    return train


if __name__ == "__main__":
    main()
