"""This module reads and checks the user's data once each time the program starts.

The data are stored in the cache of inputs. Each process then maps these arrays, after
it has checked that the sizes and times of the user's files are still the same.
"""

import contextlib
import hashlib
import os
import pickle
import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from bench.catalog import Entry
from bench.data import components, inputs, source, stamps, user
from bench.data.inputs import Inputs
from bench.shell import STARTED

DESCRIPTION, RECORD, KNOWN = "inputs.pickle", "record", "known"
PATHS, STAMPS = "paths.npy", "stamps.npy"


def prepare(entry: Entry, data: str) -> Inputs:
    """Return the user's data as inputs.

    Args:
        entry: The workload or layer.
        data: The value of `--data`.

    Raises:
        UsageError: The data cannot be used.
    """
    accepts, _ = inputs.accepted(entry)
    folder = inputs.root() / _name(data, accepts)
    kept = _load(folder)
    if kept is not None:
        return kept
    paths = _paths(data)
    stamped = stamps.sizes_and_times(paths)  # before the content is read
    made = _read(data, accepts)
    shutil.rmtree(folder, ignore_errors=True)  # it is of other content
    inputs.make_once(folder, partial(_save, made, paths, stamped))
    return _load(folder) or made


def _read(data: str, accepts: str) -> Inputs:
    if stream := user.stream(data, accepts):
        return replace(inputs.of_files(stream.paths, stream.examples), stream=stream)
    loaded = user.load(data, accepts)
    if not isinstance(loaded, tuple):
        return inputs.of_files([Path(path) for path in loaded], len(loaded))
    parts = components.parts(loaded)
    return inputs.of_record(loaded, parts, components.fingerprint(loaded))


def _name(data: str, accepts: str) -> str:
    """Return the folder's name, which changes with the start and with this code."""
    code = sorted(Path(__file__).parent.glob("*.py"))
    identity = hashlib.sha256(b"".join(path.read_bytes() for path in code))
    identity.update("\0".join([STARTED, data, accepts, str(Path.cwd())]).encode())
    return f"{inputs.OWN}data-{identity.hexdigest()[:16]}"


def _save(made: Inputs, paths: np.ndarray, stamped: np.ndarray, folder: Path) -> None:
    np.save(folder / PATHS, paths)
    np.save(folder / STAMPS, stamped)
    if made.stream is not None:
        (folder / KNOWN).mkdir()
        components.save((made.stream.known,), folder / KNOWN)
        # Of the paths the features have the texts, which take a tenth of the time.
        made = replace(made, stream=replace(made.stream, known=None, paths=[]))
    elif not made.as_files:
        (folder / RECORD).mkdir()
        components.save(made.record, folder / RECORD)
        made = replace(made, features=None, labels=None)
    (folder / DESCRIPTION).write_bytes(pickle.dumps(made))


def _load(folder: Path) -> Inputs | None:
    """Return the stored inputs; None if there are none or the user's files changed."""
    if not inputs.exists(folder):
        return None
    if not np.array_equal(
        stamps.sizes_and_times(np.load(folder / PATHS)), np.load(folder / STAMPS)
    ):
        return None
    kept = pickle.loads((folder / DESCRIPTION).read_bytes())  # we wrote it
    if (folder / RECORD).exists():
        (features, labels), _, _ = components.load(folder / RECORD)
        return replace(kept, features=features, labels=labels)
    if kept.stream is not None:
        (known,), _, _ = components.load(folder / KNOWN)
        return replace(kept, stream=replace(kept.stream, known=known))
    return kept


def _paths(data: str) -> np.ndarray:
    """Return the files and folders that data may come from, as bytes.

    For a folder these are the folder, the folders in it, and the files in all of them.
    """
    name = source.parse(data).name
    top = Path(name)
    if not top.exists() and ":" in name:
        top = Path(name.rpartition(":")[0])
    return np.array([os.fsencode(path) for path in _below(top)], dtype=np.bytes_)


def _below(top: Path) -> Iterator[str]:
    if not top.exists():  # a data set of Keras
        return
    yield str(top)
    if not top.is_dir():
        return
    with os.scandir(top) as entries:
        inner = sorted(entry.path for entry in entries)
    yield from inner
    for path in filter(os.path.isdir, inner):
        with contextlib.suppress(PermissionError), os.scandir(path) as entries:
            yield from sorted(entry.path for entry in entries)
