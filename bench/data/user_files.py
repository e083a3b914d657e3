"""Files of the user's, a folder a class: listed, and looked at one by one."""

import io
import wave
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from bench.errors import UsageError

Content = TypeVar("Content")

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
