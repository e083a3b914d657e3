"""This program compares the suite's rates with those of whole epochs, timed by hand.

    python -m bench.selftest.rate_accuracy [--only NAME ...] [--rounds N]

Each pipeline has costs at known places: a shuffle that refills, a shard that opens, an
example that takes long. A plain script (plain_tensorflow.py) measures the pipeline
before and after the suite does. The test fails where the rates differ by more than 5 %
and the suite does not call the trial partly timed. Both keep to one processor: handing
a record to another processor and back takes longer than parsing the record, and that
cost varies within a run. The program writes lumps.json and, as a table, lumps.md.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import catalog, machine
from bench.analysis import stats, table
from bench.errors import Exit
from bench.report import lumps
from bench.selftest import RESULTS

FOLDER = Path("bench", "selftest", "workloads")
BAR = 0.05
VECTORIZED = {"order": "batch_map", "batch_size": 256}


@dataclass(frozen=True)
class Case:
    """A case is a pipeline whose costs are uneven.

    Attributes:
        file: The stem of the workload's file.
        what: The event that is costly and rare.
        axes: The settings of the pipeline.
        consumer: What pulls the batches.
    """

    file: str
    what: str
    axes: dict[str, object]
    consumer: str = "drain"

    @property
    def name(self) -> str:
        """Return the name of the case: its file, its settings and its consumer."""
        settings = ",".join(f"{name}={value}" for name, value in self.axes.items())
        return f"{self.file}[{settings}]" + ("+train" * (self.consumer == "train"))


SHUFFLES = {5_120: "a quarter of an epoch", 20_480: "an epoch", 81_920: "four epochs"}
CASES = [
    *(
        Case(
            "shuffled", f"shuffle buffer of {what}", {**VECTORIZED, "shuffle_buffer": n}
        )
        for n, what in SHUFFLES.items()
    ),
    Case("shards_100", "shards of 100 records open", {"batch_size": 256}),
    Case("shards_10000", "shards of 10,000 records open", {"batch_size": 256}),
    Case("stragglers_100", "1 example in 100 is long", {"batch_size": 32}),
    Case("stragglers_1000", "1 example in 1,000 is long", {"batch_size": 32}),
    Case("stragglers_8000", "1 example in 8,000 is long", {"batch_size": 32}),
    Case("epoch_start", "an epoch begins slowly", {"batch_size": 256}),
    Case("garbage", "Python collects its garbage", {"batch_size": 32}),
    Case("cached", "a cache fills, and serves", {"cache": "mapped", "batch_size": 500}),
    Case("rejection", "rejection waits", {"resample": "rejection_known"}),
    Case("pauses", "a generator pauses", {"batch_size": 32}),
    Case(
        "shuffled",
        "shuffle of an epoch",
        {**VECTORIZED, "shuffle_buffer": 20_480},
        "train",
    ),
    Case("stragglers_1000", "1 example in 1,000", {"batch_size": 32}, "train"),
    Case("epoch_start", "an epoch begins slowly", {"batch_size": 64}, "train"),
]


def main() -> int:
    """Compare the rates of every case and write the table; return 1 if a case fails."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS / "lumps.json")
    options = parser.parse_args()
    rows = []
    for case in CASES:
        if not options.only or case.file in options.only:
            rows.append(compare(case, options.rounds))
            print(line(rows[-1]), flush=True)
            record = {"rows": rows, "bar": BAR, "machine": machine.fingerprint()}
            options.out.write_text(json.dumps(record, indent=2) + "\n")
            options.out.with_suffix(".md").write_text(markdown(rows))
    return Exit.OK if all(row["held"] for row in rows) else Exit.NO


def compare(case: Case, rounds: int) -> dict[str, object]:
    """Measure a pipeline by a plain script, by this suite, and by the script again.

    The result has the rates, their ratio and whether they agree.
    """
    truth = by_hand(case)
    with tempfile.TemporaryDirectory() as folder:
        suite = by_suite(case, rounds, Path(folder) / "out")
    truth += by_hand(case)
    rate = statistics.harmonic_mean(truth)  # all examples over all seconds
    ratio = suite["rate"] / rate
    held = abs(ratio - 1) <= BAR or suite["partly_timed"]
    return {
        "name": case.name,
        "what": case.what,
        "by_hand": rate,
        "by_hand_all": truth,
        "ratio": ratio,
        "held": held,
        **suite,
    }


def by_hand(case: Case) -> list[float]:
    """Return examples a second of each whole epoch, by the plain script."""
    axes = [f"--axis={name}={value}" for name, value in case.axes.items()]
    train = ["--train"] if case.consumer == "train" else []
    script = "bench.selftest.plain_tensorflow"
    command = ["-m", script, str(FOLDER / f"{case.file}.py")]
    done = subprocess.run(
        [sys.executable, *command, *axes, *train],
        cwd=catalog.ROOT,
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=partial(os.sched_setaffinity, 0, machine.PROCESSORS[-1:]),
    )
    return json.loads(done.stdout.splitlines()[-1])


def by_suite(case: Case, rounds: int, out: Path) -> dict[str, object]:
    """Return the rate that this suite measures, with interval and cautions."""
    axes = [f"--axis={name}={value}" for name, value in case.axes.items()]
    workload = str(FOLDER / f"{case.file}.py")
    command = ["run_bench.py", "run", "quick", "--workload", workload, "--strategy"]
    command += ["naive", "--consumer", case.consumer, "--rounds", str(rounds)]
    command += ["--axis", "cpus=1"]
    subprocess.run(
        [sys.executable, *command, *axes, "--out", str(out)],
        cwd=catalog.ROOT,
        capture_output=True,
        check=True,
    )
    trials = stats.trials(table.load(out))
    (row,) = trials.to_dict("records")
    names = ("examples_per_second", "examples_per_second_low")
    return {
        "rate": row[names[0]],
        "low": row[names[1]],
        "high": row["examples_per_second_high"],
        "usual": row["usual_examples_per_second"],
        "partly_timed": "partly_timed" in row["flags"],
        "share_timed": row.get("fact_share_timed"),
        "sentence": lumps.sentence(row),
    }


def line(row: dict[str, object]) -> str:
    """Return a case's row of the table as Markdown."""
    verdict = (
        "partly timed" if row["partly_timed"] else f"{100 * row['ratio'] - 100:+.1f} %"
    )
    cells = [
        row["what"] + (", in training" if row["name"].endswith("+train") else ""),
        f"{row['by_hand']:,.0f}",
        f"{row['rate']:,.0f} ({row['low']:,.0f} to {row['high']:,.0f})",
        verdict,
        f"{row['usual']:,.0f}",
        row["sentence"] or "",
        "yes" if row["held"] else "**no**",
    ]
    return f"| {' | '.join(cells)} |"


def markdown(rows: list[dict[str, object]]) -> str:
    """Return the table of cases, with its explanation, as Markdown."""
    head = ["rare event", "by hand", "by the suite (95 % interval)"]
    head += ["apart", "usual", "what the report says", f"within {100 * BAR:.0f} %"]
    passed = sum(row["held"] for row in rows)
    return "\n".join(
        [
            "# Uneven pipelines: rates of the suite beside whole epochs by hand",
            "",
            "Examples a second, by `python -m bench.selftest.rate_accuracy`. The "
            "workloads are in bench/selftest/workloads/; the plain script is "
            "bench/selftest/plain_tensorflow.py.",
            "",
            f"| {' | '.join(head)} |",
            "| :-- | --: | --: | --: | --: | :-- | :-- |",
            *map(line, rows),
            "",
            f"{passed} of {len(rows)} pass.",
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
