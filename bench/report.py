"""The table as terminal text, one self-contained page, Markdown, CSV and figures."""

from __future__ import annotations

import csv
import io
import json
import math
import shlex
from collections.abc import Iterable, Sequence
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
MOST_ERRORS = {"md": 10, "terminal": 5}


def write(
    folders: str | Path | Sequence[str | Path],
    out: str | Path,
    formats: Iterable[str] = USUAL,
) -> list[Path]:
    """Write the report of one or more result folders.

    Args:
        folders: Result folders; several are put side by side, machine by machine.
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
    folders = [folders] if isinstance(folders, str | Path) else list(folders)
    runs, names, notes = table.read(folders)
    if not runs:
        listed = ", ".join(f"'{folder}'" for folder in folders)
        raise UsageError(
            f"No runs in {listed}. Measure first: python run_bench.py run quick."
        )
    samples = table.from_runs(runs, names)
    samples.attrs["history"], said = history.beside(folders)
    notes += said
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    content = summary.of(runs, samples, notes)
    content["source"] = words.visible(shlex.join(str(folder) for folder in folders))
    drawn = _drawn(samples) if {"png", "html"} & set(formats) else {}
    images = {}
    if "png" in formats:
        (out / "plots").mkdir(exist_ok=True)
        images = {
            out / "plots" / f"{name}.png": figures.vector(image)
            for name, image in drawn.items()
        }
    with raster.beside(images):
        texts = _texts(formats, out, content, runs, samples, drawn, notes)
    return [*images, *texts]


def _texts(
    formats: Sequence[str],
    out: Path,
    content: dict[str, object],
    runs: Sequence[Run],
    samples: pd.DataFrame,
    drawn: dict[str, Figure],
    notes: Sequence[str],
) -> list[Path]:
    """Write every format but the figures."""
    written: list[Path] = []
    if "csv" in formats:
        written.append(out / "table.csv")
        _csv(samples, written[-1])
    if "parquet" in formats:
        written.append(out / "table.parquet")
        exports.parquet(samples, written[-1])
    texts = {
        "json": ("report.json", lambda: as_json(runs, notes)),
        "pytest-benchmark": (
            "pytest-benchmark.json",
            lambda: exports.pytest_benchmark(runs),
        ),
    }
    for name, (file, text) in texts.items():
        if name in formats:
            written.append(out / file)
            written[-1].write_text(text(), encoding="utf-8")
    if "md" in formats:
        written.append(out / "report.md")
        written[-1].write_text(_markdown_page(content), encoding="utf-8")
    if "html" in formats:
        written.append(out / "report.html")
        whole = page.html(content, runs, samples, drawn)
        written[-1].write_text(whole, encoding="utf-8")
    return written


def terminal(runs: Sequence[Run], notes: Sequence[str], console: object = None) -> None:
    """Print the results: a sentence and a table a scene, then what weakens them.

    Args:
        runs: The records.
        notes: What was odd when they were read.
        console: A `rich.console.Console`; standard output if not given.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = console or Console()
    content = summary.of(runs, table.from_runs(runs), notes)
    if not runs:
        console.print(Text("No runs were recorded."))
    for note in content["notes"]:
        console.print(Text(note, style="yellow"))
    for scene in content["scenes"]:
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
    for error in content["errors"][: MOST_ERRORS["terminal"]]:
        said = f"{error['type']}: {error['message']}"
        console.print(Text(f"\n{error['key']}: {said}", style="red"))
        console.print(Text(error["command"], style="dim"))


def as_json(runs: Sequence[Run], notes: Sequence[str] = ()) -> str:
    """The same in JSON: a list of scenes with their trials in full digits."""
    samples = table.from_runs(runs)
    content = summary.of(runs, samples, notes)
    trials = content.pop("ranked")
    for scene in content["scenes"]:
        del scene["names"], scene["rows"]
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
