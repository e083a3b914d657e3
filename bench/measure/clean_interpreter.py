"""This module loads exported models in an interpreter without the training code."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import tensorflow as tf

# The interpreter starts this file by its path, since it must not import our code.
LOADER = Path(__file__).with_name("load_export.py")


class CleanInterpreter:
    """A clean interpreter imports TensorFlow and then waits for a model to load.

    The process starts before the model is trained, since importing takes seconds.
    """

    def __init__(self, scratch: Path, device: str) -> None:
        """Start a process; with a GPU each job has its own, as CUDA survives no fork.

        Args:
            scratch: The folder of the log.
            device: The device on which the model runs.
        """
        self._log = scratch / "fresh.log"
        self._forks = "GPU" not in device
        self._processes = [self._start()]

    def __enter__(self) -> "CleanInterpreter":
        """Return the interpreter."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kill all processes that still run."""
        for process in self._processes:
            process.kill()
            process.communicate()

    def answer(
        self,
        folder: Path,
        jobs: dict[str, str],
        front: str,
        requests: list[object],
    ) -> dict[str, dict]:
        """Load each of the folder's files and predict all requests.

        Args:
            folder: The folder of the files and of the answers, `{job}.answers.npy`.
            jobs: Job name -> file or folder to load.
            front: The file of layers to call first; may be empty.
            requests: Raw batches, nests of arrays or tensors.

        Returns:
            Job name -> report; see bench/measure/load_export.py.

        Raises:
            RuntimeError: The process ended without a report.
        """
        batches = map(tf.data.Dataset.from_tensors, requests)
        stored = functools.reduce(tf.data.Dataset.concatenate, batches)
        stored.save(str(folder / "requests"))
        tasks = [
            {
                "model": str(folder / file),
                "front": str(folder / front) if front else "",
                "requests": str(folder / "requests"),
                "answers": str(folder / f"{job}.answers.npy"),
                "report": str(folder / f"{job}.json"),
            }
            for job, file in jobs.items()
        ]
        for group in [tasks] if self._forks else [[task] for task in tasks]:
            process = self._processes[-1]
            if process.returncode is not None:
                process = self._start()
                self._processes.append(process)
            process.stdin.write(json.dumps(group).encode() + b"\n")
            process.stdin.flush()
            process.wait()
        reports = {job: folder / f"{job}.json" for job in jobs}
        for job, path in reports.items():
            if not path.is_file():
                log = self._log.read_text(errors="replace").strip()[-600:]
                raise RuntimeError(f"the clean process died loading the {job}: {log}")
        return {job: json.loads(path.read_text()) for job, path in reports.items()}

    def _start(self) -> subprocess.Popen:
        hidden = {"CUDA_VISIBLE_DEVICES": "-1"} if self._forks else {}
        grow = {"TF_FORCE_GPU_ALLOW_GROWTH": "true"}
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-I", str(LOADER)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=self._log.parent,
                env={**os.environ, **hidden, **grow},
            )
