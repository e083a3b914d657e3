"""A clean interpreter, without the training code, that loads what was exported."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

# Started by its path, not imported: it must not need anything of ours.
LOADER = Path(__file__).with_name("load_export.py")


class CleanInterpreter:
    """A clean interpreter that waits, with TensorFlow imported, for something to load.

    It starts while the model is trained and exported, since importing takes seconds.
    """

    def __init__(self, scratch: Path, device: str) -> None:
        """Start one; with a GPU each job gets its own, as CUDA survives no fork."""
        self._log = scratch / "fresh.log"
        self._forks = "GPU" not in device
        self._processes = [self._start()]

    def __enter__(self) -> "CleanInterpreter":
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Whatever still runs is ended."""
        for process in self._processes:
            process.kill()
            process.communicate()

    def answer(
        self,
        folder: Path,
        jobs: dict[str, str],
        front: str,
        requests: list[np.ndarray],
    ) -> dict[str, dict]:
        """Load each of the folder's files and answer all requests.

        Args:
            folder: Where the files are, and where the answers go: `{job}.answers.npy`.
            jobs: File or folder by the job's name.
            front: The file of layers to call first; empty for none.
            requests: Raw batches.

        Returns:
            What was told, by the job's name; see bench/measure/load_export.py.

        Raises:
            RuntimeError: The process ended without telling.
        """
        raw = np.concatenate(requests)
        np.save(
            folder / "requests.npy", raw.astype("S") if raw.dtype == object else raw
        )
        asked = [
            {
                "model": str(folder / file),
                "front": str(folder / front) if front else "",
                "batch_size": len(requests[0]),
                "requests": str(folder / "requests.npy"),
                "answers": str(folder / f"{job}.answers.npy"),
                "told": str(folder / f"{job}.json"),
            }
            for job, file in jobs.items()
        ]
        for group in [asked] if self._forks else [[one] for one in asked]:
            process = self._processes[-1]
            if process.returncode is not None:
                process = self._start()
                self._processes.append(process)
            process.stdin.write(json.dumps(group).encode() + b"\n")
            process.stdin.flush()
            process.wait()
        told = {job: folder / f"{job}.json" for job in jobs}
        for job, path in told.items():
            if not path.is_file():
                log = self._log.read_text(errors="replace").strip()[-600:]
                raise RuntimeError(f"the clean process died loading the {job}: {log}")
        return {job: json.loads(path.read_text()) for job, path in told.items()}

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
