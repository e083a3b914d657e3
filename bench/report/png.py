"""Figures as PNG: on white, 160 dots an inch, 256 colours to keep them small.

    python -m bench.report.png  # reads [path of SVG, path of PNG], a line of JSON each

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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import matplotlib as mpl
import vl_convert
from PIL import Image

from bench.catalog import ROOT


@contextlib.contextmanager
def beside() -> Iterator[Callable[[str, Path], None]]:
    """Rasterise while the block runs, and wait for the end of it.

    Yields:
        What takes an SVG and the path of its PNG, and returns at once.

    Raises:
        RuntimeError: They cannot be written, with what was said.
    """
    with tempfile.TemporaryDirectory(prefix="feedrate-") as folder, _process() as told:

        def ask(svg: str, path: Path) -> None:
            # In a file: a pipe that is full would hold us up.
            kept = Path(folder) / path.with_suffix(".svg").name
            kept.write_text(svg, encoding="utf-8")
            print(json.dumps([str(kept), str(path.resolve())]), file=told, flush=True)

        yield ask


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
        # One that failed has closed its end; what it said is the better message.
        with contextlib.suppress(BrokenPipeError):
            yield process.stdin
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
    for line in sys.stdin:
        svg, path = map(Path, json.loads(line))
        write(svg.read_text(encoding="utf-8"), path)


@functools.cache
def _fonts() -> None:
    folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
    vl_convert.register_font_directory(str(folder))


if __name__ == "__main__":
    main()
