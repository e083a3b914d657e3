"""The user's own files: folders of one class each, and tables of CSV."""

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

LABEL = "label"  # the column of a table, where the user names no other
ENDINGS = {
    "images": (".jpg", ".jpeg", ".png"),
    "wav": (".wav",),
    "text": (".txt",),
}
SOUND_RATE = 16_000  # samples a second
MOST_TEXT_BYTES = 2 << 30  # texts are kept at the width of the longest


def class_folders(root: Path) -> list[Path]:
    """The folders in a folder, sorted; hidden ones are left out."""
    return sorted(
        home
        for home in reading(root, lambda: list(root.iterdir()))
        if home.is_dir() and not home.name.startswith(".")
    )


def of_class(home: Path, kind: str) -> list[Path]:
    """The files of one class, sorted; those with other endings are left out.

    Raises:
        UsageError: There are none.
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
            f"'{home}' has no {', '.join(ENDINGS[kind])} files, but folders. If they "
            f"are the classes, give --data {home}."
        )
    if not files:
        raise UsageError(
            f"'{home}' has no {', '.join(ENDINGS[kind])} files. Put some there, or "
            "remove the folder."
        )
    return files


def check_images(files: list[Path], one_size: bool) -> None:
    """Refuse a file that is no JPEG or PNG, or of another size than the first."""
    first = None
    for path in files:
        found = image(path).size
        first = first or found
        if one_size and found != first:
            raise UsageError(
                f"'{path}' is {found[0]}x{found[1]} pixels, but '{files[0]}' is "
                f"{first[0]}x{first[1]}. This workload needs one size: resize them, or "
                "use the workload photo_files, which resizes."
            )


def image(path: Path) -> Image.Image:
    """One opened picture, decoded only where its end looks cut off.

    Raises:
        UsageError: It is not a whole JPEG or PNG image.
    """
    content = reading(path, path.read_bytes)
    try:
        picture = Image.open(io.BytesIO(content), formats=("JPEG", "PNG"))
        # Whole files end in these marks; only those that do not are decoded to see.
        if not content.endswith((b"\xff\xd9", b"IEND\xaeB`\x82")):
            picture.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _broken_image(path) from error
    return picture


def pixels(files: list[Path]) -> np.ndarray:
    """Pictures of one size as uint8 `[n, height, width, 3]`."""
    rows = []
    for path in files:
        try:
            rows.append(np.asarray(image(path).convert("RGB")))
        except OSError as error:
            raise _broken_image(path) from error
    return np.stack(rows)


def check_sound(path: Path) -> None:
    """Refuse a file that is not 16-bit PCM sound at 16 kHz, or is cut short."""
    content = reading(path, path.read_bytes)
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


def texts(files: list[Path]) -> np.ndarray:
    """Each file's text as UTF-8 bytes `[n]`, as wide as the longest."""
    found = []
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
        found.append(text)
    longest = max(range(len(found)), key=lambda place: len(found[place]))
    if len(found) * len(found[longest]) > MOST_TEXT_BYTES:
        raise UsageError(
            f"'{files[longest]}' has {len(found[longest])} bytes; with {len(found)} "
            f"files the longest may have {MOST_TEXT_BYTES // len(found)}. Split or "
            "remove it."
        )
    return np.array(found)


def reading(path: Path, read: Callable[[], Content]) -> Content:
    """What `read` returns; an error of the file system names the path.

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
        f"'{path}' is not a whole JPEG or PNG image. Replace or remove it."
    )


def find_table(given: str, takes: str) -> tuple[Path, str]:
    """The file, and the name of the label's column; see `load_table`.

    Raises:
        UsageError: There is no file.
    """
    path, column = Path(given), LABEL
    if not path.exists() and ":" in given:
        path, column = Path(given.rpartition(":")[0]), given.rpartition(":")[2]
    if not path.exists():
        raise UsageError(f"No data at '{path}'. This workload takes {takes}.")
    if path.is_dir():
        raise UsageError(f"'{path}' is a folder. This workload takes {takes}.")
    return path, column


def load_table(given: str, takes: str) -> tuple[pd.DataFrame, np.ndarray, str]:
    """Features, labels as places among the sorted values, and `path:column`.

    Args:
        given: The file, with `:COLUMN` where the label's is not named `label`.
        takes: What the workload takes, for the words of an error.

    Raises:
        UsageError: The file or a line cannot be used.
    """
    path, column = find_table(given, takes)
    table = _parsed(path)
    names = list(map(str, table.columns))
    if len(names) == 1 and (";" in names[0] or "\t" in names[0]):
        raise UsageError(
            f"'{path}' has one column, '{names[0]}'. Separate its fields by commas."
        )
    if not isinstance(table.index, pd.RangeIndex):  # pandas takes the first as an index
        raise UsageError(
            f"'{path}' has lines with more fields than its header, which has "
            f"{table.shape[1]}. Mend the header."
        )
    if column not in table:
        raise UsageError(
            f"'{path}' has no column '{column}'. Its columns are: "
            f"{', '.join(names)}. Name the label's: {path}:COLUMN"
        )
    labels = table.pop(column)
    if table.empty:
        raise UsageError(
            f"'{path}' has no numbers to learn from: it needs a header, lines "
            f"under it, and a column beside '{column}'."
        )
    if labels.isna().any():
        raise _bad_cell(path, column, labels, labels.isna())
    for name, values in table.items():
        sizes = pd.to_numeric(values, errors="coerce").astype(float).abs()
        wrong = ~(sizes <= np.finfo(np.float32).max)  # NaN is not either
        if wrong.any():
            raise _bad_cell(path, str(name), values, wrong)
    _, places = np.unique(labels.to_numpy(), return_inverse=True)
    return table, places.astype(np.int64), f"{path}:{column}"


def csv_lines(table: pd.DataFrame) -> np.ndarray:
    """Each row as a line of CSV, bytes `[n]`."""
    lines = table.astype(float).to_csv(header=False, index=False, lineterminator="\n")
    return np.array(lines.encode().splitlines())


def _parsed(path: Path) -> pd.DataFrame:
    try:
        # Blank lines are kept, so that a row's number tells its line. Only nothing is
        # nothing: words such as NA and None may be classes.
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
        "and all else must be finite 32-bit numbers: mend or remove the line or the "
        "column."
    )
