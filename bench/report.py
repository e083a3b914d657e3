"""The table as terminal text, one self-contained page, Markdown, CSV and figures."""

from __future__ import annotations

import csv
import io
import json
import math
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from bench import (
    catalog,
    exports,
    history,
    layer_table,
    page,
    raster,
    summary,
    table,
    words,
)
from bench import figure as figures
from bench.errors import UsageError, unknown
from bench.trial import Run

FORMATS = ("html", "md", "csv", "png", "parquet", "json", "pytest-benchmark")
USUAL = ("html", "md", "csv", "png")
MOST_ROWS = {"md": 60, "terminal": 20}
MOST_SCENES = 40  # in the terminal
MOST_ERRORS = {"md": 10, "terminal": 5}


@dataclass(frozen=True)
class Gathered:
    """Result folders, read and summed up once for every form of a report.

    Attributes:
        runs: The records.
        samples: Their table.
        content: From `summary.of`.
    """

    runs: Sequence[Run]
    samples: pd.DataFrame
    content: dict[str, object]


def gather(folders: str | Path | Sequence[str | Path]) -> Gathered:
    """Read one or more result folders; several stand side by side, each machine apart.

    Raises:
        UsageError: Unreadable results.
    """
    folders = [folders] if isinstance(folders, str | Path) else list(folders)
    runs, names, notes = table.read(folders)
    guards, said = history.beside(folders)
    found = summed(runs, [*notes, *said], names)
    found.samples.attrs["history"] = guards
    found.content["source"] = words.visible(shlex.join(map(str, folders)))
    return found


def summed(
    runs: Sequence[Run], notes: Sequence[str] = (), names: Sequence[str] | None = None
) -> Gathered:
    """Runs summed up.

    Args:
        runs: The records.
        notes: What was odd when they were read.
        names: The folder of each run; none if not given.
    """
    samples = table.from_runs(runs, names) if names else table.from_runs(runs)
    return Gathered(runs, samples, summary.of(runs, samples, notes))


def write(
    folders: str | Path | Sequence[str | Path] | Gathered,
    out: str | Path,
    formats: Iterable[str] = USUAL,
) -> list[Path]:
    """Write the report of one or more result folders.

    Args:
        folders: Result folders, or what was gathered from them.
        out: Where `report.html`, `report.md`, `report.json`, `table.csv`,
            `table.parquet`, `pytest-benchmark.json` and `plots/*.png` go.
        formats: Some of `FORMATS`.

    Returns:
        The files written.

    Raises:
        UsageError: No such format, unreadable results, or no runs in them.
    """
    formats = list(formats)
    for name in formats:
        if name not in FORMATS:
            raise unknown("report format", name, FORMATS)
    found = folders if isinstance(folders, Gathered) else gather(folders)
    if not found.runs:
        raise UsageError(
            f"No runs in '{found.content['source']}'. Measure first: "
            "python run_bench.py run quick."
        )
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    drawn = _drawn(found.samples) if {"png", "html"} & set(formats) else {}
    images = {}
    if "png" in formats:
        (out / "plots").mkdir(exist_ok=True)
        images = {
            out / "plots" / f"{name}.png": figures.vector(image)
            for name, image in drawn.items()
        }
    with raster.beside(images):
        texts = _texts(formats, out, found, drawn)
    return [*images, *texts]


def _texts(
    formats: Sequence[str],
    out: Path,
    found: Gathered,
    drawn: dict[str, Figure],
) -> list[Path]:
    """Write every format but the figures."""
    written: list[Path] = []
    if "csv" in formats:
        written.append(out / "table.csv")
        _csv(found.samples, written[-1])
    if "parquet" in formats:
        written.append(out / "table.parquet")
        exports.parquet(found.samples, written[-1])
    texts = {
        "json": ("report.json", lambda: as_json(found)),
        "pytest-benchmark": (
            "pytest-benchmark.json",
            lambda: exports.pytest_benchmark(found.runs),
        ),
    }
    for name, (file, text) in texts.items():
        if name in formats:
            written.append(out / file)
            written[-1].write_text(text(), encoding="utf-8")
    if "md" in formats:
        written.append(out / "report.md")
        written[-1].write_text(_markdown_page(found.content), encoding="utf-8")
    if "html" in formats:
        written.append(out / "report.html")
        whole = page.html(found.content, found.runs, found.samples, drawn)
        written[-1].write_text(whole, encoding="utf-8")
    return written


def terminal(found: Gathered, console: object = None) -> None:
    """Print the results: a sentence and a table a scene, then what weakens them.

    Args:
        found: What is to be shown.
        console: A `rich.console.Console`; standard output if not given.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = console or Console()
    content = found.content
    if not found.runs:
        console.print(Text("No runs were recorded."))
    for note in content["notes"]:
        console.print(Text(note, style="yellow"))
    for scene in content["scenes"][:MOST_SCENES]:
        console.print(Text(f"\n{scene['title']}", style="bold"))
        if content["several_machines"]:
            console.print(Text(f"on {scene['machine']}", style="dim"))
        console.print(Text(scene["sentence"]))
        for line in scene["binding"]:
            console.print(Text(line))
        shown = scene["rows"][: MOST_ROWS["terminal"]]
        grid = Table(box=None, pad_edge=False, header_style="dim")
        grid.add_column("strategy", overflow="fold", ratio=1)
        for name in ("factor", "95 % interval", "", "examples/s"):
            left = name == ""
            grid.add_column(name, justify="left" if left else "right", no_wrap=True)
        for row in shown:
            grid.add_row(
                Text(row["label"], style="bold" if row["best"] else ""),
                *(row[n] for n in ("factor", "factor_bounds", "verdict", "rate")),
            )
        console.print(grid)
        if len(scene["rows"]) > len(shown):
            rest = len(scene["rows"]) - len(shown)
            console.print(Text(f"... and {rest} slower ones", style="dim"))
        for caution in scene["cautions"]:
            console.print(Text(f"! {caution.what} {caution.remedy}", style="yellow"))
    if len(content["scenes"]) > MOST_SCENES:
        rest = len(content["scenes"]) - MOST_SCENES
        console.print(Text(f"\n... and {rest} more, in the page.", style="dim"))
    for error in content["errors"][: MOST_ERRORS["terminal"]]:
        said = f"{error['type']}: {error['message']}"
        console.print(Text(f"\n{error['key']}: {said}", style="red"))
        console.print(Text(error["command"], style="dim"))


def as_json(found: Gathered) -> str:
    """The same in JSON: a list of scenes with their trials in full digits."""
    content = dict(found.content)
    trials = content.pop("ranked")
    content["scenes"] = [dict(scene) for scene in content["scenes"]]
    for scene in content["scenes"]:
        for name in ("names", "rows", "figure"):
            scene.pop(name, None)
        scene["cautions"] = [vars(caution) for caution in scene["cautions"]]
        own = trials[trials["scene"] == scene.pop("number")]
        scene["trials"] = json.loads(own[summary.COLUMNS].to_json(orient="records"))
    return json.dumps(content, indent=2)


def _csv(samples: pd.DataFrame, path: Path) -> None:
    """Write the table; what a run's samples share is put into text once a run."""
    own = ["sample", "seconds_per_batch", "examples_per_second"]
    shared = samples.drop(columns=own)
    first = ~samples["run"].duplicated().to_numpy()
    runs = shared[first].astype(object)
    buffer = io.StringIO()
    writer = csv.writer(buffer)  # its line end, \r\n, makes it quote both
    starts = []
    for row in runs.where(runs.notna(), "").itertuples(index=False, name=None):
        buffer.seek(0)
        buffer.truncate()
        writer.writerow(row)
        starts.append(buffer.getvalue()[: -len("\r\n")])
    numbers = (first.cumsum() - 1).tolist()
    values = zip(numbers, *(samples[name].tolist() for name in own), strict=True)
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as f:
        csv.writer(f, lineterminator="\n").writerow([*shared.columns, *own])
        for run, sample, seconds, rate in values:
            end = "," if math.isnan(seconds) else f"{seconds!r},{rate!r}"
            f.write(f"{starts[run]},{sample},{end}\n")


def _drawn(samples: pd.DataFrame) -> dict[str, Figure]:
    """Every figure of the shelf for which there are trials."""
    entries = catalog.entries("plots").values()
    drawn = {entry.name: catalog.load(entry).draw(samples) for entry in entries}
    return {name: figure for name, figure in drawn.items() if figure is not None}


def _markdown_page(content: dict[str, object]) -> str:
    share = max(3, MOST_ROWS["md"] // max(len(content["scenes"]), 1))
    return page.template("report.md.j2").render(
        **content,
        placements=layer_table.PLACEMENTS,
        most_rows=share,
        most_scenes=20,
        most_claims=100,
        most_errors=MOST_ERRORS["md"],
    )
