"""Make the data of these pipelines from what is installed: photographs, prose, numbers.

Run as a program with a folder: `python tests/pipelines/make_data.py FOLDER`.
"""

import sys
import wave
from collections.abc import Iterable, Iterator
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
import tensorflow as tf
from matplotlib import cbook
from PIL import Image

CLASSES = ("bright", "dark")


def tiles(count: int, size: int) -> Iterator[Image.Image]:
    """Square pieces of one photograph."""
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        photograph = Image.open(file).convert("RGB")
    rng = np.random.default_rng(0)
    for _ in range(count):
        left = int(rng.integers(photograph.width - size))
        top = int(rng.integers(photograph.height - size))
        yield photograph.crop((left, top, left + size, top + size))


def images(folder: Path, count: int = 128, size: int = 192) -> None:
    """Tiles of one photograph as JPEG files, a folder a class."""
    for number, tile in enumerate(tiles(count, size)):
        name = CLASSES[int(np.asarray(tile).mean() < 100)]
        (folder / "images" / name).mkdir(parents=True, exist_ok=True)
        tile.save(folder / "images" / name / f"{number:04d}.jpg", quality=90)


def csv(folder: Path, files: int = 4, lines: int = 4000) -> None:
    """Prices and a volume a line, with a label, in several files."""
    rng = np.random.default_rng(0)
    (folder / "csv").mkdir(parents=True, exist_ok=True)
    for number in range(files):
        values = rng.normal(100, 20, (lines, 8)).round(3)
        labels = rng.integers(0, 2, lines)
        rows = (
            ",".join(map(str, (*row, label)))
            for row, label in zip(values, labels, strict=True)
        )
        header = ",".join([*(f"x{n}" for n in range(8)), "label"])
        text = "\n".join([header, *rows]) + "\n"
        (folder / "csv" / f"part-{number}.csv").write_text(text)


def text(folder: Path, lines: int = 4000) -> None:
    """Lines of CPython's own documentation."""
    folder.mkdir(parents=True, exist_ok=True)
    every = "\n".join(topics[name] for name in sorted(topics)).splitlines()
    kept = [
        line.strip()
        for line in every
        if sum(word.isalpha() for word in line.split()) > 4
    ][:lines]
    (folder / "prose.txt").write_text("\n".join(kept) + "\n")


def masks(folder: Path, count: int = 96, size: int = 160) -> None:
    """Photographs as JPEG, and what is bright in them as PNG of the same name."""
    for part in ("photos", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for number, tile in enumerate(tiles(count, size)):
        bright = np.asarray(tile.convert("L")) > 100
        tile.save(folder / "photos" / f"{number:04d}.jpg", quality=90)
        mask = Image.fromarray(bright.astype("uint8"))
        mask.save(folder / "masks" / f"{number:04d}.png")


def sounds(folder: Path, count: int = 96, seconds: float = 1.0) -> None:
    """Tones in noise as 16-bit WAV at 16 kHz, a folder a class."""
    rng = np.random.default_rng(0)
    time = np.arange(int(16_000 * seconds)) / 16_000
    for number in range(count):
        name, pitch = (("low", 220.0), ("high", 880.0))[number % 2]
        tone = np.sin(2 * np.pi * pitch * rng.uniform(0.9, 1.1) * time)
        samples = 8_000 * (tone + rng.normal(0, 0.3, len(time)))
        (folder / "sounds" / name).mkdir(parents=True, exist_ok=True)
        with wave.open(str(folder / "sounds" / name / f"{number:04d}.wav"), "wb") as to:
            to.setparams((1, 2, 16_000, 0, "NONE", "not compressed"))
            to.writeframes(samples.clip(-32_768, 32_767).astype("<i2").tobytes())


def clicks(folder: Path, files: int = 4, count: int = 4000) -> None:
    """Records of 13 numbers, 8 categories and a label, as TFRecord files."""
    rng = np.random.default_rng(0)
    for number in range(files):
        numbers = rng.lognormal(size=(count, 13))
        categories = rng.integers(0, 1000, (count, 8))
        labels = rng.integers(0, 2, (count, 1))
        records = (
            {
                "numbers": tf.train.Feature(float_list=tf.train.FloatList(value=x)),
                "categories": tf.train.Feature(int64_list=tf.train.Int64List(value=c)),
                "label": tf.train.Feature(int64_list=tf.train.Int64List(value=y)),
            }
            for x, c, y in zip(numbers, categories, labels, strict=True)
        )
        _write(folder / "clicks" / f"part-{number}.tfrecord", records)


def shards(folder: Path, files: int = 8, count: int = 24) -> None:
    """JPEG images with a label, as many small TFRecord files."""
    pieces = tiles(files * count, 128)
    for number in range(files):
        records = []
        for _ in range(count):
            tile = next(pieces)
            code = tf.io.encode_jpeg(np.asarray(tile)).numpy()
            label = int(np.asarray(tile).mean() < 100)
            image = tf.train.Feature(bytes_list=tf.train.BytesList(value=[code]))
            classes = tf.train.Feature(int64_list=tf.train.Int64List(value=[label]))
            records.append({"image": image, "label": classes})
        _write(folder / "shards" / f"part-{number}.tfrecord", records)


def _write(path: Path, records: Iterable[dict[str, tf.train.Feature]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as to:
        for record in records:
            example = tf.train.Example(features=tf.train.Features(feature=record))
            to.write(example.SerializeToString())


if __name__ == "__main__":
    for make in (images, csv, text, masks, sounds, clicks, shards):
        make(Path(sys.argv[1]))
