"""A workload's inputs: made once into a cache folder, whole or not at all."""

import contextlib
import hashlib
import inspect
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import msgspec
import numpy as np
import platformdirs

from bench.catalog import Entry
from bench.errors import UsageError
from bench.pipeline import Pipeline
from bench.shell import STARTED
from bench.trial import InputPart

SEED = 20
DEFAULT_EXAMPLES = 1024
CHECKED_EXAMPLES = 64  # the gate looks at so many, and chance is to play on no fewer
MAKING = ".making-"
OWN = ".own-"  # of a user's file; of use to one start of the program
PARTS = "parts.json"
ABANDONED_SECONDS = 3600.0  # no run may last nearly as long


@dataclass(frozen=True)
class Inputs:
    """Raw examples, in memory or as files.

    Attributes:
        features: `[count, ...]`, or the paths of the files.
        labels: `[count]`, one for each example or file; None where there are none.
        fingerprint: Of the content, 16 hexadecimal digits.
        count: How many examples an epoch has; of made files, how many were asked for.
        parts: What identifies the features and the labels.
    """

    features: np.ndarray
    labels: np.ndarray | None
    fingerprint: str
    count: int
    parts: dict[str, InputPart] = field(default_factory=dict)


def root() -> Path:
    """The folder of made inputs; `FEEDRATE_CACHE` names another."""
    default = platformdirs.user_cache_path("feedrate")
    return Path(os.environ.get("FEEDRATE_CACHE", default)) / "inputs"


def count_for(entry: Entry, pipeline: Pipeline) -> int:
    """How many examples to make: two batches at least.

    Fewer of larger images, but no fewer than are checked.
    """
    count = int(entry.constants.get("EXAMPLES", DEFAULT_EXAMPLES))
    if pipeline.image_size > 64:
        fewer = int(count * (64 / pipeline.image_size) ** 2)
        count = max(fewer, min(count, CHECKED_EXAMPLES))
    return max(count, 2 * pipeline.batch_size) if not entry.reads_files else count


def prepare(entry: Entry, module: ModuleType, p: Pipeline, data: str = "") -> Inputs:
    """The inputs of a trial, made first if they are not there yet.

    Args:
        entry: The workload or layer.
        module: The same, imported.
        p: The pipeline, for the image and batch size.
        data: The user's own data, a name or a path, in place of the made ones.

    Raises:
        UsageError: The user's data cannot be used, with the file or row; or what
            `examples` made cannot.
    """
    if data:
        return _own(entry, data)
    count = count_for(entry, p)
    folder = root() / _name(entry, count, p.image_size)
    if not _there(folder):
        _make(entry, module, count, p.image_size, folder)
    if entry.reads_files:
        return _files(_listed(folder), count)
    with np.load(folder / "examples.npz", allow_pickle=False) as arrays:
        features = arrays["features"]
        return Inputs(
            features=features,
            labels=arrays.get("labels"),
            fingerprint=(folder / "fingerprint").read_text(),
            count=len(features),
            parts=msgspec.json.decode(
                (folder / PARTS).read_bytes(), type=dict[str, InputPart]
            ),
        )


def _name(entry: Entry, count: int, size: int) -> str:
    """The folder's: by the text that makes the inputs, their number, size and seed.

    What a user's file makes may hang on more than its text, such as a file that it
    reads or a module beside it: each start of the program makes it anew, and so does
    each tree, folder, import path and interpreter.
    """
    # What a file shares with its neighbours is in their private modules.
    sources = [entry.path, *sorted(entry.path.parent.glob("_*.py"))]
    source = b"".join(path.read_bytes() for path in sources)
    identity = hashlib.sha256(source + f"{count} {size} {SEED} {PARTS}".encode())
    prefix = ""
    if entry.shelf == "user":
        places = (entry.path.absolute(), Path.cwd(), sys.prefix, *sys.path)
        identity.update("\0".join([STARTED, *map(str, places)]).encode())
        prefix = OWN
    return f"{prefix}{entry.path.stem}-{identity.hexdigest()[:16]}"


def _there(folder: Path) -> bool:
    """Whether it is made; one of a user's file is marked as in use."""
    if not folder.name.startswith(OWN):
        return folder.is_dir()
    try:
        os.utime(folder)
    except FileNotFoundError:
        return False
    return True


def _make(
    entry: Entry, module: ModuleType, count: int, size: int, folder: Path
) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    _clear(folder.parent)
    scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=MAKING))
    try:
        _fill(entry, module, count, size, scratch)
        try:
            scratch.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process made them first
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _fill(
    entry: Entry, module: ModuleType, count: int, size: int, folder: Path
) -> None:
    """Have the examples made into an empty folder.

    Raises:
        UsageError: They cannot be measured with.
    """
    arguments = {"size": size} if size else {}
    rng = np.random.default_rng(SEED)
    writes = "folder" in inspect.signature(module.examples).parameters
    if writes != entry.reads_files:
        raise UsageError(
            "examples() with an argument folder and read(path, label) go together: "
            f"only {'the former' if writes else 'the latter'} is there."
        )
    if writes:
        module.examples(rng, count, folder, **arguments)
        if not _listed(folder):
            raise UsageError("examples() wrote no files into its folder.")
        return
    arrays = _arrays(module.examples(rng, count, **arguments))
    np.savez(folder / "examples.npz", **arrays)
    (folder / "fingerprint").write_text(_digest(*arrays.values()))
    (folder / PARTS).write_bytes(msgspec.json.encode(_parts(arrays)))


def _arrays(made: object) -> dict[str, np.ndarray]:
    """What `examples` returned, by name.

    Raises:
        UsageError: It is not one array or two, with a row for each example.
    """
    parts = made if isinstance(made, tuple) else (made,)
    plain = all(
        isinstance(part, np.ndarray) and part.ndim > 0 and not part.dtype.hasobject
        for part in parts
    )
    paired = len(parts) in (1, 2) and plain and len(parts[0]) == len(parts[-1])
    if not (paired and len(parts[0])):
        raise UsageError(
            f"examples() returned {_told(made)}. It must return features [count, ...] "
            "or (features, labels): NumPy arrays of one length, not empty and not of "
            "objects (strings as bytes, or with .astype(str))."
        )
    return dict(zip(("features", "labels"), parts, strict=False))


def _told(made: object) -> str:
    """An object in words: arrays by type and shape, others by their class."""
    if isinstance(made, tuple):
        return f"({', '.join(map(_told, made))})"
    if isinstance(made, np.ndarray):
        return f"{made.dtype}{list(made.shape)}"
    return type(made).__name__


def _clear(folder: Path) -> None:
    """Remove what was left half made, as by a killed process, or is of no more use."""
    for path in [*folder.glob(f"{MAKING}*"), *folder.glob(f"{OWN}*")]:
        with contextlib.suppress(OSError):  # another process was quicker, or owns it
            if time.time() - path.stat().st_mtime > ABANDONED_SECONDS:
                shutil.rmtree(path)


def look(entry: Entry, data: str) -> None:
    """Refuse the user's data where a look at its names tells; no content is read.

    Raises:
        UsageError: The workload takes none, or it is not there, or not in its form.
    """
    from bench.data import user

    user.look(data, *_taken(entry))


def _taken(entry: Entry) -> tuple[str, int]:
    """What the user's data must be, and of how many classes at most."""
    accepts = str(entry.constants.get("ACCEPTS", ""))
    if not accepts:
        raise UsageError(f"'{entry.name}' takes no --data: it declares no ACCEPTS.")
    return accepts, int(entry.constants.get("CLASSES", 0))


def _own(entry: Entry, data: str) -> Inputs:
    from bench.data import user

    loaded = user.load(data, *_taken(entry))
    if isinstance(loaded, tuple):
        features, labels = loaded
        parts = _parts({"features": features, "labels": labels})
        digest = _digest(features, labels)
        return Inputs(features, labels, digest, len(features), parts)
    return _files([Path(path) for path in loaded], len(loaded))


def _listed(folder: Path) -> list[Path]:
    """The files in a folder and below, sorted; hidden ones are left out."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    )


def _files(paths: list[Path], count: int) -> Inputs:
    """Files in one random order, as users read them.

    Sorted, they come class by class, and a second of them is of the first class alone.
    """
    classes = sorted({path.parent.name for path in paths})
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.name.encode() + path.read_bytes())
    fingerprint = digest.hexdigest()[:16]
    order = np.random.default_rng(SEED).permutation(len(paths))
    every = [classes.index(path.parent.name) for path in paths]
    labels = np.array(every, dtype=np.int64)[order]
    files = InputPart(dtype="file", shape=[len(paths)], digest=fingerprint)
    return Inputs(
        features=np.array([str(path) for path in paths])[order],
        labels=labels,
        fingerprint=fingerprint,
        count=count,
        parts={"features": files, **_parts({"labels": labels})},
    )


def _parts(arrays: Mapping[str, np.ndarray | None]) -> dict[str, InputPart]:
    """What identifies each array; a missing one has no part."""
    return {
        name: InputPart(
            dtype=str(array.dtype), shape=list(array.shape), digest=_digest(array)
        )
        for name, array in arrays.items()
        if array is not None
    }


def _digest(*arrays: np.ndarray | None) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        if array is not None:
            digest.update(f"{array.shape}{array.dtype}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]
