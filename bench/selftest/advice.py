"""This program tests `advise` on twelve pipelines, each beside its best practice.

    python -m bench.selftest.advice [--only NAME ...] [--budget 180s]

The pipelines are in tests/pipelines/, and the program makes their data. For each it
runs the whole command, applies the diff with `git apply`, and times three pipelines in
turn: as written, as advised, and best practice as the guide to tf.data words it. A
plain script (tests/pipelines/time_by_hand.py) times whole epochs, each time in a new
process. A promise is held if the script sees at least the promised speed-up, by the low
end of its interval, less 10 %. The program writes advice.json and advice.md after each
pipeline. Started again, it leaves out what it has measured with the same budget.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench import catalog, machine
from bench.errors import Exit, write_atomically
from bench.selftest import RESULTS
from bench.text import figure, markdown

PIPELINES = catalog.ROOT / "tests" / "pipelines"
BAR = 0.10
REPEATS = 3
SECONDS = 4.0  # of one process by hand
SIDES = ("written", "best_practice", "advised")


@dataclass(frozen=True)
class Case:
    """A case is one of the pipelines.

    Attributes:
        what: What is wrong with it, in words.
        allow: What its user allows, as after `--allow`.
    """

    what: str
    allow: str = ""


CASES = {
    "image_folder": Case("an image folder, one file at a time"),
    "tfrecord_clicks": Case("TFRecord, parsed record by record"),
    "csv_lines": Case("CSV, parsed line by line"),
    "text_lines": Case("text, tokenized line by line"),
    "audio_folder": Case("spectrograms of WAV files, one at a time"),
    "masks": Case("images and masks, flipped together"),
    "generator": Case("a Python generator"),
    "files_one_by_one": Case("TFRecord files, one after another", allow="order"),
    "cache_behind_augmentation": Case("a cache behind random flips"),
    "shuffle_decoded": Case("an endless shuffle of decoded images"),
    "tiny_batches": Case("batches of four numbers"),
    "already_tuned": Case("nothing: tuned by the guide"),
}


def main() -> int:
    """Measure, write after each pipeline; return 1 where a promise is not held."""
    options = _options()
    record = _record(options.out)
    with tempfile.TemporaryDirectory(prefix="feedrate-") as folder:
        data = Path(folder) / "data"
        _output([sys.executable, PIPELINES / "make_data.py", data], Path(folder))
        for name in options.only or CASES:
            if is_measured(record["rows"].get(name), options):
                continue
            print(f"{name} ...", file=sys.stderr, flush=True)
            home = Path(folder) / name
            home.mkdir()
            (home / "data").symlink_to(data)
            record["rows"][name] = measure(name, home, options)
            print(line(record["rows"][name]), flush=True)
            content = json.dumps(record, indent=2) + "\n"
            write_atomically(options.out, content.encode())
            page = markdown_page(list(record["rows"].values()))
            write_atomically(options.out.with_suffix(".md"), page.encode())
    rows = record["rows"].values()
    failed = any("error" in row or row["promise_held"] is False for row in rows)
    return Exit.NO if failed else Exit.OK


def is_measured(row: dict[str, object] | None, options: argparse.Namespace) -> bool:
    """Whether a row need not be measured: it has figures, with the same budget."""
    if row is None or options.only:
        return False
    return "error" not in row and row["budget"] == options.budget


def measure(name: str, home: Path, options: argparse.Namespace) -> dict[str, object]:
    """Run `advise` on one pipeline in its folder, and time what came of it by hand.

    Returns:
        The row; with `error` in place of figures where a command failed.
    """
    row = {"name": name, "what": CASES[name].what, "budget": options.budget}
    shutil.copy(PIPELINES / f"{name}.py", home)
    shutil.copy(PIPELINES / f"{name}.py", home / "written.py")
    try:
        advice = by_suite(name, home, options)
        rates = by_hand(name, home, options.seconds)
    except subprocess.CalledProcessError as error:
        last = error.stderr.strip().rpartition("\n")[2]
        return {**row, "error": f"{Path(str(error.cmd[1])).name}: {last}"}
    return {**row, **summary(advice, rates)}


def by_suite(name: str, home: Path, options: argparse.Namespace) -> dict[str, object]:
    """Run the whole command and apply its diff; return its record.

    Raises:
        CalledProcessError: The command failed, or its diff does not apply.
    """
    command = [sys.executable, catalog.ROOT / "run_bench.py", "advise", "--json"]
    command += [f"{name}.py:train_dataset", "--budget", options.budget]
    command += ["--out", "out"]
    if allow := CASES[name].allow:
        command += ["--allow", allow]
    record = json.loads(_output(command, home))
    if record["diff"]:
        _output(["git", "apply", "out/advice.diff"], home)
    return record


def by_hand(name: str, home: Path, seconds: float) -> dict[str, list[float]]:
    """Return examples a second of each side, and of one batch held in memory.

    Raises:
        CalledProcessError: A pipeline failed.
    """
    script = [sys.executable, str(PIPELINES / "time_by_hand.py")]
    length = ["--seconds", str(seconds)]
    sides = {
        "written": ["written.py", "train_dataset"],
        "advised": [f"{name}.py", "train_dataset"],
        "best_practice": ["written.py", "best_practice"],
    }
    rates: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(REPEATS):
        for side, words in sides.items():
            output = _output([*script, *words, *length], home)
            rates[side].append(float(output.splitlines()[-1]))
    held = _output([*script, *sides["written"], *length, "--held"], home)
    return {**rates, "ceiling": [float(held.splitlines()[-1])]}


def summary(
    advice: dict[str, object], rates: dict[str, list[float]]
) -> dict[str, object]:
    """Return the figures of a row.

    Args:
        advice: The record that the command wrote.
        rates: Examples a second by side, a figure a process.
    """
    pairs = zip(rates["advised"], rates["written"], strict=True)
    speed = statistics.median(ours / before for ours, before in pairs)
    attempts, promised = advice["attempts"], advice["verdict"] == "faster"
    promise = [1 / advice["high"], 1 / advice["low"]] if promised else None
    return {
        **{side: statistics.median(all_rates) for side, all_rates in rates.items()},
        "rates": rates,
        "minutes": advice["seconds"] / 60,
        "verdict": advice["verdict"] or "nothing advised",
        "kept": [one["change"] for one in attempts if one["state"] == "kept"],
        "trail": [[one["state"], one["change"], one["reason"]] for one in attempts],
        "notes": advice["notes"],
        "promise": promise,
        "by_hand": speed,
        "promise_held": speed >= (1 - BAR) * promise[0] if promise else None,
    }


def line(row: dict[str, object]) -> str:
    """Return a row of the table, in Markdown."""
    if "error" in row:
        cells = [row["what"], *[""] * 6, "failed", row["error"], "", ""]
        return f"| {' | '.join(map(markdown, cells))} |"
    promise = " to ".join(map(figure, row["promise"] or ()))
    held = {True: "yes", False: "**no**", None: ""}[row["promise_held"]]
    cells = [
        markdown(row["what"]),
        *(f"{row[side]:,.0f}" for side in (*SIDES, "ceiling")),
        f"{row['advised'] / row['ceiling']:.2%}",
        f"{row['minutes']:.1f}",
        row["verdict"],
        "; ".join(map(markdown, row["kept"])),
        f"{promise}, by hand {figure(row['by_hand'])}" if promise else "",
        held,
    ]
    return f"| {' | '.join(cells)} |"


def markdown_page(rows: list[dict[str, object]]) -> str:
    """Return the page, in Markdown."""
    head = ["what is wrong", "as written", "best practice", "advised", "ceiling"]
    head += ["share of it", "minutes", "verdict", "kept", "times as fast", "held"]
    measured = [row for row in rows if "error" not in row]
    lines = [
        "# Advice for twelve pipelines",
        "",
        "Examples a second by hand, each the median of new processes that took turns: "
        "`python -m bench.selftest.advice`. The pipelines are in tests/pipelines/. "
        "The ceiling is one batch that is held in memory. A promise (times as fast, "
        f"interval) is held if the figure by hand is at most {BAR:.0%} below it.",
        "",
        f"| {' | '.join(head)} |",
        "| :-- | --: | --: | --: | --: | --: | --: | :-- | :-- | :-- | :-- |",
        *map(line, rows),
        "",
    ]
    if measured:
        ratios = [row["advised"] / row["best_practice"] for row in measured]
        lines += [
            f"Over {len(measured)} pipelines the advised one is "
            f"{figure(statistics.geometric_mean(ratios))} times as fast as best "
            "practice (geometric mean).",
            "",
        ]
    return "\n".join(lines)


def _output(command: list[object], folder: Path) -> str:
    """Run a command in a folder; returns what it printed."""
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout


def _record(path: Path) -> dict[str, object]:
    """Return the stored record, or a new one.

    Raises:
        SystemExit: The record is of another machine.
    """
    here = machine.fingerprint()
    if not path.exists():
        return {"machine": here, "bar": BAR, "rows": {}}
    record = json.loads(path.read_text())
    if machine.identity(record["machine"]) != machine.identity(here):
        raise SystemExit(f"{path} is of another machine. Name another file: --out.")
    return record


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", action="append", choices=CASES, metavar="NAME")
    parser.add_argument("--budget", default="180s")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--out", type=Path, default=RESULTS / "advice.json")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
