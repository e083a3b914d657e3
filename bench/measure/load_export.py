"""This program loads exported models in a clean interpreter and predicts requests.

clean_interpreter.py runs it as `python -I load_export.py`, so that nothing can be
imported from this folder or the current one. The program imports TensorFlow and Keras,
then reads one line of JSON on standard input, a list of jobs:

    {"model": path, "front": path or "", "requests": folder of a stored dataset whose
     elements are raw batches, "answers": path of an .npy to write,
     "report": path of a JSON file to write}

Keras loads paths that end in `.keras`; other paths are SavedModels. For several jobs
the program forks before any op has run, so that each job has its own process. The
program ends when standard input closes, since its parent has then ended.

The file `report` has `loads` (`yes`, or `no: ` and the reason),
`training_code_found` (a list of importable modules of ours), and
`cold_start_seconds`.
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
    """Wait for the jobs, then run each in its own process."""
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
    """Load a model, predict all requests batch by batch, and write the report."""
    threading.Thread(target=_exit_with_the_parent, daemon=True).start()
    batches = list(tf.data.Dataset.load(job["requests"]))
    ours = [name for name in OURS if importlib.util.find_spec(name)]
    report: dict[str, object] = {"loads": "yes", "training_code_found": ours}
    start = time.perf_counter()
    try:
        call = load(job["model"])
        front = load(job["front"]) if job["front"] else lambda batch: batch
        first = predictions(call(front(batches[0])))
        report["cold_start_seconds"] = time.perf_counter() - start
        others = [predictions(call(front(batch))) for batch in batches[1:]]
        np.save(job["answers"], np.concatenate([first, *others]))
    except Exception as error:  # any error is a result
        # Keras puts the cause behind pages of configuration.
        cause = str(error).rpartition("Exception encountered: ")[2]
        report["loads"] = f"no: {type(error).__name__}: {' '.join(cause.split())}"
    Path(job["report"]).write_text(json.dumps(report), encoding="utf-8")


def predictions(output: object) -> np.ndarray:
    """Return what a model predicts: several outputs side by side, `[examples, all]`.

    Args:
        output: A nest of tensors or arrays; a single one stays as it is.
    """
    parts = [np.asarray(part) for part in tf.nest.flatten(output)]
    if len(parts) == 1:
        return parts[0]
    return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)


def load(path: str) -> Callable:
    """Return a function from a raw batch to predictions, outside training."""
    if path.endswith(".keras"):
        model = keras.saving.load_model(path, compile=False)
        return lambda batch: model(batch, training=False)
    served = tf.saved_model.load(path)  # the closure holds it; its functions do not
    return lambda batch: served.serve(batch)


def _exit_with_the_parent() -> None:
    while os.read(0, 65536):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # TensorFlow's own teardown takes longer than the predictions
