"""The table as terminal text, one self-contained page, Markdown, CSV and figures."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path

import jinja2
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from bench import catalog, stats, table, words
from bench import figure as figures
from bench.errors import UsageError, unknown
from bench.machine import identity
from bench.trial import Run

FORMATS = ("html", "md", "csv", "png")
MOST_FIGURES = 8  # scenes with a figure of their own; each takes half a second
MOST_ROWS = {"html": 2500, "md": 60, "terminal": 20}
MOST_ERRORS = {"html": 200, "md": 10, "terminal": 5}
VERDICTS = {
    "baseline": "baseline",
    "faster": "faster",
    "slower": "slower",
    "unchanged": "as fast",
    "unknown": "cannot tell",
}


def write(
    folders: str | Path | Sequence[str | Path],
    out: str | Path,
    formats: Iterable[str] = FORMATS,
) -> list[Path]:
    """Write the report of one or more result folders.

    Args:
        folders: Result folders; several are put side by side, machine by machine.
        out: Where `report.html`, `report.md`, `table.csv` and `plots/*.png` go.
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
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    content = summary(runs, samples, notes)
    content["source"] = " ".join(str(folder) for folder in folders)
    written = []
    drawn = _drawn(samples) if {"png", "html"} & set(formats) else {}
    if "png" in formats:
        (out / "plots").mkdir(exist_ok=True)
        written += [out / "plots" / f"{name}.png" for name in drawn]
        for path, image in zip(written, drawn.values(), strict=True):
            figures.png(image, path)
    if "csv" in formats:
        path = out / "table.csv"
        with path.open(
            "w", encoding="utf-8", errors="backslashreplace", newline=""
        ) as f:
            samples.to_csv(f, index=False)
        written.append(path)
    if "md" in formats:
        written.append(out / "report.md")
        written[-1].write_text(_markdown_page(content), encoding="utf-8")
    if "html" in formats:
        written.append(out / "report.html")
        written[-1].write_text(_page(content, samples, drawn), encoding="utf-8")
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
    content = summary(runs, table.from_runs(runs), notes)
    if not runs:
        console.print(Text("No runs were recorded."))
    for note in content["notes"]:
        console.print(Text(note, style="yellow"))
    for scene in content["scenes"]:
        console.print(Text(f"\n{scene['title']}", style="bold"))
        if content["several_machines"]:
            console.print(Text(f"on {scene['machine']}", style="dim"))
        console.print(Text(scene["sentence"]))
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


def summary(
    runs: Sequence[Run], samples: pd.DataFrame, notes: Sequence[str]
) -> dict[str, object]:
    """Everything that the forms of the report say, as plain text and rows."""
    trials = stats.trials(samples)
    commands = {run.key: words.command(run.trial) for run in runs}
    scenes = []
    for number, scene in trials.groupby("scene", sort=False):
        order = ["factor", "examples_per_second"]
        ranked = scene.sort_values(order, ascending=False, na_position="last")
        scenes.append(
            {
                "number": number,
                "title": words.title(scene.iloc[0]),
                "machine": words.visible(scene["machine"].iloc[0]),
                "sentence": words.sentence(scene),
                "cautions": words.cautions(scene),
                "rows": [_row(r, commands) for r in ranked.to_dict("records")],
                "names": {name: scene[name].iloc[0] for name in table.SCENE},
            }
        )
    machines = _machines(runs)
    return {
        "scenes": scenes,
        "errors": _errors(runs, commands),
        "machines": machines,
        "several_machines": len(machines) > 1,
        "notes": [words.visible(note) for note in notes],
        "runs": len(runs),
        "samples": int(samples["seconds_per_batch"].notna().sum()),
        "trials": len(trials),
    }


def _row(row: dict[str, object], commands: dict[str, str]) -> dict[str, object]:
    rate, rate_bounds = words.triple(row, "examples_per_second")
    factor, factor_bounds = words.triple(row, "factor")
    marks = [flag for flag in row["flags"].split(";") if flag]
    marks += ["unstable"] if row["unstable"] else []
    marks += ["not_steady"] if row["not_steady"] and "not_steady" not in marks else []
    if not row["runs"]:
        verdict = "failed"
    elif row["runs"] == 1 and not row["is_baseline"]:
        verdict = "one run"
    else:
        verdict = VERDICTS[row["verdict"]]
    return {
        "label": words.visible(row["label"], 120),
        "best": bool(row["best"]),
        "factor": "1" if row["is_baseline"] else factor,
        "factor_bounds": "" if row["is_baseline"] else factor_bounds,
        "verdict": verdict,
        "rate": rate,
        "rate_bounds": rate_bounds,
        "runs": int(row["runs"]),
        "failed": int(row["failed"]),
        "marks": [words.visible(mark, 40) for mark in marks],
        "command": words.visible(commands[row["key"]], 2000),
    }


def _errors(runs: Sequence[Run], commands: dict[str, str]) -> list[dict[str, object]]:
    found: dict[tuple, int] = {}
    for run in runs:
        if run.measured.error:
            key = run.key, run.measured.error
            found[key] = found.get(key, 0) + 1
    return [
        {
            "key": words.visible(key, 120),
            "type": words.visible(failure.type, 80),
            "message": words.visible(failure.message, 500),
            "phase": words.visible(failure.phase, 40),
            "count": count,
            "command": words.visible(commands[key], 2000),
        }
        for (key, failure), count in found.items()
    ]


def _machines(runs: Sequence[Run]) -> list[dict[str, object]]:
    labels = table.machine_labels(runs)
    panels: dict[tuple, dict[str, object]] = {}
    for run in runs:
        panel = panels.setdefault(identity(run.machine), {"runs": 0, "facts": {}})
        panel["runs"] += 1
        panel["first"] = min(panel.get("first", run.started), run.started)
        panel["last"] = max(panel.get("last", run.started), run.started)
        for name, value in run.machine.items():
            panel["facts"].setdefault(name, {})[str(value)] = value
    return [
        {
            "label": words.visible(labels[found]),
            "runs": panel["runs"],
            "first": words.visible(panel["first"], 40),
            "last": words.visible(panel["last"], 40),
            "facts": {
                words.visible(name, 40).replace("_", " "): "; ".join(
                    _fact(name, value) for value in values.values()
                )
                for name, values in panel["facts"].items()
            },
        }
        for found, panel in panels.items()
    ]


def _fact(name: str, value: object) -> str:
    if name.endswith("_bytes") and isinstance(value, int | float):
        return f"{value / 2**30:.1f} GiB"
    if isinstance(value, list):
        value = ", ".join(str(item) for item in value) or "none"
    return words.visible(value if value != "" else "not known")


def _drawn(samples: pd.DataFrame) -> dict[str, Figure]:
    """Every figure of the shelf for which there are trials."""
    entries = catalog.entries("plots").values()
    drawn = {entry.name: catalog.load(entry).draw(samples) for entry in entries}
    return {name: figure for name, figure in drawn.items() if figure is not None}


def _page(
    content: dict[str, object], samples: pd.DataFrame, drawn: dict[str, Figure]
) -> str:
    plots = catalog.entries("plots")
    throughput = catalog.load(plots["throughput"])
    for number, scene in enumerate(content["scenes"][:MOST_FIGURES]):
        own = pd.Series(True, index=samples.index)
        for name, value in scene["names"].items():
            own &= samples[name] == value
        image = throughput.draw(samples[own])
        if image is not None:
            alternative = f"Speed by strategy. {scene['sentence']}"
            scene["figure"] = Markup(figures.svg(image, f"scene{number}", alternative))
    inlined = []
    for name, image in drawn.items():
        if name != "throughput":
            caption = plots[name].summary
            svg = Markup(figures.svg(image, name, f"{name}: {caption}"))
            inlined.append({"caption": caption, "svg": svg})
    return _template("report.html.j2").render(
        **content,
        figures=inlined,
        caption=plots["throughput"].summary,
        most_rows=MOST_ROWS["html"] // max(len(content["scenes"]), 1) + 1,
        most_errors=MOST_ERRORS["html"],
    )


def _markdown_page(content: dict[str, object]) -> str:
    share = max(3, MOST_ROWS["md"] // max(len(content["scenes"]), 1))
    return _template("report.md.j2").render(
        **content, most_rows=share, most_scenes=20, most_errors=MOST_ERRORS["md"]
    )


@functools.cache
def _template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=name.endswith(".html.j2"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"text": words.markdown, "code": words.markdown_code}
    return environment.get_template(name)
