"""In a clean interpreter: load an exported model and answer requests, nothing of ours.

Run as `python -I load_export.py` by clean_interpreter.py, so that neither this folder
nor the current one can be imported from. It imports TensorFlow and Keras, then reads
one line of JSON on standard input, a list of jobs:

    {"model": path, "front": path or "", "batch_size": n, "requests": path of an .npy,
     "answers": path of an .npy to write, "told": path of a JSON file to write}

Paths that end in `.keras` are loaded by Keras, others as SavedModels. Several jobs are
forked, before any op has run, so that each answers from a process of its own. When
standard input closes, whoever asked is gone, and so is this.
"""

import importlib.util
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

OURS = ("bench", "layers", "run_bench")


def main() -> None:
    """Wait for the jobs, then do each in its own process."""
    line = b""
    while not line.endswith(b"\n"):
        received = os.read(0, 65536)
        if not received:
            return
        line += received
    jobs = json.loads(line)
    if len(jobs) == 1:
        answer(jobs[0])
        return
    for job in jobs:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                answer(job)
                status = 0
            finally:
                os._exit(status)
        os.waitpid(child, 0)


def answer(job: dict) -> None:
    """Load, answer all requests batch by batch, and tell how long the start took."""
    threading.Thread(target=_leave_with_the_asker, daemon=True).start()
    requests = np.load(job["requests"], allow_pickle=False)
    size = job["batch_size"]
    batches = [requests[i : i + size] for i in range(0, len(requests), size)]
    found = [name for name in OURS if importlib.util.find_spec(name)]
    told: dict[str, object] = {"loads": "yes", "training_code_found": found}
    start = time.perf_counter()
    try:
        call = load(job["model"])
        front = load(job["front"]) if job["front"] else lambda batch: batch
        first = call(front(tf.constant(batches[0]))).numpy()
        told["cold_start_seconds"] = time.perf_counter() - start
        others = [call(front(tf.constant(batch))).numpy() for batch in batches[1:]]
        np.save(job["answers"], np.concatenate([first, *others]))
    except Exception as error:  # whatever it is, it is the answer
        # Keras puts the cause behind pages of configuration.
        cause = str(error).rpartition("Exception encountered: ")[2]
        told["loads"] = f"no: {type(error).__name__}: {' '.join(cause.split())}"
    Path(job["told"]).write_text(json.dumps(told), encoding="utf-8")


def load(path: str) -> Callable:
    """What answers a batch: a Keras file out of training, or a SavedModel's `serve`."""
    if path.endswith(".keras"):
        model = keras.saving.load_model(path, compile=False)
        return lambda batch: model(batch, training=False)
    served = tf.saved_model.load(path)  # to be held: its functions do not hold it
    return lambda batch: served.serve(batch)


def _leave_with_the_asker() -> None:
    while os.read(0, 65536):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # TensorFlow's own teardown takes longer than the answer
