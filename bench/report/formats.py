"""This module writes a report in any format; a table has a row for each format."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import shell, text
from bench.analysis import between_machines, settlements, table
from bench.errors import UsageError, unknown
from bench.guard import history
from bench.report import (
    exports,
    figure,
    layer_page,
    page,
    perfetto,
    png,
    shards,
    summary,
    trackers,
)
from bench.report.summary import Report
from bench.trial import Run

USUAL = ("html", "md", "csv", "png")
MOST_ROWS = 20  # of a comparison in the terminal
MOST_SCENES = 40  # in the terminal
MOST_ERRORS = 5  # in the terminal
EVERYTHING = ("json", "html")  # formats that show what others leave out


@dataclass(frozen=True)
class Task:
    """A task is what a writer of a format gets: the report, and what else is written.

    Attributes:
        report: The report.
        formats: The names of all formats that are being written.
        ending: A stack of contexts that are closed after the last format is written.
    """

    report: Report
    formats: Collection[str]
    ending: contextlib.ExitStack


@dataclass(frozen=True)
class Format:
    """A format has a file name and a function that writes the file.

    Attributes:
        file: The name of its file, or of its folder of files.
        write: Writes the file of a task at a path, and returns the files written.
    """

    file: str
    write: Callable[[Task, Path], Sequence[Path]]


def _write_text(contents: Callable[[Task], str]) -> Callable:
    def write(task: Task, path: Path) -> Sequence[Path]:
        path.write_text(contents(task), encoding="utf-8")
        return [path]

    return write


def _write_bytes(contents: Callable[[Task], bytes]) -> Callable:
    def write(task: Task, path: Path) -> Sequence[Path]:
        path.write_bytes(contents(task))
        return [path]

    return write


def _write_table(export: Callable) -> Callable:
    def write(task: Task, path: Path) -> Sequence[Path]:
        export(task.report.samples, path)
        return [path]

    return write


def _write_figures(task: Task, folder: Path) -> Sequence[Path]:
    """Draw each figure, and let a second process turn it into a PNG file.

    That process works while the other formats are written.
    """
    folder.mkdir(exist_ok=True)
    rasterise = task.ending.enter_context(png.beside())
    paths = []
    for name, fig in task.report.figures():
        paths.append(folder / f"{name}.png")
        rasterise(figure.vector(fig), paths[-1])
    return paths


FORMATS = {
    "html": Format(
        "report.html",
        _write_text(lambda task: page.html(task.report, _whole(task.formats, "html"))),
    ),
    "md": Format(
        "report.md",
        _write_text(lambda task: page.markdown(task.report, _whole(task.formats))),
    ),
    "csv": Format("table.csv", _write_table(exports.csv)),
    "png": Format("plots", _write_figures),
    "parquet": Format("table.parquet", _write_table(exports.parquet)),
    "json": Format(
        "report.json", _write_text(lambda task: exports.report_json(task.report))
    ),
    "layers": Format(
        "README.md", _write_text(lambda task: layer_page.markdown(task.report))
    ),
    "pytest-benchmark": Format(
        "pytest-benchmark.json",
        _write_text(lambda task: exports.pytest_benchmark(task.report.runs)),
    ),
    "bmf": Format("bmf.json", _write_text(lambda task: trackers.bencher(task.report))),
    "github-action-benchmark": Format(
        "github-action-benchmark",
        lambda task, path: trackers.github_action_benchmark(task.report, path),
    ),
    "perfetto": Format(
        "trace.pftrace", _write_bytes(lambda task: perfetto.trace(task.report.runs))
    ),
}


def gather(folders: str | Path | Sequence[str | Path]) -> Report:
    """Read one or more result folders into a report; shards become one sweep.

    Trials of different machines are not combined.

    Raises:
        UsageError: Unreadable results, or folders that are no shards of one sweep.
    """
    folders = [folders] if isinstance(folders, str | Path) else list(folders)
    runs, names, notes = table.read(folders)
    guards, guard_notes = history.read_folders(folders)
    parts = shards.notes([Path(folder) for folder in folders], runs, names)
    if len(folders) > 1 and not parts:
        notes = [
            f"Runs of equal trials in these {len(folders)} folders are pooled, those "
            "of one machine. To compare two states of one code, use `compare A B`.",
            *notes,
        ]
    report = summed(runs, [*parts, *notes, *guard_notes], names)
    compared = between_machines.compare(report.samples)
    report.content["notes"] += between_machines.sentences(compared)
    report.samples.attrs["history"] = guards
    report.samples.attrs["turns"] = settlements.by_turns(folders, runs)
    report.content["source"] = text.visible(shlex.join(map(str, folders)))
    return report


def summed(
    runs: Sequence[Run], notes: Sequence[str] = (), names: Sequence[str] | None = None
) -> Report:
    """Return a report on runs that are in memory.

    Args:
        runs: The stored runs.
        notes: Remarks on damaged or excluded runs, for the report.
        names: The folder of each run, where the runs come from folders.
    """
    samples = table.from_runs(runs, names) if names else table.from_runs(runs)
    return Report(runs, samples, summary.summarize(runs, samples, notes))


def check(names: Iterable[str]) -> None:
    """Check that all names are names of formats.

    Raises:
        UsageError: No such format.
    """
    for name in names:
        if name not in FORMATS:
            raise unknown("report format", name, FORMATS)


def write(
    folders: str | Path | Sequence[str | Path] | Report,
    out: str | Path,
    formats: Iterable[str] = USUAL,
) -> list[Path]:
    """Write the report on one or more result folders in some formats.

    Args:
        folders: Result folders, or the report gathered from them.
        out: The folder of the written files.
        formats: Names of `FORMATS`.

    Returns:
        The paths of the files.

    Raises:
        UsageError: No such format, unreadable results, or no runs in them.
    """
    names = set(formats)
    check(names)
    report = folders if isinstance(folders, Report) else gather(folders)
    if not report.runs:
        raise UsageError(
            f"No runs in '{report.content['source']}'. Measure first: "
            "python run_bench.py run quick."
        )
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    with contextlib.ExitStack() as ending:
        task = Task(report, names, ending)
        for name, form in reversed(FORMATS.items()):  # figures first, the page last
            if name in names:
                paths += form.write(task, out / form.file)
    return paths


def _whole(formats: Collection[str], own: str = "") -> str:
    """Return which file has what a format leaves out, such as `in report.json`."""
    for name in EVERYTHING:
        if name in formats and name != own:
            return f"in {FORMATS[name].file}"
    return "in the report.json that `report --format json` writes"


def terminal(
    report: Report, console: object = None, formats: Collection[str] = ()
) -> None:
    """Print the results: a sentence and a table for each scene, and its weaknesses.

    A scene is a set of trials that may be compared.

    Args:
        report: The report.
        console: A console of `shell.console`; standard output by default.
        formats: The names of the formats that are written to files.
    """
    from rich.text import Text

    console = console or shell.console()
    content, whole = report.content, _whole(formats)

    def show(line: str, style: str = "") -> None:
        console.print(Text(text.wrapped(line, console.width), style=style))

    def show_rest(items: Sequence[object], most: int, what: str) -> None:
        if len(items) > most:
            show(f"... and {len(items) - most} more {what}, {whole}", "dim")

    if not report.runs:
        show("No runs were recorded.")
    for note in content["notes"]:
        show(note, "yellow")
    for scene in content["scenes"][:MOST_SCENES]:
        show(f"\n{scene['title']}", "bold")
        if content["several_machines"]:
            show(f"on {scene['machine']}", "dim")
        for line in (scene["sentence"], *scene["binding"]):
            show(line)
        console.print(_grid(scene["rows"][:MOST_ROWS], console.width))
        show_rest(scene["rows"], MOST_ROWS, "trials")
        if scene["jointly"]:
            show(scene["jointly"], "dim")
        for caution in scene["cautions"]:
            show(f"! {caution.what} {caution.remedy}", "yellow")
    show_rest(content["scenes"], MOST_SCENES, "comparisons")
    for error in content["errors"][:MOST_ERRORS]:
        show(f"\n{error['key']}: {error['first_line']}", "red")
        show(error["command"], "dim")
    show_rest(content["errors"], MOST_ERRORS, "errors")


def _grid(rows: Sequence[dict[str, object]], width: int) -> object:
    """Return the rows of a scene as a table of rich with this width in characters.

    A scene is a set of comparable trials. Their names break after commas.
    """
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
        width -= 2 + max(cell_len(cell) for cell in (name, *(r[field] for r in rows)))
    for row in rows:
        label = text.wrapped(row["label"], max(width, 12))
        style = "bold" if row["best"] else ""
        grid.add_row(Text(label, style=style), *(row[n] for n in columns.values()))
    return grid
