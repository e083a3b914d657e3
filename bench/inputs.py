"""A workload's inputs: made once into a cache folder, whole or not at all."""

import contextlib
import hashlib
import inspect
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import platformdirs

from bench.catalog import Entry
from bench.errors import UsageError
from bench.pipeline import Pipeline

SEED = 20
DEFAULT_EXAMPLES = 1024
MAKING = ".making-"
ABANDONED_SECONDS = 3600.0  # no run may last nearly as long


@dataclass(frozen=True)
class Inputs:
    """Raw examples, in memory or as files.

    Attributes:
        features: `[count, ...]`, or the paths of the files.
        labels: `[count]`, one for each example or file; None where there are none.
        fingerprint: Of the content, 16 hexadecimal digits.
        count: How many examples an epoch has.
    """

    features: np.ndarray
    labels: np.ndarray | None
    fingerprint: str
    count: int


def root() -> Path:
    """The folder of made inputs; `FEEDRATE_CACHE` names another."""
    default = platformdirs.user_cache_path("feedrate")
    return Path(os.environ.get("FEEDRATE_CACHE", default)) / "inputs"


def count_for(entry: Entry, pipeline: Pipeline) -> int:
    """How many examples to make: fewer of larger images, two batches at least."""
    count = int(entry.constants.get("EXAMPLES", DEFAULT_EXAMPLES))
    if pipeline.image_size > 64:
        count = int(count * (64 / pipeline.image_size) ** 2)
    return max(count, 2 * pipeline.batch_size) if not entry.reads_files else count


def prepare(entry: Entry, module: ModuleType, p: Pipeline, data: str = "") -> Inputs:
    """The inputs of a trial, made first if they are not there yet.

    Args:
        entry: The workload or layer.
        module: The same, imported.
        p: The pipeline, for the image and batch size.
        data: The user's own data, a name or a path, in place of the made ones.

    Raises:
        UsageError: The user's data cannot be used, with the file or row.
    """
    if data:
        return _own(entry, data)
    count = count_for(entry, p)
    # What a file shares with its neighbours is in their private modules.
    sources = [entry.path, *sorted(entry.path.parent.glob("_*.py"))]
    source = b"".join(path.read_bytes() for path in sources)
    identity = hashlib.sha256(source + f"{count} {p.image_size} {SEED}".encode())
    name = f"{entry.path.stem}-{identity.hexdigest()[:16]}"
    folder = root() / name
    if not folder.is_dir():
        _make(entry, module, count, p.image_size, folder)
    if entry.reads_files:
        return _files(sorted(folder.rglob("*.*")), count)
    with np.load(folder / "examples.npz", allow_pickle=False) as arrays:
        return Inputs(
            features=arrays["features"],
            labels=arrays.get("labels"),
            fingerprint=(folder / "fingerprint").read_text(),
            count=count,
        )


def _make(
    entry: Entry, module: ModuleType, count: int, size: int, folder: Path
) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    _clear(folder.parent)
    scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=MAKING))
    arguments = {"size": size} if size else {}
    rng = np.random.default_rng(SEED)
    try:
        if "folder" in inspect.signature(module.examples).parameters:
            module.examples(rng, count, scratch, **arguments)
        else:
            made = module.examples(rng, count, **arguments)
            arrays = dict(
                zip(
                    ("features", "labels"),
                    made if isinstance(made, tuple) else (made,),
                    strict=False,
                )
            )
            np.savez(scratch / "examples.npz", **arrays)
            (scratch / "fingerprint").write_text(_digest(*arrays.values()))
        try:
            scratch.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process made them first
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _clear(folder: Path) -> None:
    """Remove what was left half made, as by a process that was killed."""
    for path in folder.glob(f"{MAKING}*"):
        with contextlib.suppress(FileNotFoundError):  # another process was quicker
            if time.time() - path.stat().st_mtime > ABANDONED_SECONDS:
                shutil.rmtree(path)


def look(entry: Entry, data: str) -> None:
    """Refuse the user's data where a look at its names tells; no content is read.

    Raises:
        UsageError: The workload takes none, or it is not there, or not in its form.
    """
    from bench import own_data

    own_data.look(data, *_taken(entry))


def _taken(entry: Entry) -> tuple[str, int]:
    """What the user's data must be, and of how many classes at most."""
    accepts = str(entry.constants.get("ACCEPTS", ""))
    if not accepts:
        raise UsageError(f"'{entry.name}' takes no --data: it declares no ACCEPTS.")
    return accepts, int(entry.constants.get("CLASSES", 0))


def _own(entry: Entry, data: str) -> Inputs:
    from bench import own_data

    loaded = own_data.load(data, *_taken(entry))
    if isinstance(loaded, tuple):
        features, labels = loaded
        return Inputs(features, labels, _digest(features, labels), len(features))
    return _files([Path(path) for path in loaded], len(loaded))


def _files(paths: list[Path], count: int) -> Inputs:
    classes = sorted({path.parent.name for path in paths})
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.name.encode() + path.read_bytes())
    return Inputs(
        features=np.array([str(path) for path in paths]),
        labels=np.array([classes.index(p.parent.name) for p in paths], dtype=np.int64),
        fingerprint=digest.hexdigest()[:16],
        count=count,
    )


def _digest(*arrays: np.ndarray | None) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        if array is not None:
            digest.update(f"{array.shape}{array.dtype}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]
