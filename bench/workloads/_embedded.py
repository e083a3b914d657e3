"""Real data that comes with the dependencies: a photograph, English prose, prices.

What they lie in is imported where they are made: each run imports its workload, and
Matplotlib would cost it a tenth of a second for data that are on disk already.
"""

import functools
import re
from pathlib import Path

import numpy as np
from PIL import Image

SHARES = ("IBM", "AAPL", "MSFT", "XRX", "ADBE", "^GSPC", "^IXIC")


def tiles(
    rng: np.random.Generator,
    count: int,
    classes: int,
    cut: tuple[int, int],
    edge: int = 0,
) -> tuple[list[Image.Image], np.ndarray]:
    """Tiles cut from matplotlib's photograph of Grace Hopper, 512 by 600 pixels.

    Args:
        rng: Draws the places and the edges.
        count: How many tiles.
        classes: The photograph is parted into this many bands, top to bottom; a tile's
            label is the band that its centre lies in.
        cut: The least and the greatest edge of a tile in the photograph; pixels.
        edge: Tiles are resized to this edge; 0 leaves them as they were cut.

    Returns:
        The tiles, and their labels as int64 `[count]`: each class in turn.
    """
    picture = _photograph()
    labels = np.arange(count, dtype=np.int64) % classes
    images = []
    for label in labels:
        side = int(rng.integers(cut[0], cut[1] + 1))
        left = int(rng.integers(0, picture.width - side + 1))
        centre = picture.height * (label + rng.random()) / classes
        top = int(np.clip(centre - side / 2, 0, picture.height - side))
        tile = picture.crop((left, top, left + side, top + side))
        if edge and edge != side:
            tile = tile.resize((edge, edge), Image.Resampling.BILINEAR)
        images.append(tile)
    return images, labels


def write_tiles(
    images: list[Image.Image], labels: np.ndarray, folder: str | Path
) -> None:
    """Write tiles as JPEG files of quality 90, a folder a class."""
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        home = Path(folder) / f"band_{label:02d}"
        home.mkdir(parents=True, exist_ok=True)
        image.save(home / f"{number:06d}.jpg", quality=90)


def sentences(
    rng: np.random.Generator, count: int, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Sentences of CPython's help topics, UTF-8 bytes `[count]`, and labels int64.

    The topics, in alphabetical order, are parted into `classes` groups of like size; a
    sentence's label is the group of its topic. There are about 3,600 sentences; more
    than that are drawn with repeats.
    """
    lines, places = _prose()
    chosen = rng.choice(len(lines), count, replace=count > len(lines))
    return lines[chosen], (places[chosen] * classes).astype(np.int64)


def monthly_returns() -> np.ndarray:
    """Monthly log returns of seven shares and indices, float32 `[months, 7]`.

    From matplotlib's `Stocks.csv`, 1990 on; lines of dividend days, which have no
    prices, are left out, and so are the shares that were listed later.
    """
    lines = _sample("Stocks.csv").read_text(encoding="utf-8").splitlines()
    names, *rows = [line.split(",") for line in lines if not line.startswith("#")]
    columns = [names.index(share) for share in SHARES]
    prices = [[row[column] for column in columns] for row in rows]
    full = np.array([row for row in prices if all(row)], dtype=np.float64)
    return np.diff(np.log(full), axis=0).astype(np.float32)


def _sample(name: str) -> Path:
    from matplotlib import cbook

    return Path(cbook.get_sample_data(name, asfileobj=False))


@functools.cache
def _photograph() -> Image.Image:
    with Image.open(_sample("grace_hopper.jpg")) as image:
        return image.convert("RGB")


@functools.cache
def _prose() -> tuple[np.ndarray, np.ndarray]:
    """Sentences, and the place of each one's topic among the topics, 0 to 1."""
    from pydoc_data.topics import topics

    lines, places = [], []
    for place, name in enumerate(sorted(topics)):
        for sentence in re.split(r"(?<=[.!?:])\s+", topics[name]):
            words = sentence.split()
            if 4 <= len(words) <= 60:  # longer ones are tables and grammar
                lines.append(" ".join(words).encode())
                places.append(place / len(topics))
    return np.array(lines), np.array(places)
