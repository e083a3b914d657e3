"""This module loads the user's own data: data sets of Keras, folders, CSV files."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from bench.data import user_files
from bench.errors import UsageError, unknown

Arrays = tuple[np.ndarray, np.ndarray]

_FOLDER = "a folder that holds one folder of {} for each class"
_PICTURES = _FOLDER.format("JPEG or PNG files")
_CSV = f"a CSV file with a header and a column '{user_files.LABEL}', or FILE.csv:COLUMN"
TAKES = {
    "images": _PICTURES,
    "images_of_one_size": f"{_PICTURES}, all of one size",
    "image_arrays": f"'cifar10', or {_PICTURES}, all of one size",
    "flat_images": f"'cifar10', or {_PICTURES}, all of one size",
    "wav": _FOLDER.format("16-bit WAV files at 16000 Hz"),
    "text": f"'imdb', or {_FOLDER.format('.txt files in UTF-8')}",
    "csv": _CSV,
    "rows": _CSV,
}
DOWNLOADS = {"image_arrays": "cifar10", "flat_images": "cifar10", "text": "imdb"}


def check(name_or_path: str, accepts: str, classes: int = 0) -> None:
    """Check the names and folders of the data, so that bad data is refused at once.

    Args:
        name_or_path: The data; see `load`.
        accepts: The kind of data; see `load`.
        classes: The most classes; see `load`.

    Raises:
        UsageError: The data cannot be used.
    """
    if accepts not in TAKES:
        raise unknown("kind of data", accepts, TAKES)
    if _is_download(name_or_path, accepts):
        return
    if accepts in ("csv", "rows"):
        user_files.find_table(name_or_path, TAKES[accepts])
    else:
        _listed(name_or_path, accepts, classes)


def load(name_or_path: str, accepts: str, classes: int = 0) -> Arrays | list[str]:
    """Load the user's data and check every file or row.

    Args:
        name_or_path: `cifar10`, `imdb`, a folder, or a CSV file; `FILE:COLUMN` names
            the column of the label if it is not `label`.
        accepts: The kind of data that the workload accepts, a key of `TAKES`.
        classes: The most classes that the workload distinguishes; 0 for any number.

    Returns:
        The sorted paths of the files for `images`, `images_of_one_size` and `wav`.
        Otherwise features and labels, int64 `[n]`: `image_arrays` are uint8
        `[n, height, width, 3]`, `flat_images` float32 `[n, height * width * 3]`,
        `text` bytes `[n]`, `csv` lines as bytes `[n]`, `rows` float32 `[n, columns]`.

    Raises:
        UsageError: The data cannot be used; the message names the file or line.
    """
    if accepts not in TAKES:
        raise unknown("kind of data", accepts, TAKES)
    if _is_download(name_or_path, accepts):
        features, labels = (_imdb if accepts == "text" else _cifar10)()
        _demand_classes(name_or_path, len(np.unique(labels)), classes)
    elif accepts in ("csv", "rows"):
        table, labels, what = user_files.load_table(name_or_path, TAKES[accepts])
        _demand_classes(what, len(np.unique(labels)), classes)
        rows = accepts == "rows"
        features = table.to_numpy(np.float32) if rows else user_files.csv_lines(table)
    else:
        files = _files(name_or_path, accepts, classes)
        if accepts in ("images", "images_of_one_size", "wav"):
            return [str(path) for path in files]
        homes = sorted({path.parent for path in files})
        labels = np.array([homes.index(p.parent) for p in files], dtype=np.int64)
        features = (user_files.texts if accepts == "text" else user_files.pixels)(files)
    if accepts == "flat_images":
        features = features.reshape(len(features), -1).astype(np.float32)
    return features, labels


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


def _listed(root: str, accepts: str, classes: int) -> list[Path]:
    """Return the files of all classes, sorted, without opening one."""
    takes = f"This workload takes {TAKES[accepts]}."
    folder = Path(root)
    if not folder.exists():
        raise UsageError(f"No data at '{root}'. {takes}")
    if not folder.is_dir():
        raise UsageError(f"'{root}' is not a folder. {takes}")
    homes = user_files.class_folders(folder)
    if not homes:
        raise UsageError(f"'{root}' has no folders in it. {takes}")
    kind = accepts if accepts in ("wav", "text") else "images"
    files = [path for home in homes for path in user_files.of_class(home, kind)]
    _demand_classes(root, len(homes), classes)
    return files


def _files(root: str, accepts: str, classes: int) -> list[Path]:
    files = _listed(root, accepts, classes)
    if accepts not in ("wav", "text"):
        user_files.check_images(files, one_size=accepts != "images")
    for path in files if accepts == "wav" else ():
        user_files.check_sound(path)
    return files


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
            "~/.keras/datasets: connect to a network, or copy that folder from "
            "elsewhere."
        ) from error


def _demand_classes(what: str, count: int, most: int) -> None:
    if count < 2:
        raise UsageError(f"'{what}' has only 1 class. At least 2 are needed.")
    if most and count > most:
        raise UsageError(
            f"'{what}' has {count} classes; this workload takes at most {most}. Remove "
            f"{count - most}, or use another workload."
        )
