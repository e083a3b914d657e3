"""This module writes figures as small PNGs: on white, 160 dots an inch, 256 colours.

    python -m bench.report.png  # reads [path of SVG, path of PNG], a line of JSON each

Rasterising takes as long as drawing, and the library holds the interpreter's lock, so
a second process rasterises while the first process makes the page.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import matplotlib as mpl
import vl_convert
from PIL import Image

from bench.catalog import ROOT


@contextlib.contextmanager
def beside() -> Iterator[Callable[[str, Path], None]]:
    """Turn SVG into PNG in a second process while the block runs; wait for its end.

    Yields:
        A function of an SVG and the path of its PNG, which returns at once.

    Raises:
        RuntimeError: A PNG cannot be written; the message has the cause.
    """
    with tempfile.TemporaryDirectory(prefix="feedrate-") as folder, _process() as pipe:

        def rasterise(svg: str, path: Path) -> None:
            # The SVG goes through a file, because a full pipe would block.
            file = Path(folder) / path.with_suffix(".svg").name
            file.write_text(svg, encoding="utf-8")
            print(json.dumps([str(file), str(path.resolve())]), file=pipe, flush=True)

        yield rasterise


@contextlib.contextmanager
def _process() -> Iterator[IO[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.report.png"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    )
    with process:
        # A process that failed has closed its end; its own message is the better one.
        with contextlib.suppress(BrokenPipeError):
            yield process.stdin
        _, errors = process.communicate()
    if process.returncode:
        last = (errors.strip().splitlines() or ["no message"])[-1]
        raise RuntimeError(f"Figures could not be written as PNG: {last}")


def write(svg: str, path: Path) -> None:
    """Write an SVG figure as a PNG file.

    Args:
        svg: The text of the SVG.
        path: The file to write.
    """
    _register_fonts()
    content = vl_convert.svg_to_png(svg, scale=160 / 96)
    with Image.open(io.BytesIO(content)) as image:
        white = Image.new("RGBA", image.size, "white")
        flat = Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
        few = flat.quantize(method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        few.save(path, optimize=True)


def main() -> None:
    """Write a PNG file for each line of input, which names an SVG and the PNG."""
    for line in sys.stdin:
        svg, path = map(Path, json.loads(line))
        write(svg.read_text(encoding="utf-8"), path)


@functools.cache
def _register_fonts() -> None:
    folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
    vl_convert.register_font_directory(str(folder))


if __name__ == "__main__":
    main()
