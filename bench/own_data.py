"""The user's own data in place of a workload's: data sets of Keras, folders, CSV."""

import io
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from bench.errors import UsageError, unknown

Arrays = tuple[np.ndarray, np.ndarray]

IMAGES = (".jpg", ".jpeg", ".png")
SOUND_RATE = 16_000  # samples a second
MOST_TEXT_BYTES = 2 << 30
LABEL = "label"

_FOLDER = "a folder that holds one folder of {} for each class"
_PICTURES = _FOLDER.format("JPEG or PNG files")
_CSV = f"a CSV file with a header and a column '{LABEL}', or FILE.csv:COLUMN"
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
    if f"'{name_or_path}'" in TAKES[accepts]:
        features, labels = {"cifar10": _cifar10, "imdb": _imdb}[name_or_path]()
        _demand_classes(name_or_path, len(np.unique(labels)), classes)
    elif accepts in ("csv", "rows"):
        features, labels = _table(name_or_path, accepts, classes)
    else:
        files = _files(name_or_path, accepts, classes)
        if accepts in ("images", "images_of_one_size", "wav"):
            return [str(path) for path in files]
        homes = sorted({path.parent for path in files})
        labels = np.array([homes.index(p.parent) for p in files], dtype=np.int64)
        features = _texts(files) if accepts == "text" else _pixels(files)
    if accepts == "flat_images":
        features = features.reshape(len(features), -1).astype(np.float32)
    return features, labels


def _files(root: str, accepts: str, classes: int) -> list[Path]:
    takes = f"This workload takes {TAKES[accepts]}."
    folder = Path(root)
    if not folder.exists():
        raise UsageError(f"No data at '{root}'. {takes}")
    if not folder.is_dir():
        raise UsageError(f"'{root}' is not a folder. {takes}")
    homes = sorted(
        home
        for home in _reading(folder, lambda: list(folder.iterdir()))
        if home.is_dir() and not home.name.startswith(".")
    )
    if not homes:
        raise UsageError(f"'{root}' has no folders in it. {takes}")
    _demand_classes(root, len(homes), classes)
    endings = {"wav": (".wav",), "text": (".txt",)}.get(accepts, IMAGES)
    files = [path for home in homes for path in _of_class(home, endings)]
    if accepts == "wav":
        for path in files:
            _check_sound(path)
    elif accepts != "text":
        _check_images(files, one_size=accepts != "images")
    return files


def _of_class(home: Path, endings: tuple[str, ...]) -> list[Path]:
    files = sorted(
        path
        for path in _reading(home, lambda: list(home.iterdir()))
        if path.suffix.lower() in endings
        and not path.name.startswith(".")
        and not path.is_dir()
    )
    if not files:
        raise UsageError(
            f"'{home}' has no {', '.join(endings)} files. Put some there, or remove "
            "the folder."
        )
    return files


def _check_images(files: list[Path], one_size: bool) -> None:
    first = None
    for path in files:
        image = _image(path)
        first = first or image.size
        if one_size and image.size != first:
            raise UsageError(
                f"'{path}' is {image.width}x{image.height} pixels, but '{files[0]}' is "
                f"{first[0]}x{first[1]}. This workload needs one size: resize them, or "
                "use the workload photo_files, which resizes."
            )


def _image(path: Path) -> Image.Image:
    content = _reading(path, path.read_bytes)
    try:
        image = Image.open(io.BytesIO(content), formats=("JPEG", "PNG"))
        # Whole files end in these marks; only those that do not are decoded to see.
        if not content.endswith((b"\xff\xd9", b"IEND\xaeB`\x82")):
            image.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UsageError(
            f"'{path}' is not a whole JPEG or PNG image. Replace or remove it."
        ) from error
    return image


def _pixels(files: list[Path]) -> np.ndarray:
    def pixels(path: Path) -> np.ndarray:
        try:
            return np.asarray(_image(path).convert("RGB"))
        except OSError as error:
            raise UsageError(
                f"'{path}' is not a whole JPEG or PNG image. Replace or remove it."
            ) from error

    return np.stack([pixels(path) for path in files])


def _check_sound(path: Path) -> None:
    content = _reading(path, path.read_bytes)
    try:
        with wave.open(io.BytesIO(content)) as file:
            bits, rate = 8 * file.getsampwidth(), file.getframerate()
            frames, frame_bytes = file.getnframes(), bits // 8 * file.getnchannels()
            found = len(file.readframes(frames))
    except (wave.Error, EOFError) as error:
        raise UsageError(
            f"'{path}' is not a WAV file of plain PCM sound. Replace or remove it."
        ) from error
    if (bits, rate) != (16, SOUND_RATE):
        raise UsageError(
            f"'{path}' has {bits} bits at {rate} Hz; 16 bits at {SOUND_RATE} Hz are "
            f"needed. Convert it: ffmpeg -i IN.wav -ar {SOUND_RATE} -sample_fmt s16 "
            "OUT.wav"
        )
    if not found or found < frames * frame_bytes:
        raise UsageError(
            f"'{path}' has {found} bytes of sound where its header says "
            f"{frames * frame_bytes}. Replace or remove it."
        )


def _texts(files: list[Path]) -> np.ndarray:
    texts = []
    for path in files:
        text = _reading(path, path.read_bytes)
        try:
            blank = not text.decode("utf-8").strip()
        except UnicodeDecodeError as error:
            raise UsageError(
                f"'{path}' is not UTF-8: byte {error.start} is wrong. Convert it: "
                "iconv -f latin1 -t utf-8 IN.txt > OUT.txt"
            ) from error
        if blank:
            raise UsageError(f"'{path}' has no text. Write some, or remove it.")
        texts.append(text)
    longest = max(range(len(texts)), key=lambda place: len(texts[place]))
    if len(texts) * len(texts[longest]) > MOST_TEXT_BYTES:
        raise UsageError(
            f"'{files[longest]}' has {len(texts[longest])} bytes; with {len(texts)} "
            f"files the longest may have {MOST_TEXT_BYTES // len(texts)}. Split or "
            "remove it."
        )
    return np.array(texts)


def _table(given: str, accepts: str, classes: int) -> Arrays:
    path, column = Path(given), LABEL
    if not path.exists() and ":" in given:
        path, column = Path(given.rpartition(":")[0]), given.rpartition(":")[2]
    if not path.exists():
        raise UsageError(f"No data at '{path}'. This workload takes {TAKES[accepts]}.")
    if path.is_dir():
        raise UsageError(f"'{path}' is a folder. This workload takes {TAKES[accepts]}.")
    table = _parsed(path)
    if column not in table:
        raise UsageError(
            f"'{path}' has no column '{column}'. Its columns are: "
            f"{', '.join(map(str, table.columns))}. Name the label's: {path}:COLUMN"
        )
    labels = table.pop(column)
    if table.empty:
        raise UsageError(
            f"'{path}' has no numbers to learn from: it needs a header, lines under it, "
            f"and a column beside '{column}'."
        )
    if labels.isna().any():
        raise _bad_cell(path, column, labels, labels.isna())
    for name, values in table.items():
        wrong = ~np.isfinite(pd.to_numeric(values, errors="coerce").astype(float))
        if wrong.any():
            raise _bad_cell(path, str(name), values, wrong)
    names, places = np.unique(labels.to_numpy(), return_inverse=True)
    _demand_classes(f"{path}:{column}", len(names), classes)
    return _as_examples(table, accepts), places.astype(np.int64)


def _as_examples(table: pd.DataFrame, accepts: str) -> np.ndarray:
    if accepts == "rows":
        return table.to_numpy(dtype=np.float32)
    lines = table.astype(float).to_csv(header=False, index=False, lineterminator="\n")
    return np.array(lines.encode().splitlines())


def _parsed(path: Path) -> pd.DataFrame:
    try:
        # Blank lines are kept, so that a row's number tells its line.
        return _reading(
            path, lambda: pd.read_csv(path, skip_blank_lines=False, low_memory=False)
        )
    except pd.errors.EmptyDataError as error:
        raise UsageError(
            f"'{path}' is empty. It needs a header and lines under it."
        ) from error
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        reason = str(error).strip().rpartition("C error: ")[2]
        raise UsageError(
            f"'{path}' is not a CSV file in UTF-8: {reason}. Mend or remove the line."
        ) from error


def _bad_cell(
    path: Path, column: str, values: pd.Series, wrong: pd.Series
) -> UsageError:
    row = int(np.flatnonzero(wrong)[0])
    value = values.iloc[row]
    what = "is empty" if pd.isna(value) else f"is '{value}'"
    return UsageError(
        f"'{path}', line {row + 2}: column '{column}' {what}. Labels must be filled in "
        "and all else must be finite numbers: mend or remove the line or the column."
    )


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


def _reading[T](path: Path, read: Callable[[], T]) -> T:
    try:
        return read()
    except OSError as error:
        raise UsageError(
            f"Cannot read '{path}': {error.strerror}. Change its permissions, or "
            "remove it."
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
