"""The table as terminal text, one self-contained page, Markdown, CSV and figures."""

from __future__ import annotations

import csv
import io
import json
import math
import shlex
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from bench import catalog, shell, store
from bench import text as words
from bench.analysis import table
from bench.errors import UsageError, unknown
from bench.guard import history
from bench.report import chart, exports, layers, page, png, summary
from bench.report import figure as figures
from bench.trial import Run

FORMATS = ("html", "md", "csv", "png", "parquet", "json", "pytest-benchmark")
USUAL = ("html", "md", "csv", "png")
MOST_ROWS = {"md": 60, "terminal": 20}
MOST_SCENES = 40  # in the terminal
MOST_ERRORS = {"md": 10, "terminal": 5}


@dataclass(frozen=True)
class Report:
    """Result folders, read and summed up once for every form of a report.

    Attributes:
        runs: The records.
        samples: Their table.
        content: From `summary.summarize`.
    """

    runs: Sequence[Run]
    samples: pd.DataFrame
    content: dict[str, object]


def gather(folders: str | Path | Sequence[str | Path]) -> Report:
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
) -> Report:
    """Runs summed up.

    Args:
        runs: The records.
        notes: What was odd when they were read.
        names: The folder of each run; none if not given.
    """
    samples = table.from_runs(runs, names) if names else table.from_runs(runs)
    return Report(runs, samples, summary.summarize(runs, samples, notes))


def write(
    folders: str | Path | Sequence[str | Path] | Report,
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
    found = folders if isinstance(folders, Report) else gather(folders)
    if not found.runs:
        raise UsageError(
            f"No runs in '{found.content['source']}'. Measure first: "
            "python run_bench.py run quick."
        )
    out = Path(out)
    wanted = {"png", "html"} & set(formats)
    (out / "plots" if "png" in formats else out).mkdir(parents=True, exist_ok=True)
    images: list[Path] = []
    drawn: dict[str, Figure] = {}
    with png.beside() if "png" in formats else nullcontext() as rasterise:
        for name, image in _drawn(found.samples) if wanted else ():
            drawn[name] = image
            if rasterise:
                images.append(out / "plots" / f"{name}.png")
                rasterise(figures.vector(image), images[-1])
        texts = _texts(formats, out, found, drawn)
    return [*images, *texts]


def _texts(
    formats: Sequence[str],
    out: Path,
    found: Report,
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
    content = {**found.content, **_whole(formats)}
    if "md" in formats:
        written.append(out / "report.md")
        written[-1].write_text(_markdown_page(content), encoding="utf-8")
    if "html" in formats:
        written.append(out / "report.html")
        content["chart_left"] = chart.left_out(content["ranked"])
        whole = page.html(content, found.runs, found.samples, drawn)
        written[-1].write_text(whole, encoding="utf-8")
    return written


def _whole(formats: Collection[str]) -> dict[str, str]:
    """The files that have what others leave out: every trial, and every scene."""
    return {
        "whole_table": "table.csv" if "csv" in formats else store.FILE,
        "whole_page": "report.html" if "html" in formats else store.FILE,
    }


def terminal(
    found: Report, console: object = None, formats: Collection[str] = ()
) -> None:
    """Print the results: a sentence and a table a scene, then what weakens them.

    Args:
        found: What is to be shown.
        console: A console of `shell.console`; standard output if not given.
        formats: Some of `FORMATS`, of the files that are written as well.
    """
    from rich.text import Text

    console = console or shell.console()
    content = found.content

    def say(text: str, style: str = "") -> None:
        console.print(Text(words.wrapped(text, console.width), style=style))

    if not found.runs:
        say("No runs were recorded.")
    for note in content["notes"]:
        say(note, "yellow")
    for scene in content["scenes"][:MOST_SCENES]:
        say(f"\n{scene['title']}", "bold")
        if content["several_machines"]:
            say(f"on {scene['machine']}", "dim")
        for line in (scene["sentence"], *scene["binding"]):
            say(line)
        console.print(_grid(scene["rows"][: MOST_ROWS["terminal"]], console.width))
        rest = len(scene["rows"]) - MOST_ROWS["terminal"]
        if rest > 0:
            say(f"... and {rest} more", "dim")
        if scene["jointly"]:
            say(scene["jointly"], "dim")
        for caution in scene["cautions"]:
            say(f"! {caution.what} {caution.remedy}", "yellow")
    if len(content["scenes"]) > MOST_SCENES:
        rest = len(content["scenes"]) - MOST_SCENES
        say(f"\n... and {rest} more, in {_whole(formats)['whole_page']}.", "dim")
    for error in content["errors"][: MOST_ERRORS["terminal"]]:
        say(f"\n{error['key']}: {error['first_line']}", "red")
        say(error["command"], "dim")


def _grid(rows: Sequence[dict[str, object]], width: int) -> object:
    """A scene's rows as a table of this width; names break after commas."""
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    columns = {"factor": "factor", "95 % interval": "factor_bounds"}
    columns |= {"": "verdict", "examples/s": "rate"}
    grid = Table(box=None, pad_edge=False, header_style="dim")
    grid.add_column("strategy", overflow="fold", ratio=1)
    for name, field in columns.items():
        side = "left" if name == "" else "right"
        grid.add_column(name, justify=side, no_wrap=True)
        width -= 2 + max(cell_len(text) for text in (name, *(r[field] for r in rows)))
    for row in rows:
        label = words.wrapped(row["label"], max(width, 12))
        style = "bold" if row["best"] else ""
        grid.add_row(Text(label, style=style), *(row[n] for n in columns.values()))
    return grid


def as_json(found: Report) -> str:
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


def _drawn(samples: pd.DataFrame) -> Iterator[tuple[str, Figure]]:
    """Every figure of the shelf for which there are trials."""
    for entry in catalog.entries("plots").values():
        figure = catalog.load(entry).draw(samples)
        if figure is not None:
            yield entry.name, figure


def _markdown_page(content: dict[str, object]) -> str:
    share = max(3, MOST_ROWS["md"] // max(len(content["scenes"]), 1))
    return page.template("report.md.j2").render(
        **content,
        placements=layers.PLACEMENTS,
        most_rows=share,
        most_scenes=20,
        most_claims=100,
        most_errors=MOST_ERRORS["md"],
    )
