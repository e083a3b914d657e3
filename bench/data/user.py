"""This module loads the user's own data: data sets of Keras, folders, CSV files."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from bench.data import source, user_files, user_tables
from bench.data.intake import Intake
from bench.data.source import DOWNLOADS, STREAMED, TABLES, Source
from bench.data.stream import Stream
from bench.errors import UsageError, unknown

Arrays = tuple[np.ndarray | dict[str, np.ndarray], np.ndarray]

_FOLDER = "a folder that holds one folder of {} for each class"
_PICTURES = _FOLDER.format("JPEG, PNG or GIF files")
_ANY_PICTURES = _FOLDER.format("JPEG, PNG, GIF, BMP or WEBP files")
_CSV = f"with a header and a column '{user_tables.LABEL}', or FILE.csv:COLUMN"
_NUMBERS = f"a CSV file of numbers {_CSV}"
TAKES = {
    "images": _PICTURES,
    "images_of_one_size": f"{_PICTURES}, all of one size",
    "any_images": _ANY_PICTURES,
    "image_arrays": f"'cifar10', or {_ANY_PICTURES}, all of one size",
    "flat_images": f"'cifar10', or {_ANY_PICTURES}, all of one size",
    "wav": _FOLDER.format("16-bit WAV files at 16000 Hz"),
    "text": f"'imdb', or {_FOLDER.format('.txt files in UTF-8')}",
    "csv": _NUMBERS,
    "rows": _NUMBERS,
    "table": f"a CSV file {_CSV}",
}
DECODED = ("image_arrays", "flat_images")  # by this program, before the pipeline
KNOWN = {"cifar10": (50_000, 10), "imdb": (25_000, 2)}  # examples, classes
DRAIN = "Use --consumer drain, which trains no model"


def examine(data: str, accepts: str, classes: int = 0) -> Intake:
    """Check the user's data, and return what a trial takes of it and leaves out.

    Every file or row is read, but nothing is downloaded.

    Args:
        data: The data; see `load`.
        accepts: The kind of data that the workload accepts, a key of `TAKES`.
        classes: The most classes that the workload's model distinguishes; 0 for any
            number, and for labels that are no classes.

    Raises:
        UsageError: The data cannot be used; the message names the file or line.
    """
    if accepts not in TAKES:
        raise unknown("kind of data", accepts, TAKES)
    origin = source.parse(data)
    name = origin.name
    if _is_download(name, accepts):
        examples, number = KNOWN[name]
        return Intake(
            name=f"{name} of Keras",
            examples=examples,
            classes=number,
            untrainable=_untrainable(name, number, classes),
        )
    if accepts in TABLES:
        table = user_tables.load(name, TAKES[accepts])
        if accepts != "table":
            user_tables.numbers(table)
        if table.unreadable and not origin.in_memory:
            raise UsageError(
                f"'{table.path}' cannot be read line by line: {table.unreadable}. "
                f"Load it before the clock starts: --data {source.MEMORY}{name}"
            )
        return Intake(
            name=name,
            examples=len(table.labels),
            classes=table.classes,
            size=table.size,
            remarks=table.remarks,
            untrainable=_untrainable(
                f"{table.path}:{table.label}", table.classes, classes
            ),
        )
    if origin.in_memory and accepts not in STREAMED:
        raise UsageError(
            f"{source.MEMORY} is for texts and CSV files, which the pipeline reads "
            f"otherwise. Leave it out: --data {name}"
        )
    listing = _listing(origin, accepts)
    return Intake(
        name=name,
        examples=len(listing.files),
        classes=listing.classes,
        size=listing.size,
        left_out=dict(listing.left_out),
        remarks=listing.remarks,
        untrainable=_untrainable(name, listing.classes, classes),
    )


def load(data: str, accepts: str) -> Arrays | list[str]:
    """Load the user's data and check every file or row.

    Args:
        data: `cifar10`, `imdb`, a folder, or a CSV file; `FILE:COLUMN` names the column
            of the label if it is not `label`. The prefix `skip-damaged:` leaves damaged
            files out; `memory:` loads texts and tables that `stream` would return.
        accepts: The kind of data that the workload accepts, a key of `TAKES`.

    Returns:
        The sorted paths of the files for `images` and `images_of_one_size` (which
        `tf.io.decode_jpeg` with `channels=3` reads), `any_images` (which
        `tf.io.decode_image` with `channels=3` and `expand_animations=False` reads) and
        `wav`. Otherwise features, and labels as int64 `[n]`: `image_arrays` are uint8
        `[n, height, width, 3]`, `flat_images` float32 `[n, height * width * 3]`,
        `text` bytes `[n]`, `csv` lines as bytes `[n]`, `rows` float32 `[n, columns]`.
        `table` is a dict of columns by name, `[n]`: numbers as float32 (a missing one
        is NaN), dates as days since 1970, float32, and text as objects of str (missing
        text is ""). The labels of a table are float32 where they have fractions.

    Raises:
        UsageError: The data cannot be used; the message names the file or line.
    """
    if accepts not in TAKES:
        raise unknown("kind of data", accepts, TAKES)
    origin = source.parse(data)
    name = origin.name
    if _is_download(name, accepts):
        features, labels = (_imdb if accepts == "text" else _cifar10)()
    elif accepts in TABLES:
        table = user_tables.load(name, TAKES[accepts])
        if accepts == "table":
            return table.columns, table.labels
        features, labels = user_tables.numbers(table), table.labels
        if accepts == "csv":
            features = user_tables.lines(features)
    else:
        files = _listing(origin, accepts).files
        if accepts not in (*DECODED, "text"):
            return [str(path) for path in files]
        homes = sorted({path.parent for path in files})
        labels = np.array([homes.index(p.parent) for p in files], dtype=np.int64)
        features = (user_files.texts if accepts == "text" else user_files.pixels)(files)
    if accepts == "flat_images":
        features = features.reshape(len(features), -1).astype(np.float32)
    return features, labels


def stream(data: str, accepts: str) -> Stream | None:
    """Return the user's texts or table for a pipeline that reads them itself.

    Args:
        data: The data; see `load`.
        accepts: The kind of data that the workload accepts, a key of `TAKES`.

    Returns:
        None for files that the workload reads itself, for data sets of Keras, and where
        the data come from memory by name.

    Raises:
        UsageError: The data cannot be used; the message names the file or line.
    """
    origin = source.parse(data)
    if (
        origin.in_memory
        or accepts not in STREAMED
        or _is_download(origin.name, accepts)
    ):
        return None
    if accepts == "text":
        files = _listing(origin, accepts).files
        return Stream(files, len(files), user_files.texts(files))
    table = user_tables.load(origin.name, TAKES[accepts])
    known: np.ndarray | dict[str, np.ndarray] = table.columns
    if accepts != "table":
        known = user_tables.numbers(table)
    if accepts == "csv":
        known = user_tables.lines(known)
    apart = accepts == "table"
    return Stream(
        [table.path],
        len(table.labels),
        known,
        labels=table.labels,
        fields=table.fields,
        columns_apart=apart,
    )


def _is_download(name: str, accepts: str) -> bool:
    """Return whether the name is a data set of Keras.

    Raises:
        UsageError: A path has this name too.
    """
    if name != DOWNLOADS.get(accepts):
        return False
    if Path(name).exists():
        raise UsageError(
            f"'{name}' is a data set of Keras and also a path here. Use ./{name} for "
            "the path, or rename the path to use the data set."
        )
    return True


def _listing(origin: Source, accepts: str) -> user_files.Listing:
    """Return the files of all classes, each of them checked.

    Raises:
        UsageError: The folder or a file cannot be used.
    """
    name = origin.name
    takes = f"This workload takes {TAKES[accepts]}."
    folder = Path(name)
    if not folder.exists():
        raise UsageError(f"No data at '{name}'. {takes}")
    if not folder.is_dir():
        raise UsageError(f"'{name}' is not a folder. {takes}")
    one_size = accepts in ("images_of_one_size", *DECODED)
    kind = "any_images" if accepts in DECODED else accepts.removesuffix("_of_one_size")
    check, remarks = {
        "wav": (user_files.sound_properties, user_files.sound_remarks),
        "text": (user_files.text_properties, lambda properties: []),
    }.get(
        kind,
        (
            partial(
                user_files.image_properties,
                kind=kind,
                decoded=accepts in DECODED,
                sizes={} if one_size else None,
            ),
            user_files.image_remarks,
        ),
    )
    listing = user_files.list_files(folder, kind, takes)
    properties = user_files.whole(listing, check, origin.skip_damaged)
    listing.remarks += remarks(properties)
    return listing


def _cifar10() -> Arrays:
    import keras  # late: it takes seconds, which checking a folder should not

    (images, labels), _ = _downloaded("cifar10", keras.datasets.cifar10.load_data)
    return images, labels.ravel().astype(np.int64)


def _imdb() -> Arrays:
    """Return the reviews as text: Keras has word ranks plus 3, after a start mark."""
    import keras

    (reviews, labels), _ = _downloaded("imdb", keras.datasets.imdb.load_data)
    ranks = _downloaded("imdb", keras.datasets.imdb.get_word_index)
    words = {rank + 3: word for word, rank in ranks.items()}
    return np.array(list(_reviews(reviews, words))), labels.astype(np.int64)


def _reviews(reviews: np.ndarray, words: dict[int, str]) -> Iterator[bytes]:
    for review in reviews:
        yield " ".join(words[place] for place in review if place in words).encode()


def _downloaded(name: str, fetch: Callable[[], object]) -> object:
    try:
        return fetch()
    except Exception as error:  # Keras raises Exception itself without a network
        raise UsageError(
            f"'{name}' could not be loaded: {error}. Keras downloads it once into "
            "~/.keras/datasets. Without a network, copy that folder from elsewhere; if "
            "a file in it is damaged, remove the file and run again."
        ) from error


def _untrainable(what: str, count: int, most: int) -> str:
    """Return why a model that distinguishes `most` classes cannot be trained.

    Args:
        what: The data, for the sentence.
        count: The number of classes in the data; 0 if the labels are fractions.
        most: The most classes of the model; 0 for a model of any labels.
    """
    if not most or 2 <= count <= most:
        return ""
    if not count:
        return (
            f"'{what}' has fractions as labels, and the workload's model distinguishes "
            f"classes. {DRAIN}, or name a column of classes."
        )
    if count == 1:
        return f"'{what}' has only 1 class; a model needs at least 2. {DRAIN}."
    return (
        f"'{what}' has {count} classes; the workload's model distinguishes at most "
        f"{most}. {DRAIN}, or remove {count - most}."
    )
