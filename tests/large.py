"""Result folders of any size, and the cost of a report on them.

    PYTHONPATH=. python tests/large.py     # writes results/method/report_growth.md

A folder has every kind of trial that some figure draws, with graphs, facts and spans.
"""

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import factory
import msgspec
import numpy as np

from bench import catalog, store
from bench.trial import Trial

ROUNDS = 5
SAMPLES = 10  # in each run
SIZES = (20, 200, 660, 2000)  # trials: 1,000 to 100,000 samples
GROWTH = catalog.ROOT / "results" / "method" / "report_growth.md"
NODES = ("TensorSlice", "ParallelMapV2", "BatchV2", "PrefetchV2", "Root")
SPANS = [("wait", 0.0, 0.03), ("read", 0.0, 0.01), ("map", 0.01, 0.03)]
SPANS += [("train", 0.03, 0.1)]
HEAD = """\
# What a report costs as folders grow

Made by `PYTHONPATH=. python tests/large.py`: HTML, Markdown, CSV and figures of made-up
folders, in a process of its own each. The first row is mostly what every report costs:
importing, and the libraries in the page. CPU seconds are those of a busy machine.

| trials | samples | CPU seconds | peak MiB | page MB |
| --: | --: | --: | --: | --: |
"""


def write(folder: Path, trials: int, workloads: int = 40) -> int:
    """Write a folder of trials with `ROUNDS` runs each; returns the number of samples.

    Args:
        folder: The folder.
        trials: The number of trials.
        workloads: The number of workloads of the trials.
    """
    rng = np.random.default_rng(0)
    chosen = list(itertools.islice(_mixed(workloads), trials))
    true = np.exp(rng.normal(np.log(0.01), 0.7, len(chosen)))
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / store.FILE).open("wb") as file:
        for number in range(ROUNDS):
            for trial, seconds in zip(chosen, true, strict=True):
                samples = seconds * np.exp(rng.normal(0, 0.02, SAMPLES))
                run = factory.run(trial, samples, round=number, **_fields(trial))
                file.write(msgspec.json.encode(run) + b"\n")
    return len(chosen) * ROUNDS * SAMPLES


def cost(folder: Path) -> dict[str, float]:
    """Measure a report in a fresh process: CPU seconds, peak MiB and the page's MB."""
    code = "import sys, large; large.report(sys.argv[1])"
    # One thread, because waiting threads that spin would be counted as well.
    single = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    process = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        cwd=catalog.ROOT,
        env={**os.environ, **single, "PYTHONPATH": "tests"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr[-2000:]
    return json.loads(process.stdout.splitlines()[-1])


def report(folder: str) -> None:
    """Report on a folder and print the cost of this process as a line of JSON."""
    from bench.measure import resources  # `ru_maxrss` would be that of the parent
    from bench.report import formats

    formats.write(folder, folder)
    cost = {
        "cpu_seconds": time.process_time(),
        "peak_mib": resources.peak_resident_bytes() / 2**20,
        "page_mb": (Path(folder) / "report.html").stat().st_size / 1e6,
    }
    print(json.dumps(cost))


def _mixed(workloads: int) -> Iterator[Trial]:
    """Yield distinct trials without end, those of a workload together."""
    names = list(catalog.entries("layers"))
    names += [f"made_up_{number}" for number in range(len(names), workloads)]
    for extra in itertools.count():
        for name in names[:workloads]:
            yield from dict.fromkeys(_kinds(name, threadpool_size=extra))


def _kinds(name: str, **shared) -> Iterator[Trial]:
    make = factory.trial
    shared["workload"] = name
    for calls, order, size in itertools.product(
        (0, 2, "autotune"), ("naive", "vectorized"), (32, 64, 256)
    ):
        yield make(order, map_parallel_calls=calls, batch_size=size, **shared)
    for strategy in ("in_model", "offline"):
        yield make(strategy, **shared)
    for strategy, storage in itertools.product(
        ("cached_raw", "cached_mapped"), ("memory", "disk")
    ):
        yield make(strategy, unit="epoch", cache_storage=storage, **shared)
    yield make("naive", unit="epoch", **shared)
    for prefetch in (0, 1, 2):
        yield make(prefetch=prefetch, consumer="train", **shared)
    yield make(consumer="model", **shared)
    for placement in ("dataset", "model"):
        yield make(placement=placement, consumer="serve", **shared)
    for resample in ("filter", "rejection", "split"):
        yield make(resample=resample, **shared)
    for cycle, calls in itertools.product((1, 2, 4, 8), (0, 4)):
        yield make(
            interleave_cycle_length=cycle, interleave_parallel_calls=calls, **shared
        )
    for size in (32, 64, 128):
        yield make(image_size=size, **shared)
    for prefetch, cache in itertools.product((0, 1, 2, 4), ("none", "raw")):
        yield make(prefetch=prefetch, cache=cache, shuffle_buffer=64, **shared)


def _fields(trial: Trial) -> dict[str, object]:
    graph = [
        {
            "name": name,
            "inputs": [number - 1] if number else [],
            "elements": 640,
            "processing_seconds": 0.1 * (number + 1),
            "buffered_bytes": 0,
            "parallelism": 2,
        }
        for number, name in enumerate(NODES)
    ]
    facts = {"supports_jit": "yes", "draws": "per example", "distinct_draws": 64.0}
    if trial.consumer == "serve":
        facts |= {f"latency_p{p}_seconds": p / 1e4 for p in (50, 95, 99)}
    if trial.pipeline.resample != "none":
        facts |= {"positive_share": 0.5, "unique_positives": 490.0}
        facts |= {"records_read_per_example": 30.0}
    if trial.pipeline.cache != "none":
        facts["cache_bytes"] = 1e6
    spans = SPANS if trial.consumer == "train" else []
    return {"graph": graph, "facts": facts, "spans": spans}


def main() -> None:
    """Measure `SIZES` and write them as a table."""
    lines = []
    for trials in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            samples = write(Path(folder), trials)
            spent = cost(Path(folder))
        lines.append(
            f"| {trials:,} | {samples:,} | {spent['cpu_seconds']:.1f} | "
            f"{spent['peak_mib']:,.0f} | {spent['page_mb']:.1f} |\n"
        )
    GROWTH.parent.mkdir(exist_ok=True)
    GROWTH.write_text(HEAD + "".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
