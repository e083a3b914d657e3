"""This module generates the inputs of workloads once, into a cache folder."""

import contextlib
import hashlib
import inspect
import os
import pickle
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import platformdirs

from bench.catalog import Entry
from bench.data import components, stamps
from bench.data.intake import Intake
from bench.data.stream import Stream
from bench.errors import UsageError, write_atomically
from bench.pipeline import Pipeline
from bench.shell import STARTED
from bench.trial import InputPart

SEED = 20
DEFAULT_EXAMPLES = 1024
CHECKED_EXAMPLES = 64  # the least that the check of the outputs needs
FILE = "file"  # the type of features that are paths
MAKING = ".making-"
INFINITE = -1  # as tf.data.INFINITE_CARDINALITY
OWN = ".own-"  # inputs of a user's, which serve one start of the program
LISTING = ".listing.pickle"  # in a folder of files
ABANDONED_SECONDS = 3600.0  # far longer than a run may last


@dataclass(frozen=True)
class Inputs:
    """Raw examples, in memory or as files.

    Attributes:
        features: The features, a nest of components, or the paths of the files,
            `[files]`; see `bench.data.components`.
        labels: A label for each example or file, a nest too; None without labels.
        fingerprint: The digest of the content, 16 hexadecimal digits.
        count: The examples of an epoch; for generated files the number requested.
        stream: The user's texts or table, which the pipeline reads; usually None.
        parts: The identity of each component, by its path.
        weights: A weight for each example, a nest too; None without weights.
        source: Returns the user's own dataset of raw records; None without `source`.
            Features are then those of the first records, and are None if `build` does
            not take them.
    """

    features: object
    labels: object | None
    fingerprint: str
    count: int
    parts: dict[str, InputPart] = field(default_factory=dict)
    stream: Stream | None = None
    weights: object | None = None
    source: Callable[[], object] | None = None

    @property
    def record(self) -> tuple:
        """Return the features, the labels and the weights, as far as there are any."""
        nests = (self.features, self.labels, self.weights)
        return tuple(nest for nest in nests if nest is not None)

    @property
    def as_files(self) -> bool:
        """Return whether the features are paths of files."""
        return any(part.dtype == FILE for part in self.parts.values())


def root() -> Path:
    """Return the folder of generated inputs; `FEEDRATE_CACHE` names another cache."""
    default = platformdirs.user_cache_path("feedrate")
    return Path(os.environ.get("FEEDRATE_CACHE", default)) / "inputs"


def count_for(entry: Entry, pipeline: Pipeline) -> int:
    """Return the number of examples to generate: at least two batches.

    Larger images are fewer, but at least as many as the check needs.
    """
    count = int(entry.constants.get("EXAMPLES", DEFAULT_EXAMPLES))
    if pipeline.image_size > 64:
        fewer = int(count * (64 / pipeline.image_size) ** 2)
        count = max(fewer, min(count, CHECKED_EXAMPLES))
    return max(count, 2 * pipeline.batch_size) if not entry.reads_files else count


def prepare(entry: Entry, module: ModuleType, p: Pipeline, data: str = "") -> Inputs:
    """Return the inputs of a trial, and generate them if the cache lacks them.

    Args:
        entry: The workload or layer.
        module: The imported module of the entry.
        p: The pipeline, which sets the image size and the batch size.
        data: The user's data, a name or a path; empty for generated inputs.

    Raises:
        UsageError: The user's data or the result of `examples` cannot be used.
    """
    if data:
        from bench.data import user_inputs

        return user_inputs.prepare(entry, data)
    count = count_for(entry, p)
    if entry.has_source:
        return _streamed(entry, module, count)
    folder = root() / _name(entry, count, p.image_size)
    if not exists(folder):
        make_once(folder, partial(_fill, entry, module, count, p.image_size))
    if entry.reads_files:
        return _listed_once(folder, count)
    return of_record(*components.load(folder))


def _streamed(entry: Entry, module: ModuleType, count: int) -> Inputs:
    """Return the inputs of a user's own dataset, identified by its first records.

    Raises:
        UsageError: The dataset cannot be used.
    """

    def source() -> object:
        return module.source(np.random.default_rng(SEED), count)

    dataset = source()
    if not hasattr(dataset, "element_spec"):
        raise UsageError(
            f"source() returned an object of {type(dataset).__name__}. It must return "
            "a tf.data.Dataset of raw records, (features[, labels[, weights]])."
        )
    known = int(dataset.cardinality())
    if known == INFINITE:
        raise UsageError(
            "source() returned an endless dataset. Return one epoch: leave out "
            "repeat()."
        )
    first = dataset.take(DEFAULT_EXAMPLES).as_numpy_iterator()
    parts, fingerprint, seen = components.streamed(first)
    if not seen:
        raise UsageError("source() returned a dataset without any record.")
    features = None
    if takes_examples(entry):
        try:
            record = next(dataset.take(count).batch(count).as_numpy_iterator())
        except Exception as error:
            if "Cannot batch tensors" not in str(error):
                raise
            raise UsageError(
                "source() has records of several shapes, so build(examples) cannot "
                "get them as arrays. Let build() take no argument."
            ) from error
        features = record[0] if isinstance(record, tuple) else record
    counted = seen if seen < DEFAULT_EXAMPLES else count
    return Inputs(
        features=features,
        labels=None,
        fingerprint=fingerprint,
        count=known if known > 0 else counted,
        parts=parts,
        source=source,
    )


def takes_examples(entry: Entry) -> bool:
    """Return whether `build` takes the examples, besides arguments of a variant."""
    return bool(set(entry.functions["build"]) - set(entry.variant))


def _name(entry: Entry, count: int, size: int) -> str:
    """Return the folder's name, from the entry's text and the number, size and seed.

    The inputs from a user's file may depend on more than its text, such as a file that
    it reads or a module beside it. So each start of the program generates them anew,
    and so does each tree, folder, import path and interpreter.
    """
    # Files of a shelf share code in private modules beside them.
    sources = [entry.path, *sorted(entry.path.parent.glob("_*.py"))]
    source = b"".join(path.read_bytes() for path in sources)
    identity = hashlib.sha256(
        source + f"{count} {size} {SEED} {components.PARTS}".encode()
    )
    prefix = ""
    if entry.shelf == "user":
        places = (entry.path.absolute(), Path.cwd(), sys.prefix, *sys.path)
        identity.update("\0".join([STARTED, *map(str, places)]).encode())
        prefix = OWN
    return f"{prefix}{entry.path.stem}-{identity.hexdigest()[:16]}"


def exists(folder: Path) -> bool:
    """Return whether the folder exists; a user's folder is marked as in use."""
    if not folder.name.startswith(OWN):
        return folder.is_dir()
    try:
        os.utime(folder)
    except FileNotFoundError:
        return False
    return True


def make_once(folder: Path, fill: Callable[[Path], None]) -> None:
    """Make and fill a folder of the cache, unless another process has made it.

    Args:
        folder: The folder. It appears only when it is complete.
        fill: Writes the content into an empty folder, which then becomes `folder`.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    _clear(folder.parent)
    scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=MAKING))
    try:
        fill(scratch)
        try:
            scratch.rename(folder)
        except OSError:
            if not folder.is_dir():  # otherwise another process was faster
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _fill(
    entry: Entry, module: ModuleType, count: int, size: int, folder: Path
) -> None:
    """Generate the examples of an entry into an empty folder.

    Raises:
        UsageError: The examples cannot be used as inputs.
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
    record = components.record(module.examples(rng, count, **arguments))
    components.save(record, folder)


def _clear(folder: Path) -> None:
    """Remove folders that killed processes left, and users' inputs no longer in use."""
    for path in [*folder.glob(f"{MAKING}*"), *folder.glob(f"{OWN}*")]:
        with contextlib.suppress(OSError):  # another process removed or owns the folder
            if time.time() - path.stat().st_mtime > ABANDONED_SECONDS:
                shutil.rmtree(path)


def check_user_data(entry: Entry, data: str) -> Intake:
    """Refuse unsuitable data of the user; return what trials take and leave out.

    Raises:
        UsageError: The workload takes no data, or the data is missing or has another
            form.
    """
    from bench.data import user

    return user.examine(data, *accepted(entry))


def accepted(entry: Entry) -> tuple[str, int]:
    """Return the kind of data that a workload accepts, and its most classes."""
    accepts = str(entry.constants.get("ACCEPTS", ""))
    if not accepts:
        raise UsageError(f"'{entry.name}' takes no --data: it declares no ACCEPTS.")
    return accepts, int(entry.constants.get("CLASSES", 0))


def _listed_once(folder: Path, count: int) -> Inputs:
    """Return generated files as inputs; a user's files are read once a start."""
    if not folder.name.startswith(OWN):
        return of_files(_listed(folder), count)
    listing = folder / LISTING
    if listing.exists():
        known, stamped = pickle.loads(listing.read_bytes())  # we wrote it
        if np.array_equal(stamps.sizes_and_times(known.features), stamped):
            return known
    made = of_files(_listed(folder), count)
    stamped = stamps.sizes_and_times(made.features)
    write_atomically(listing, pickle.dumps((made, stamped)))
    return made


def _listed(folder: Path) -> list[Path]:
    """Return the files in a folder and below, sorted, without hidden files."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    )


def of_files(paths: list[Path], count: int) -> Inputs:
    """Read files once, and return them as inputs in one random order, as users do.

    Files are sorted by class, so the first second of a run would otherwise meet only
    the first class.
    """
    classes = sorted({path.parent.name for path in paths})
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.name.encode() + path.read_bytes())
    fingerprint = digest.hexdigest()[:16]
    order = np.random.default_rng(SEED).permutation(len(paths))
    numbers = [classes.index(path.parent.name) for path in paths]
    labels = np.array(numbers, dtype=np.int64)[order]
    files = InputPart(dtype=FILE, shape=[len(paths)], digest=fingerprint)
    return Inputs(
        features=np.array([str(path) for path in paths])[order],
        labels=labels,
        fingerprint=fingerprint,
        count=count,
        parts={"features": files, "labels": components.part(labels)},
    )


def of_record(record: tuple, parts: dict[str, InputPart], fingerprint: str) -> Inputs:
    """Return a record of examples in memory as inputs; see `components.load`."""
    features, labels, weights, *_ = (*record, None, None)
    return Inputs(
        features=features,
        labels=labels,
        weights=weights,
        fingerprint=fingerprint,
        count=next(iter(parts.values())).shape[0],
        parts=parts,
    )
