"""Figures as PNG: on white, 160 dots an inch, 256 colours to keep them small.

    python -m bench.raster < {path: svg, ...}     # JSON; in a process of its own

Rasterising takes as long as drawing, and the library does not let go of the
interpreter: a second process does it while the first goes on with the page.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import matplotlib as mpl
import vl_convert
from PIL import Image

from bench.catalog import ROOT


@contextlib.contextmanager
def beside(images: Mapping[Path, str]) -> Iterator[None]:
    """Write PNGs while the block runs, and wait for them at its end.

    Args:
        images: Where each goes, and its SVG.

    Raises:
        RuntimeError: They cannot be written, with what was said.
    """
    if not images:
        yield
        return
    with tempfile.TemporaryFile("w+", encoding="utf-8") as asked:
        # A file, as a pipe would hold us up until the other process reads.
        json.dump({str(path.resolve()): svg for path, svg in images.items()}, asked)
        asked.seek(0)
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.raster"],
            stdin=asked,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        )
    with process:
        yield
        _, said = process.communicate()
    if process.returncode:
        last = (said.strip().splitlines() or ["no message"])[-1]
        raise RuntimeError(f"Figures could not be written as PNG: {last}")


def write(svg: str, path: Path) -> None:
    """One figure."""
    _fonts()
    drawn = vl_convert.svg_to_png(svg, scale=160 / 96)
    with Image.open(io.BytesIO(drawn)) as image:
        white = Image.new("RGBA", image.size, "white")
        flat = Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
        few = flat.quantize(method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        few.save(path, optimize=True)


def main() -> None:
    """Write what standard input asks for."""
    for path, svg in json.load(sys.stdin).items():
        write(svg, Path(path))


@functools.cache
def _fonts() -> None:
    folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
    vl_convert.register_font_directory(str(folder))


if __name__ == "__main__":
    main()
