"""This program compares five factors of the suite with hand-written TensorFlow.

pytest does not collect this file, since it measures. Run `python tests/handwritten.py`
on a quiet machine. The hand-written side shares only the input arrays and the layers'
settings with the suite, and each measurement has a fresh interpreter. The program exits
with 1 if a factor differs by more than 10 %.
"""

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

BATCH = 64
ROUNDS = 3
SECONDS = 1.0
# Name -> workload, settings of the two trials, consumer.
COMPARISONS = {
    "text_vectorization: batch before map": (
        "text_vectorization",
        {},
        {"order": "batch_map"},
        "drain",
    ),
    "rescaling: batch before map": ("rescaling", {}, {"order": "batch_map"}, "drain"),
    "random_rotation: two map calls": (
        "random_rotation",
        {},
        {"map_parallel_calls": 2},
        "drain",
    ),
    "prose: mapped cache": ("prose", {}, {"cache": "mapped"}, "drain"),
    "prices: layers in the model, training": (
        "prices",
        {"order": "batch_map"},
        {"placement": "model"},
        "train",
    ),
}


def main(part: str = "") -> int:
    """Measure both sides in turn and print the factors.

    Args:
        part: Only comparisons whose names contain this text are measured.
    """
    from bench.pipeline import pipeline
    from bench.run.executors import executor
    from bench.run.rounds import rounds
    from bench.trial import Effort, Trial

    effort = Effort(rounds=ROUNDS, steady_seconds=SECONDS)
    trials, jobs = {}, {}
    comparisons = {name: c for name, c in COMPARISONS.items() if part in name}
    for name, (workload, *settings, consumer) in comparisons.items():
        for side, values in enumerate(settings):
            p = pipeline({"batch_size": BATCH, **values})
            trial = Trial(workload=workload, pipeline=p, consumer=consumer)
            trials[trial.key] = name, side
            jobs[name, side] = trial
    ours: dict[tuple, dict] = {key: {} for key in jobs}
    runs = rounds(list(jobs.values()), executor(), effort, sweep="handwritten", seed=1)
    for run in runs:
        assert run.measured.error is None, run.measured.error
        seconds = statistics.median(run.measured.samples)
        ours[trials[run.key]][run.round] = seconds
    hand: dict[tuple, dict] = {key: {} for key in jobs}
    for number in range(ROUNDS):
        for name, side in jobs:
            hand[name, side][number] = _by_hand(name, side)
    worst = 0.0
    print(f"{'':44} suite   by hand   difference")
    for name in comparisons:
        suite, plain = (_factor(seconds, name) for seconds in (ours, hand))
        difference = suite / plain - 1
        worst = max(worst, abs(difference))
        print(f"{name:44} {suite:5.2f}   {plain:7.2f}   {difference:+.1%}")
    return 0 if worst <= 0.10 else 1


def _factor(seconds: dict, name: str) -> float:
    first, second = seconds[name, 0], seconds[name, 1]
    return statistics.geometric_mean([first[n] / second[n] for n in first])


def _by_hand(name: str, side: int) -> float:
    command = [sys.executable, __file__, name, str(side)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def plain(name: str, side: int) -> float:
    """Measure one hand-written pipeline; return seconds a batch."""
    import keras
    import tensorflow as tf

    from bench import catalog
    from bench.data import inputs
    from bench.pipeline import Pipeline

    workload = COMPARISONS[name][0]
    entry = catalog.find(workload)
    module = catalog.load(entry)
    prepared = inputs.prepare(entry, module, Pipeline(batch_size=BATCH))
    layer = module.build(prepared.features)
    options = tf.data.Options()
    options.experimental_optimization.apply_default_optimizations = False

    if "training" in name:
        data = tf.data.Dataset.from_tensor_slices((prepared.features, prepared.labels))
        data = data.repeat().batch(BATCH, drop_remainder=True)
        inside = keras.Input(prepared.features.shape[1:])
        if side == 0:
            data = data.map(lambda x, y: (layer(x), y))
            inside = keras.Input(layer.compute_output_shape((None, 84))[1:])
        features = layer(inside) if side == 1 else inside
        model = keras.Model(inside, module.model(features))
        model.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
        data = data.with_options(options)
        model.fit(data, steps_per_epoch=50, verbose=0)
        iterator, times = iter(data), []
        for _ in range(20):
            start = time.perf_counter()
            for _ in range(30):
                logs = model.train_function(iterator)
            float(logs["loss"])
            times.append((time.perf_counter() - start) / 30)
        return statistics.median(times[5:])

    arrays = [a for a in (prepared.features, prepared.labels) if a is not None]
    data = tf.data.Dataset.from_tensor_slices(tuple(arrays))

    def mapped(features: tf.Tensor, *label: tf.Tensor) -> tuple:
        return (layer(features), *label)

    if "batch before map" in name and side == 1:
        data = data.repeat().batch(BATCH, drop_remainder=True).map(mapped)
    elif "mapped cache" in name and side == 1:
        data = data.map(mapped).cache().repeat().batch(BATCH, drop_remainder=True)
    elif "two map calls" in name and side == 1:
        data = data.repeat().map(mapped, num_parallel_calls=2)
        data = data.batch(BATCH, drop_remainder=True)
    else:
        data = data.repeat().map(mapped).batch(BATCH, drop_remainder=True)
    data = data.with_options(options)
    iterator = iter(data)
    for _ in range(len(prepared.features) // BATCH + 2):  # fills the cache completely
        next(iterator)
    count, spent = 1, 0.0
    while spent < SECONDS:
        count = count * 2
        iterator = iter(data.skip(count))
        start = time.perf_counter()
        next(iterator)
        spent = time.perf_counter() - start
    return spent / (count + 1)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(plain(sys.argv[1], int(sys.argv[2]))))
    else:
        np.set_printoptions(precision=3)
        sys.exit(main(*sys.argv[1:]))
