"""This program measures what a run takes around its timed part, as the data grow.

    python -m bench.selftest.run_overhead [--only NAME ...]

Tables of numbers and folders of small files are made, and measured by `run`. The first
run of a round may adapt layers for the others, so it stands apart. The test fails where
a later run of the largest data takes more than 0.3 s longer, around its timed part,
than one of the smallest. The program writes run_overhead.json and, as a table,
run_overhead.md.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from bench import catalog, machine, store
from bench.errors import Exit
from bench.selftest import RESULTS
from bench.trial import Run, phases_of

BAR_SECONDS = 0.3
COLUMNS = 8
ROUNDS = 2
WORDS = ("good", "bad", "long", "short", "dull", "bright", "old", "new")
# Two strategies, so that a round has a run that adapts and one that does not.
STRATEGIES = ("naive", "vectorized")


def table(path: Path, count: int) -> None:
    """Write a CSV file of numbers with a label."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(count, COLUMNS)).round(3)
    labels = rng.integers(0, 2, (count, 1))
    header = ",".join([*(f"x{n}" for n in range(COLUMNS)), "label"])
    form = ",".join(["%.3f"] * COLUMNS + ["%d"])
    whole = np.hstack([rows, labels])
    np.savetxt(path, whole, fmt=form, header=header, comments="")


def texts(path: Path, count: int) -> None:
    """Write small texts of two classes."""
    rng = np.random.default_rng(0)
    for number, home in enumerate(_homes(path, count)):
        words = " ".join(rng.choice(WORDS, 20))
        (home / f"{number}.txt").write_text(words)


def pictures(path: Path, count: int) -> None:
    """Write small JPEG files of two classes."""
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "JPEG")
    for number, home in enumerate(_homes(path, count)):
        (home / f"{number}.jpg").write_bytes(content.getvalue())


def _homes(path: Path, count: int) -> list[Path]:
    homes = [path / name for name in ("one", "two")]
    for home in homes:
        home.mkdir(parents=True)
    return [homes[number % 2] for number in range(count)]


@dataclass(frozen=True)
class Case:
    """A case is a kind of data of several sizes.

    Attributes:
        workload: The workload that takes it.
        make: Writes the data of a size to a path.
        name: The name of the file or folder.
        sizes: The numbers of examples, ascending.
    """

    workload: str
    make: Callable[[Path, int], None]
    name: str
    sizes: tuple[int, ...]


CASES = {
    "rows of a table": Case("fraud", table, "rows.csv", (1_000, 100_000, 1_000_000)),
    "files of text": Case("prose", texts, "texts", (1_000, 100_000)),
    "pictures": Case("photo_files", pictures, "pictures", (1_000, 100_000)),
}


def main() -> int:
    """Measure every size of every case and write the table; return 1 on failure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", action="append", default=[], choices=CASES)
    parser.add_argument("--out", type=Path, default=RESULTS / "run_overhead.json")
    options = parser.parse_args()
    rows = []
    for what in options.only or CASES:
        case, smallest = CASES[what], None
        for count in case.sizes:
            row = {"what": what, "examples": count, **measured(case, count)}
            smallest = smallest or row
            row["more"] = row["later"] - smallest["later"]
            rows.append(row)
            print(line(row), flush=True)
            record = {
                "rows": rows,
                "bar": BAR_SECONDS,
                "machine": machine.fingerprint(),
            }
            options.out.write_text(json.dumps(record, indent=2) + "\n")
            options.out.with_suffix(".md").write_text(markdown(rows))
    return Exit.OK if all(row["more"] <= BAR_SECONDS for row in rows) else Exit.NO


def measured(case: Case, count: int) -> dict[str, float]:
    """Make the data of one size, measure them, and return the seconds."""
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder, case.name), Path(folder, "out")
        case.make(path, count)
        command = ["run_bench.py", "run", "quick", "--workload", case.workload]
        command += ["--data", str(path), "--consumer", "drain", "--out", str(out)]
        command += [f"--strategy={name}" for name in STRATEGIES]
        start = time.monotonic()
        subprocess.run(
            [sys.executable, *command, "--rounds", str(ROUNDS)],
            cwd=catalog.ROOT,
            capture_output=True,
            check=True,
        )
        whole = time.monotonic() - start
        runs, _ = store.load(out)
    for run in runs:
        if run.measured.error:
            raise RuntimeError(f"{run.key}: {run.measured.error.message}")
    # Those of round 0 determine slow facts too, which all runs of a trial share.
    rest = [run for run in runs if run.round > 0]
    kept = [run for run in rest if run.measured.facts.get("adapted") == "once a round"]
    later = kept or rest
    first = max(runs, key=around)
    return {
        "first": around(first),
        "later": statistics.median(map(around, later)),
        "inputs": statistics.median(run.measured.overhead["inputs"] for run in later),
        "before": whole - sum(run.seconds for run in runs),
        "peak_mib": max(run.measured.peak_resident_bytes or 0 for run in runs) / 2**20,
    }


def around(run: Run) -> float:
    """Return the seconds of a run besides the phases in which batches are pulled."""
    phases = run.measured.phases
    return run.seconds - sum(phases.get(name, 0.0) for name in phases_of("window"))


def line(row: dict[str, object]) -> str:
    """Return a row of the table, in Markdown."""
    cells = [row["what"], f"{row['examples']:,}", f"{row['first']:.2f}"]
    cells += [f"{row['later']:.2f}", f"{row['more']:+.2f}", f"{row['inputs']:.2f}"]
    cells += [f"{row['before']:.1f}", f"{row['peak_mib']:,.0f}"]
    return f"| {' | '.join(map(str, cells))} |"


def markdown(rows: list[dict[str, object]]) -> str:
    """Return the page, in Markdown."""
    head = ["data", "examples", "longest run", "later runs", "more than the smallest"]
    head += ["of it inputs", "besides all runs", "peak MiB of a run"]
    return "\n".join(
        [
            "# Seconds around the timed part of a run, as the data grow",
            "",
            "By `python -m bench.selftest.run_overhead`: the seconds of a run besides "
            "those in which batches are pulled, with the start of its process. The "
            "longest run is one that adapts layers; the later runs are those that use "
            "what it learned. The seconds besides all runs are those of the command "
            "before the first run and for its report.",
            "",
            f"| {' | '.join(head)} |",
            f"| :-- |{' --: |' * (len(head) - 1)}",
            *map(line, rows),
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
