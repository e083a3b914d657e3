"""This module reads and checks the user's own files: folders of classes, and CSV."""

import io
import wave
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
from PIL import Image

from bench.errors import UsageError

Content = TypeVar("Content")

LABEL = "label"  # the default column of a table's label
ENDINGS = {
    "images": (".jpg", ".jpeg", ".png"),
    "wav": (".wav",),
    "text": (".txt",),
}
SOUND_RATE = 16_000  # samples a second
MOST_TEXT_BYTES = 2 << 30  # each text takes the width of the longest


def class_folders(root: Path) -> list[Path]:
    """Return the folders in a folder, sorted, without hidden folders."""
    return sorted(
        home
        for home in reading(root, lambda: list(root.iterdir()))
        if home.is_dir() and not home.name.startswith(".")
    )


def of_class(home: Path, kind: str) -> list[Path]:
    """Return the files of one class with the endings of a kind, sorted.

    Raises:
        UsageError: The folder has no such file.
    """
    files = sorted(
        path
        for path in reading(home, lambda: list(home.iterdir()))
        if path.suffix.lower() in ENDINGS[kind]
        and not path.name.startswith(".")
        and not path.is_dir()
    )
    if not files and class_folders(home):
        raise UsageError(
            f"'{home}' has no {', '.join(ENDINGS[kind])} files, but folders. If these "
            f"are the classes, use --data {home}."
        )
    if not files:
        raise UsageError(
            f"'{home}' has no {', '.join(ENDINGS[kind])} files. Put some there, or "
            "remove the folder."
        )
    return files


def check_images(files: list[Path], one_size: bool) -> None:
    """Refuse a file that is no JPEG or PNG or, if wanted, has another size."""
    first = None
    for path in files:
        size = image(path).size
        first = first or size
        if one_size and size != first:
            raise UsageError(
                f"'{path}' is {size[0]}x{size[1]} pixels, but '{files[0]}' is "
                f"{first[0]}x{first[1]}. This workload needs one size: resize them, or "
                "use the workload photo_files, which resizes."
            )


def image(path: Path) -> Image.Image:
    """Open a picture, and decode it if its end looks incomplete.

    Raises:
        UsageError: The file is not a complete JPEG or PNG image.
    """
    content = reading(path, path.read_bytes)
    try:
        picture = Image.open(io.BytesIO(content), formats=("JPEG", "PNG"))
        # Complete files end in these marks; decoding checks the others.
        if not content.endswith((b"\xff\xd9", b"IEND\xaeB`\x82")):
            picture.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _broken_image(path) from error
    return picture


def pixels(files: list[Path]) -> np.ndarray:
    """Return pictures of one size as uint8 `[n, height, width, 3]`."""
    rows = []
    for path in files:
        try:
            rows.append(np.asarray(image(path).convert("RGB")))
        except OSError as error:
            raise _broken_image(path) from error
    return np.stack(rows)


def check_sound(path: Path) -> None:
    """Refuse a file that is not complete 16-bit PCM sound at 16 kHz."""
    content = reading(path, path.read_bytes)
    try:
        with wave.open(io.BytesIO(content)) as file:
            bits, rate = 8 * file.getsampwidth(), file.getframerate()
            frames, frame_bytes = file.getnframes(), bits // 8 * file.getnchannels()
            size = len(file.readframes(frames))
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
    if not size or size < frames * frame_bytes:
        raise UsageError(
            f"'{path}' has {size} bytes of sound, but its header states "
            f"{frames * frame_bytes}. Replace or remove it."
        )


def texts(files: list[Path]) -> np.ndarray:
    """Return each file's text as UTF-8 bytes `[n]`, as wide as the longest."""
    contents = []
    for path in files:
        text = reading(path, path.read_bytes)
        try:
            blank = not text.decode("utf-8").strip()
        except UnicodeDecodeError as error:
            raise UsageError(
                f"'{path}' is not UTF-8: byte {error.start} is wrong. Convert it: "
                "iconv -f latin1 -t utf-8 IN.txt > OUT.txt"
            ) from error
        if blank:
            raise UsageError(f"'{path}' has no text. Write some, or remove it.")
        contents.append(text)
    longest = max(range(len(contents)), key=lambda place: len(contents[place]))
    if len(contents) * len(contents[longest]) > MOST_TEXT_BYTES:
        raise UsageError(
            f"'{files[longest]}' has {len(contents[longest])} bytes; with "
            f"{len(contents)} files the longest may have "
            f"{MOST_TEXT_BYTES // len(contents)}. Split or remove it."
        )
    return np.array(contents)


def reading(path: Path, read: Callable[[], Content]) -> Content:
    """Return the result of `read`; an error of the file system names the path.

    Raises:
        UsageError: The path cannot be read.
    """
    try:
        return read()
    except OSError as error:
        raise UsageError(
            f"Cannot read '{path}': {error.strerror}. Change its permissions, or "
            "remove it."
        ) from error


def _broken_image(path: Path) -> UsageError:
    return UsageError(
        f"'{path}' is not a complete JPEG or PNG image. Replace or remove it."
    )


def find_table(name: str, takes: str) -> tuple[Path, str]:
    """Return the file of a table and the column of its label; see `load_table`.

    Raises:
        UsageError: The file does not exist.
    """
    path, column = Path(name), LABEL
    if not path.exists() and ":" in name:
        path, column = Path(name.rpartition(":")[0]), name.rpartition(":")[2]
    if not path.exists():
        raise UsageError(f"No data at '{path}'. This workload takes {takes}.")
    if path.is_dir():
        raise UsageError(f"'{path}' is a folder. This workload takes {takes}.")
    return path, column


def load_table(name: str, takes: str) -> tuple[pd.DataFrame, np.ndarray, str]:
    """Read a CSV file with a header, a column of labels, and columns of numbers.

    Args:
        name: The file, or `FILE:COLUMN` if the label's column is not named `label`.
        takes: The data that the workload takes, in words for an error.

    Returns:
        The features; the labels as indices among their sorted values, int64 `[n]`; and
        `path:column`.

    Raises:
        UsageError: The file or a line cannot be used.
    """
    path, column = find_table(name, takes)
    table = _parsed(path)
    names = list(map(str, table.columns))
    if len(names) == 1 and (";" in names[0] or "\t" in names[0]):
        raise UsageError(
            f"'{path}' has one column, '{names[0]}'. Separate its fields by commas."
        )
    # Otherwise pandas took the first field of each line as an index.
    if not isinstance(table.index, pd.RangeIndex):
        raise UsageError(
            f"'{path}' has lines with more fields than its header, which has "
            f"{table.shape[1]}. Correct the header."
        )
    if column not in table:
        raise UsageError(
            f"'{path}' has no column '{column}'. Its columns are: "
            f"{', '.join(names)}. Name the label's column: {path}:COLUMN"
        )
    labels = table.pop(column)
    if table.empty:
        raise UsageError(
            f"'{path}' has no numbers to learn from: it needs a header, lines "
            f"below the header, and a column beside '{column}'."
        )
    if labels.isna().any():
        raise _bad_cell(path, column, labels, labels.isna())
    for feature, values in table.items():
        sizes = pd.to_numeric(values, errors="coerce").astype(float).abs()
        wrong = ~(sizes <= np.finfo(np.float32).max)  # NaN is wrong too
        if wrong.any():
            raise _bad_cell(path, str(feature), values, wrong)
    _, numbers = np.unique(labels.to_numpy(), return_inverse=True)
    return table, numbers.astype(np.int64), f"{path}:{column}"


def csv_lines(table: pd.DataFrame) -> np.ndarray:
    """Return each row as a line of CSV, bytes `[n]`."""
    lines = table.astype(float).to_csv(header=False, index=False, lineterminator="\n")
    return np.array(lines.encode().splitlines())


def _parsed(path: Path) -> pd.DataFrame:
    try:
        # With blank lines a row's number gives its line. Only an empty field is a
        # missing value: words such as NA and None may be classes.
        return reading(
            path,
            lambda: pd.read_csv(
                path,
                skip_blank_lines=False,
                low_memory=False,
                keep_default_na=False,
                na_values=[""],
            ),
        )
    except pd.errors.EmptyDataError as error:
        raise UsageError(
            f"'{path}' is empty. It needs a header and lines below the header."
        ) from error
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        reason = str(error).strip().rpartition("C error: ")[2]
        raise UsageError(
            f"'{path}' is not a CSV file in UTF-8: {reason}. Correct or remove the "
            "line."
        ) from error


def _bad_cell(
    path: Path, column: str, values: pd.Series, wrong: pd.Series
) -> UsageError:
    row = int(np.flatnonzero(wrong)[0])
    value = values.iloc[row]
    what = "is empty" if pd.isna(value) else f"is '{value}'"
    return UsageError(
        f"'{path}', line {row + 2}: column '{column}' {what}. Labels must be filled in "
        "and all other fields must be finite 32-bit numbers: correct or remove the "
        "line or the column."
    )
