"""This module lists and checks the user's own files: a folder for each class."""

import io
import os
import string
import wave
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from bench.data.intake import BESIDE, DAMAGED, DEEPER, HIDDEN, OTHER, UNREADABLE
from bench.errors import UsageError

Content = TypeVar("Content")

# By kind of file: the endings, and the formats by Pillow's names.
DECODE_JPEG = (".jpg", ".jpeg", ".png", ".gif")  # what tf.io.decode_jpeg reads
ENDINGS = {
    "images": DECODE_JPEG,
    "any_images": (*DECODE_JPEG, ".bmp", ".webp"),  # what tf.io.decode_image reads
    "wav": (".wav",),
    "text": (".txt",),
}
FORMATS = {
    "images": ("JPEG", "PNG", "GIF"),
    "any_images": ("JPEG", "PNG", "GIF", "BMP", "WEBP"),
}
# The last bytes of complete files; Pillow decodes the others as a check.
ENDS = (b"\xff\xd9", b"IEND\xaeB`\x82")
ORIENTATION = 0x0112  # the EXIF tag; 1 is upright
SOUND_RATE = 16_000  # samples a second
NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
SKIP = "or leave such files out with --skip-damaged"


class Damaged(UsageError):
    """A file cannot be read, or its content is not whole.

    Attributes:
        reason: `DAMAGED` or `UNREADABLE`.
    """

    def __init__(self, message: str, reason: str = DAMAGED) -> None:
        """Store the message for the user, and the reason for counts."""
        super().__init__(message)
        self.reason = reason


@dataclass
class Listing:
    """A listing has the files of all class folders, and counts those it leaves out.

    Attributes:
        classes: The number of class folders.
        files: The files, sorted by class and name.
        left_out: The number of files that are left out, by reason.
        remarks: Sentences on what the files hold.
    """

    classes: int = 0
    files: list[Path] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    remarks: list[str] = field(default_factory=list)

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(path.stat().st_size for path in self.files)


def list_files(root: Path, kind: str, takes: str) -> Listing:
    """List the files of all classes by their names, as Keras does for folders.

    A class is a folder, or a link to a folder. Keras also takes the files of deeper
    folders, which are left out here.

    Args:
        root: The folder that holds a folder for each class.
        kind: A key of `ENDINGS`.
        takes: The data that the workload takes, in words for an error.

    Raises:
        UsageError: There are no class folders, or one has no such file.
    """
    listing = Listing()
    homes = []
    for path in _entries(root):
        if path.name.startswith("."):
            listing.left_out[HIDDEN] += 1
        elif path.is_dir():
            homes.append(path)
        else:
            listing.left_out[BESIDE] += 1
    if not homes:
        beside = sum(path.suffix.lower() in ENDINGS[kind] for path in _entries(root))
        remedy = (
            f" Its {beside} files are of no class: put them into one folder for each "
            "class, or all into one folder."
        ) * (beside > 0)
        raise UsageError(f"'{root}' has no folders in it.{remedy} {takes}")
    listing.classes = len(homes)
    for home in homes:
        _list_class(home, kind, listing)
    return listing


def _list_class(home: Path, kind: str, listing: Listing) -> None:
    """Add the files of one class to a listing, sorted.

    Raises:
        UsageError: The folder has no file of this kind.
    """
    endings = ", ".join(ENDINGS[kind])
    files, others, folders = [], Counter[str](), 0
    for path in _entries(home):
        if path.name.startswith("."):
            listing.left_out[HIDDEN] += 1
        elif path.is_dir():
            folders += 1
            inside = (names for _, _, names in os.walk(path))
            listing.left_out[DEEPER] += sum(map(len, inside))
        elif path.suffix.lower() in ENDINGS[kind] and _may_be_file(path):
            files.append(path)
        else:
            others[path.suffix.lower() or path.name] += 1
    if not files and folders:
        raise UsageError(
            f"'{home}' has no {endings} files, but folders. If these are the classes, "
            f"use --data {home}."
        )
    if not files:
        other = ", ".join(f"{count} {name}" for name, count in others.most_common(3))
        raise UsageError(
            f"'{home}' has no {endings} files{f' (but {other})' if other else ''}. "
            "Put some there, or remove the folder."
        )
    listing.left_out[OTHER] += others.total()
    listing.files += files


def _may_be_file(path: Path) -> bool:
    """Return whether a path is a file or a broken link, and no pipe or device."""
    return path.is_file() or not path.exists()


def _entries(folder: Path) -> list[Path]:
    return sorted(reading(folder, lambda: list(folder.iterdir())))


def whole(
    listing: Listing, check: Callable[[Path], Sequence[str]], skip_damaged: bool
) -> Counter[str]:
    """Check every file of a listing; return how many files have each property.

    Args:
        listing: The listing. Damaged files move to what it leaves out.
        check: Returns the properties of a file, or raises `Damaged`.
        skip_damaged: Whether to leave damaged files out instead of refusing them.

    Raises:
        UsageError: A file is damaged and must not be left out, or no file is whole.
    """
    files, properties, damages = [], Counter[str](), []
    for path in listing.files:
        try:
            properties.update(check(path))
        except Damaged as damage:
            if not skip_damaged:
                raise
            place = str(damage).find(str(path)) + len(str(path))
            damages.append(str(damage)[: str(damage).index(". ", place)])
            listing.left_out[damage.reason] += 1
        else:
            files.append(path)
    if damages:
        few = len(damages) == 1
        which = "One file" if few else f"The first of {len(damages):,} files"
        listing.remarks.append(f"{which} left out: {damages[0]}.")
    if not files:
        raise UsageError(
            f"All {len(damages)} files are damaged, the first: {damages[0]}. Replace "
            "them."
        )
    homes, whole_homes = ({p.parent for p in some} for some in (listing.files, files))
    if empty_classes := homes - whole_homes:
        raise UsageError(
            f"All files of '{min(empty_classes)}' are damaged. Put others there, or "
            "remove the folder."
        )
    listing.files = files
    return properties


def image_properties(
    path: Path, kind: str, decoded: bool, sizes: dict[tuple[int, int], Path] | None
) -> list[str]:
    """Return the names of a picture's properties that readers may not expect.

    Args:
        path: The file.
        kind: `images` or `any_images`.
        decoded: Whether this program decodes the file, and not TensorFlow.
        sizes: The first file of each size so far; None if the sizes may differ.

    Raises:
        Damaged: The file is not a whole image of these formats.
        UsageError: The picture has another size than the first one, or TensorFlow does
            not read its variant of the format.
    """
    picture = image(path, kind)
    animated = picture.format in ("GIF", "WEBP") and picture.n_frames > 1
    variant = ""
    if animated and kind == "images":
        variant = "an animated GIF, of which tf.io.decode_jpeg reads no frame"
    elif animated and picture.format == "WEBP":
        variant = "an animated WEBP, which TensorFlow does not read as 3 channels"
    elif picture.format == "BMP" and picture.mode in ("1", "P"):
        variant = "a BMP with a palette, which TensorFlow does not read"
    if variant and not decoded:
        raise Damaged(f"'{path}' is {variant}. Convert or remove it, {SKIP}.")
    if sizes is not None:
        sizes.setdefault(picture.size, path)
        (first, other), *_ = sizes.items()
        if picture.size != first:
            raise UsageError(
                f"'{path}' is {picture.width}x{picture.height} pixels, but '{other}' "
                f"is {first[0]}x{first[1]}. This workload needs one size: resize them, "
                "or use the workload photo_files, which resizes."
            )
    properties = ["animated"] if animated else []
    if picture.format in ("JPEG", "MPO", "WEBP") or "exif" in picture.info:
        properties += ["rotated"] * (picture.getexif().get(ORIENTATION, 1) > 1)
    return properties


def image_remarks(properties: Counter[str]) -> list[str]:
    """Return sentences on the properties of pictures."""
    remarks = []
    if count := properties["rotated"]:
        remarks.append(
            f"{_images(count)} an EXIF rotation, which is not applied: TensorFlow does "
            "not apply it either."
        )
    if count := properties["animated"]:
        remarks.append(f"{_images(count)} several frames; the first is taken.")
    return remarks


def _images(count: int) -> str:
    return f"{count:,} image{'s have' if count > 1 else ' has'}"


def image(path: Path, kind: str) -> Image.Image:
    """Open a picture, and decode it if its end looks incomplete.

    Raises:
        Damaged: The file is not a whole image of the kind's formats.
    """
    content = reading(path, path.read_bytes)
    try:
        picture = Image.open(io.BytesIO(content), formats=FORMATS["any_images"])
        if picture.format == "PNG":  # its checksums need no decoding
            Image.open(io.BytesIO(content)).verify()
        if not content.endswith(ENDS):
            picture.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _broken_image(path, kind, error) from error
    if kind == "images" and picture.format in ("BMP", "WEBP"):
        raise Damaged(
            f"'{path}' is a {picture.format} image, which tf.io.decode_jpeg does not "
            f"read. Convert or remove it, {SKIP}."
        )
    return picture


def pixels(files: Sequence[Path]) -> np.ndarray:
    """Return pictures of one size as uint8 `[n, height, width, 3]`."""
    rows = []
    for path in files:
        try:
            rows.append(np.asarray(image(path, "any_images").convert("RGB")))
        except OSError as error:
            raise _broken_image(path, "any_images", error) from error
    return np.stack(rows)


def _broken_image(path: Path, kind: str, error: Exception) -> Damaged:
    formats = FORMATS[kind]
    why = str(error).partition(" <_io")[0].strip() or type(error).__name__
    return Damaged(
        f"'{path}' is not a complete {', '.join(formats[:-1])} or {formats[-1]} image: "
        f"{why}. Replace or remove it, {SKIP}."
    )


def sound_properties(path: Path) -> list[str]:
    """Return the names of a sound's properties that readers may not expect.

    Raises:
        Damaged: The file is not complete PCM sound.
        UsageError: The sound has another rate or another width than needed.
    """
    content = reading(path, path.read_bytes)
    try:
        with wave.open(io.BytesIO(content)) as file:
            bits, rate = 8 * file.getsampwidth(), file.getframerate()
            frames, channels = file.getnframes(), file.getnchannels()
            size, needed = len(file.readframes(frames)), frames * channels * bits // 8
    except (wave.Error, EOFError) as error:
        why = str(error) or "it ends early"
        raise Damaged(
            f"'{path}' is not a WAV file of plain PCM sound: {why}. Replace or remove "
            f"it, {SKIP}."
        ) from error
    if (bits, rate) != (16, SOUND_RATE):
        raise UsageError(
            f"'{path}' has {bits} bits at {rate} Hz; 16 bits at {SOUND_RATE} Hz are "
            f"needed. Convert it: ffmpeg -i IN.wav -ar {SOUND_RATE} -sample_fmt s16 "
            "OUT.wav"
        )
    if not size or size < needed:
        raise Damaged(
            f"'{path}' has {size} bytes of sound, but its header states {needed}. "
            f"Replace or remove it, {SKIP}."
        )
    properties = ["channels"] if channels > 1 else []
    if frames != SOUND_RATE:
        properties.append("long" if frames > SOUND_RATE else "short")
    return properties


def sound_remarks(properties: Counter[str]) -> list[str]:
    """Return sentences on the properties of sounds."""
    channels, long, short = (properties[n] for n in ("channels", "long", "short"))
    remarks = []
    if channels:
        remarks.append(
            f"Sounds with several channels: {channels:,}. desired_channels=1 of "
            "tf.audio.decode_wav takes the first channel."
        )
    if long or short:
        remarks.append(
            f"Sounds longer than one second: {long:,}; shorter: {short:,}. "
            f"desired_samples={SOUND_RATE} of tf.audio.decode_wav cuts the former and "
            "fills the latter with silence."
        )
    return remarks


def text_properties(path: Path) -> list[str]:
    """Check a text file, and return no properties, because texts have none to count.

    Raises:
        Damaged: The file is not UTF-8, or has no words.
    """
    text = reading(path, path.read_bytes)
    try:
        blank = not text.decode("utf-8").translate(NO_PUNCTUATION).strip()
    except UnicodeDecodeError as error:
        raise Damaged(
            f"'{path}' is not UTF-8: byte {error.start} is wrong. Convert it (iconv -f "
            f"latin1 -t utf-8 IN.txt > OUT.txt), {SKIP}."
        ) from error
    if blank:  # TextVectorization makes nothing of it, and no row in a map of examples
        raise Damaged(f"'{path}' has no words. Write some, or remove it, {SKIP}.")
    return []


def texts(files: Sequence[Path]) -> np.ndarray:
    """Return each file's text as UTF-8 bytes, an array of objects `[n]`."""
    contents = np.empty(len(files), object)
    contents[:] = [reading(path, path.read_bytes) for path in files]
    return contents


def reading(path: Path, read: Callable[[], Content]) -> Content:
    """Return the result of `read`; an error of the file system names the path.

    Raises:
        Damaged: The path cannot be read.
    """
    try:
        return read()
    except OSError as error:
        raise Damaged(
            f"Cannot read '{path}': {error.strerror}. Change its permissions, or "
            "remove it.",
            UNREADABLE,
        ) from error
