"""Make the data of these pipelines from what is installed: photographs, CSV, prose.

Run as a program with a folder: `python tests/pipelines/make_data.py FOLDER`.
"""

import sys
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
from matplotlib import cbook
from PIL import Image

CLASSES = ("bright", "dark")


def images(folder: Path, count: int = 128, size: int = 192) -> None:
    """Tiles of one photograph as JPEG files, a folder a class."""
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        photograph = Image.open(file).convert("RGB")
    rng = np.random.default_rng(0)
    for number in range(count):
        left = int(rng.integers(photograph.width - size))
        top = int(rng.integers(photograph.height - size))
        tile = photograph.crop((left, top, left + size, top + size))
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


if __name__ == "__main__":
    for make in (images, csv, text):
        make(Path(sys.argv[1]))
