"""The user's own data in place of a workload's: data sets of Keras, folders, CSV."""

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


def look(name_or_path: str, accepts: str, classes: int = 0) -> None:
    """Refuse at once what `load` would refuse by its name or its folders.

    Args:
        name_or_path: As for `load`.
        accepts: The same.
        classes: The same.

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
    """Examples of the user's, checked so far as a look at every file or row tells.

    Args:
        name_or_path: `cifar10`, `imdb`, a folder, or a CSV file, with `:COLUMN` where
            the label's column is not named `label`.
        accepts: What the workload takes, its `ACCEPTS`: a key of `TAKES`.
        classes: The most classes that the workload tells apart, its `CLASSES`; 0 is
            any number.

    Returns:
        For `images`, `images_of_one_size` and `wav` the paths of the files, sorted.
        Else features and labels, int64 `[n]`: `image_arrays` are uint8
        `[n, height, width, 3]`, `flat_images` float32 `[n, height * width * 3]`,
        `text` bytes `[n]`, `csv` lines as bytes `[n]`, `rows` float32 `[n, columns]`.

    Raises:
        UsageError: The data cannot be used; it names the file or line.
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
    """Whether a data set of Keras is meant.

    Raises:
        UsageError: It could be a path as well.
    """
    if name != DOWNLOADS.get(accepts):
        return False
    if Path(name).exists():
        raise UsageError(
            f"'{name}' is a data set of Keras, and also a path here. Give ./{name} for "
            "the path, or rename it to have the data set."
        )
    return True


def _listed(root: str, accepts: str, classes: int) -> list[Path]:
    """The files of all classes, sorted; nothing is opened."""
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
    import keras  # several seconds, which a look at a folder should not take

    (images, labels), _ = _downloaded("cifar10", keras.datasets.cifar10.load_data)
    return images, labels.ravel().astype(np.int64)


def _imdb() -> Arrays:
    """Reviews as text again: Keras gives word ranks, 3 too high, after a start mark."""
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
    except Exception as error:  # Keras raises plain ones where there is no network
        raise UsageError(
            f"'{name}' could not be loaded: {error}. Keras downloads it once into "
            "~/.keras/datasets: connect to a network, or copy that folder from "
            "elsewhere."
        ) from error


def _demand_classes(what: str, found: int, most: int) -> None:
    if found < 2:
        raise UsageError(
            f"'{what}' has only 1 class. There must be 2 at least, to be told apart."
        )
    if most and found > most:
        raise UsageError(
            f"'{what}' has {found} classes; this workload tells {most} apart. Remove "
            f"{found - most}, or use another workload."
        )
